// Trial, decision, and on.
#include "solvers/step_loop.h"

namespace costate {

double run(const StepLoop& loop) {
  const double way = loop.to > loop.from ? 1 : -1, limit = loop.limit.value_or(loop.to);
  double at = loop.from, size = loop.first;
  for (int tried = 0; way * (loop.to - at) > loop.close; ++tried) {
    if (tried >= loop.most) loop.stuck("too many steps", at);
    if (!(size > loop.least)) loop.stuck("the step underflows", at);
    const double next = size >= way * (limit - at) ? limit : at + way * size;
    const double error = loop.trial(at, next);
    if (!loop.decide(error, way * (next - at), size)) continue;
    at = next;
    loop.accept(next);
  }
  return size;
}

}  // namespace costate
