// A convolution and a linear layer that are added, as one product where warp groups make both.
#include "core/kernels/conv2d_and_linear.h"

#include "core/profile.h"
#include "gpu/group_convolution.h"
#include "gpu/winograd.h"

namespace costate::cuda {
namespace {

/// False, and nothing is done, where they are two products.
template <class M>
bool as_one(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& side,
            const Tensor& side_w, const Tensor& side_bias, Tensor& y) {
  using T = Stored<M>;
  constexpr const char* op = "conv2d";
  const Tensor filter = side_w.reshaped(side_w.shape().with_front(1).with_front(1));
  Convolution s(geometry, x, w, y), t({}, side, filter, y);
  const T *const from = pixels_of<T>(x, s.x_pixel), *const beside = pixels_of<T>(side, t.x_pixel);
  if (!by_groups(s, in_words(from, s.cin)) || !by_groups(t, in_words(beside, t.cin))) return false;
  const bool words = in_words(w.device_data<T>(), s.cout) && in_words(filter.device_data<T>(), s.cout);
  Output<T> to{y.mutable_device_data<T>(), Start(s.cout), y.dim(3),
               Bias<T>::of(bias, std::int64_t{s.oh} * s.ow, Start(s.cout))};
  if (side_bias.defined()) to.addend = side_bias.device_data<T>(), to.addend_line = 0;
  const GroupConvolution<M> second{t, beside, filter_of<M>(t, filter, words)};
  convolve_by_groups<M>(op, {s, from, filter_of<M>(s, w, words)}, &second, x.dim(0), to);
  if (profiling()) profile_note(fmt::format("{}x{} direct, 1x1 with it", w.dim(0), w.dim(1)));
  return true;
}

}  // namespace

void conv2d_and_linear(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias,
                       const Tensor& side, const Tensor& side_w, const Tensor& side_bias, Tensor& y) {
  const ConvAlgorithm how = conv_algorithm(Device::cuda);
  const bool own =
      (how == ConvAlgorithm::own || how == ConvAlgorithm::direct) && winograd_outputs(geometry, x, w, y) == 0;
  const auto done = [&]<class M>(M) { return as_one<M>(geometry, x, w, bias, side, side_w, side_bias, y); };
  if (own && has_warp_groups() &&
      (x.dtype() == DType::bf16          ? done(bf16{})
       : wants_tf32("conv2d", x.dtype()) ? done(Tf32{})
                                         : false))
    return;
  conv2d_after_linear(geometry, x, w, bias, side, side_w, side_bias, y);
}

}  // namespace costate::cuda
