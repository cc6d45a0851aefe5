// Which ops a function applies: its graph, for pictures and counts. Under a DryRun (core/kernel.h) it costs no arithmetic.
#pragma once

#include "autodiff/transform.h"

namespace costate {

struct Trace {
  Tensors in, out;           ///< of the function, without data; ids link them to the ops
  std::vector<Applied> ops;  ///< those that depend on an input, in the order of their application
};

/// Ops inside other ops, checkpoints and custom derivatives are not seen.
[[nodiscard]] Trace trace(const Function& f, const Tensors& inputs);

}  // namespace costate
