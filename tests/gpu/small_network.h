// The smallest network that a device repeats: sends its times, and reads its input twice.
#pragma once

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/tanh.h"
#include "nn/replayed.h"
#include "tests/gpu/repeated.h"
#include "tests/gpu/second_run.h"

namespace costate {

/// Graphs that the shim has launched; a device does not say.
inline int shim_graphs() {
#ifdef COSTATE_SHIM
  return shim::graphs_launched();
#else
  return 0;
#endif
}

/// tanh(x w) (1 + t) + x t / 4: reads its input twice, and sends its times.
struct Small {
  Tensor w;
  static void fields(auto& self, auto&& visit) { visit("w", self.w); }
  [[nodiscard]] static Signature signature() { return {}; }
  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const Tensor t = Tensor::from(in.t, {in.x.dim(0), 1}, in.x.kind());
    const std::int64_t n = in.x.dim(0);
    const std::int64_t width = w.dim(0);
    const Tensor u = reshape(matmul(reshape(in.x, {1, n, width}), reshape(w, {1, width, width})), {n, width});
    return tanh(u) * (t + 1) + in.x * t * 0.25;
  }
};

inline std::shared_ptr<const Network> small_network(std::int64_t width = 6) {
  return replayed(std::make_shared<const NetworkOf<Small>>(Small{noise(7, {width, width})}));
}

inline Inputs inputs_at(const Tensor& x, double t) {
  Inputs in;
  in.x = x;
  in.t.assign(static_cast<std::size_t>(x.dim(0)), t);
  return in;
}

inline Tensor at(const Network& network, const Tensor& x, double t) { return network(inputs_at(x, t)); }

}  // namespace costate
