// Trial, decision, and on.
#include "solvers/step_loop.h"

namespace costate {

double run(const StepLoop& loop) {
  const double way = loop.to > loop.from ? 1 : -1;
  double at = loop.from, size = loop.first;
  for (int tried = 0; way * (loop.to - at) > loop.close; ++tried) {
    if (tried >= loop.most) loop.stuck("too many steps", at);
    if (!(size > loop.least)) loop.stuck("the step underflows", at);
    const double next = size >= way * (loop.to - at) ? loop.to : at + way * size;
    const double error = loop.trial(at, next);
    if (!loop.decide(error, way * (next - at), size)) continue;
    at = next;
    loop.accept(next);
  }
  return size;
}

}  // namespace costate
