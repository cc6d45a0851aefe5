// Convolutions and attention as plans of cuDNN's.
#pragma once

#include <memory>
#include <string>

#include "core/kernels/attention.h"
#include "core/kernels/conv2d.h"
#include "gpu/cudnn/plan.h"
#include "gpu/packed_filter.h"

namespace costate::cuda::cudnn {

enum class Direction { forward, data_gradient, filter_gradient };

/// A convolution or one of its gradients, for tensors of these shapes. Addresses of a run: x or its gradient; w as packed_filter has
/// it, or its gradient; y or its gradient.
struct Convolution {
  Direction direction;
  ConvGeometry at;
  Shape x, w, y;  ///< as costate has them; w (kh, kw, cin / groups, cout)
  DType dtype;
  bool tf32;
};

/// Scaled dot-product attention in bf16 (core/kernels/attention.h). Addresses of a run: q, k, v, y, and the scale's, on the host.
struct Attention {
  std::int64_t heads;
  Shape q, k, v;
};

/// All of a problem but its batch.
std::string name_of(const Convolution& c);
std::string name_of(const Attention& a);

/// A plan, or none where cuDNN has no way that is wanted. On this process's device made once for a problem and a batch. Engines are
/// those cuDNN proposes for a batch of `usual_batch`, whatever this one is, so that a row of a batch goes the way it goes alone.
std::shared_ptr<const Plan> plan_for(const Target& target, const Convolution& c);
std::shared_ptr<const Plan> plan_for(const Target& target, const Attention& a);
constexpr std::int64_t usual_batch = 16;

/// Where a tensor of any type begins, on its device.
inline const void* address(const Tensor& t) {
  return static_cast<const char*>(t.storage().data()) + t.offset() * static_cast<std::int64_t>(size_of(t.dtype()));
}

}  // namespace costate::cuda::cudnn
