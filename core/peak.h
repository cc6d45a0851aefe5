// What this machine can do at best, measured once: the yardstick of every benchmark.
#pragma once

namespace costate {

/// Flops per second of one thread in the widest f32 register tile, with data in the first cache.
double flops_peak();

}  // namespace costate
