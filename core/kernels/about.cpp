// The host: its vector instructions.
#include "core/kernels/about.h"

#include "core/isa.h"

namespace costate {

void cpu::about(std::string& text) { text = instruction_set(); }

}  // namespace costate
