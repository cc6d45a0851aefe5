// The two-layer network after attention, wide in the middle, in the kinds that diffusers names.
#pragma once

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/geglu.h"
#include "autodiff/ops/gelu.h"
#include "autodiff/ops/sigmoid.h"
#include "autodiff/ops/silu.h"
#include "autodiff/ops/split.h"
#include "core/config.h"
#include "nn/linear.h"
#include "nn/sizes.h"

namespace costate {

struct FeedForward {
  enum class Kind {
    geglu,         ///< first half of the wide layer times the GELU of the second (Shazeer 2020, arXiv:2002.05202)
    swiglu,        ///< the same with SiLU
    gelu,          ///< exact
    gelu_tanh,     ///< its tanh approximation
    gelu_sigmoid,  ///< x sigmoid(1.702 x)
    silu,
  };

  Linear in, out;
  Kind kind = Kind::geglu;

  FeedForward() = default;
  FeedForward(std::int64_t width, Kind of)
      : in(width, (of == Kind::geglu || of == Kind::swiglu ? 8 : 4) * width), out(4 * width, width), kind(of) {}

  static void fields(auto& self, auto&& visit) {
    visit("net.0.proj", self.in);
    visit("net.2", self.out);
  }

  /// (..., width) -> the same, plus an addend where there is one
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& addend = {}) const {
    return out(activated(in(x)), addend);
  }

  static Kind kind_from(const Config& config, const std::string& key, const std::string& otherwise) {
    return meaning_of<Kind>(config, key, otherwise,
                            {{"geglu", Kind::geglu},
                             {"swiglu", Kind::swiglu},
                             {"gelu", Kind::gelu},
                             {"gelu-approximate", Kind::gelu_tanh},
                             {"geglu-approximate", Kind::gelu_sigmoid},
                             {"linear-silu", Kind::silu}});
  }

 private:
  [[nodiscard]] Tensor activated(const Tensor& h) const {
    if (kind == Kind::gelu) return gelu(h);
    if (kind == Kind::gelu_tanh) return gelu_tanh(h);
    if (kind == Kind::gelu_sigmoid) return h * sigmoid(1.702 * h);
    if (kind == Kind::silu) return silu(h);
    if (kind == Kind::geglu) return geglu(h);
    const std::int64_t half = h.dim(-1) / 2;
    const Tensors both = split(h, -1, {half, half});
    return both[0] * silu(both[1]);
  }
};

}  // namespace costate
