// A convolution whose addend is a linear layer's result.
#include "core/kernels/conv2d_and_linear.h"

#include "core/kernels/matmul.h"

namespace costate {

void conv2d_after_linear(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias,
                         const Tensor& side, const Tensor& side_w, const Tensor& side_bias, Tensor& y) {
  const std::int64_t k = side_w.dim(0), n = side_w.dim(1), rows = side.size() / k;
  Tensor addend = Tensor::empty({1, rows, n}, y.kind());
  matmul_kernel(y.device(), false, false, side.reshaped({1, rows, k}), side_w.reshaped({1, k, n}), side_bias, {},
                addend);
  conv2d_kernel(y.device(), geometry, x, w, bias, addend.reshaped(y.shape()), y);
}

void cpu::conv2d_and_linear(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias,
                            const Tensor& side, const Tensor& side_w, const Tensor& side_bias, Tensor& y) {
  conv2d_after_linear(geometry, x, w, bias, side, side_w, side_bias, y);
}

}  // namespace costate
