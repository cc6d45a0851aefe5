// Work of a network that is cheaper to do again on the way back than its results are to keep.
#pragma once

#include "autodiff/tape.h"
#include "autodiff/transform.h"
#include "core/tree.h"

namespace costate {

/// f(layer, x), remembered by x on a device, whose memory bounds the rows that go through a network at once: for what takes little time
/// beside the work around it. On the host few rows do (nn/by_rows.h), and it is kept.
template <class Layer, class F>
[[nodiscard]] Tensors again_on_the_way_back(const Layer& layer, const Tensor& x, const F& f) {
  if (x.device() == Device::cpu || !walks_back({x})) return f(layer, x);
  Tensors in = leaves(layer);
  in.insert(in.begin(), x);
  const Function on = [layer, f](const Tensors& at) {
    return f(with_leaves(layer, Tensors(at.begin() + 1, at.end())), at[0]);
  };
  return checkpoint(on, in);
}

}  // namespace costate
