// The host repeats nothing by itself.
#include "core/kernels/replay.h"

namespace costate {

void cpu::make_recorder(std::unique_ptr<Recorder>& made) { made.reset(); }

}  // namespace costate
