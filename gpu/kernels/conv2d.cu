// Convolution and its two gradients as implicit matrix products (gpu/convolution.h).
#include "core/kernels/conv2d.h"

#include <algorithm>

#include "core/kernels/binary.h"
#include "gpu/convolution.h"
#include "gpu/cudnn/either.h"
#include "gpu/group_convolution.h"
#include "gpu/precision.h"
#include "gpu/winograd.h"

namespace costate::cuda {

Convolution::Convolution(const ConvGeometry& g, const Tensor& x, const Tensor& weights, const Tensor& y) {
  const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
  require(x.size() / x.dim(0) < std::int64_t{1} << 31 && y.size() / y.dim(0) < std::int64_t{1} << 31 &&
              weights.size() < std::int64_t{1} << 31,
          "conv2d: an image of {} or weights {} hold more than a kernel counts", x.shape(), weights.shape());
  h = n(x.dim(1)), w = n(x.dim(2)), cin = n(weights.dim(2));
  oh = n(y.dim(1)), ow = n(y.dim(2)), cout = n(weights.dim(3) / g.groups), kh = n(weights.dim(0)),
  kw = n(weights.dim(1));
  stride_h = n(g.stride_h), stride_w = n(g.stride_w), dilation_h = n(g.dilation_h), dilation_w = n(g.dilation_w);
  top = n(g.top), left = n(g.left), groups = n(g.groups);
  x_pixel = groups * cin, y_pixel = groups * cout;
  by_cin = Divisor(cin), by_cout = Divisor(cout), by_kw = Divisor(kw);
  by_output = Divisor(oh * ow), by_ow = Divisor(ow), by_input = Divisor(h * w), by_w = Divisor(w);
  by_stride_h = Divisor(stride_h), by_stride_w = Divisor(stride_w);
}

namespace {

void direct_conv2d(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias,
                   const Tensor& addend, Tensor& y) {
  with_products("conv2d", x, w, y, [&]<class M>(M, const Tensor& x, const Tensor& w, Tensor& y) {
    using T = Stored<M>;
    Convolution s(geometry, x, w, y);
    const T* const from = pixels_of<T>(x, s.x_pixel);
    const std::int64_t k = w.size() / w.dim(3);
    const Tensor start = in_type_of(x, bias), more = in_type_of(x, addend);
    const Start group(s.cout);
    const Output<T> to{y.mutable_device_data<T>(), group, y.dim(3),
                       Bias<T>::of(start, std::int64_t{s.oh} * s.ow, group),
                       more.defined() ? more.device_data<T>() : nullptr};
    const Words words{in_words(from, s.cin), in_words(w.device_data<T>(), s.cout)};
    if constexpr (has_group_products<M>)
      if (by_groups(s, words.a))
        return convolve_by_groups<M>("conv2d", {s, from, filter_of<M>(s, w, words.b)}, nullptr, x.dim(0), to);
    gemm<M>("conv2d", Patches<T, true>{s, from}, Weights<T>{s.groups, s.cout, w.device_data<T>()}, to, s.groups,
            y.size() / y.dim(3), s.cout, k, piece_of(k, convolution_chain), words);
  });
}

void direct_conv2d_dx(const ConvGeometry& geometry, const Tensor& g, const Tensor& w, const Tensor& addend,
                      Tensor& dx) {
  with_products("conv2d_dx", g, w, dx, [&]<class M>(M, const Tensor& g, const Tensor& w, Tensor& dx) {
    using T = Stored<M>;
    Convolution s(geometry, dx, w, g);
    const T* const from = pixels_of<T>(g, s.y_pixel);
    const std::int64_t k = std::int64_t{s.kh} * s.kw * s.cout;
    const Tensor more = in_type_of(g, addend);
    const Output<T> to{
        dx.mutable_device_data<T>(), Start(s.cin), dx.dim(3), {}, more.defined() ? more.device_data<T>() : nullptr};
    const Words words{in_words(from, s.cout), in_words(w.device_data<T>(), s.cout)};
    const auto go = [&](const auto& patches) {
      gemm<M>("conv2d_dx", patches, TransposedWeights<T>{s, w.device_data<T>()}, to, s.groups, dx.size() / dx.dim(3),
              s.cin, k, piece_of(k, convolution_chain), words);
    };
    if (s.stride_h != 1 || s.stride_w != 1) return go(GradientPatches<T>{s, from});
    const Convolution turned = s.turned();
    if constexpr (has_group_products<M>)
      if (by_groups(turned, words.a && words.b))
        return conv2d_dx_by_groups<M>("conv2d_dx", turned, from, g.dim(0), w, to);
    go(Patches<T, true>{turned, from});
  });
}

void direct_conv2d_dw(const ConvGeometry& geometry, const Tensor& x, const Tensor& g, Tensor& dw) {
  with_products("conv2d_dw", x, g, dw, [&]<class M>(M, const Tensor& x, const Tensor& g, Tensor& dw) {
    using T = Stored<M>;
    Convolution s(geometry, x, dw, g);
    const T *const from = pixels_of<T>(x, s.x_pixel), *const slopes = pixels_of<T>(g, s.y_pixel);
    const std::int64_t pixels = g.size() / g.dim(3);
    const Output<T> to{dw.mutable_device_data<T>(), Start(s.cout), dw.dim(3)};
    const Words words{in_words(from, s.cin), in_words(slopes, s.cout)};
    if constexpr (has_group_products<M>)
      if (pixels > 0 && by_groups(s, words.a && (words.b || std::is_same_v<M, Tf32>)) && s.cin % line_terms<M> == 0)
        return conv2d_dw_by_groups<M>("conv2d_dw", s, from, g, to);
    gemm<M>("conv2d_dw", Patches<T, false>{s, from}, Gradient<T>{s.cout, s.y_pixel, slopes}, to, s.groups,
            dw.size() / dw.dim(3), s.cout, pixels, fastest_piece<M>(dw.size() / dw.dim(3) * s.groups, s.cout, pixels),
            words);
  });
}

using cudnn::Direction;

cudnn::Convolution problem(Direction d, const ConvGeometry& geometry, const Tensor& x, const Tensor& w,
                           const Tensor& y) {
  return {d, geometry, x.shape(), w.shape(), y.shape(), x.dtype(), products_in_f32() == Products::tf32};
}

/// F(m, 3), or direct where m is 0. Names are the CPU's.
cudnn::Own own(int m, const Tensor& w, const std::function<void()>& winograd, const std::function<void()>& direct) {
  if (m > 0) return {fmt::format("F({},3)", m), winograd};
  return {fmt::format("{}x{} direct", w.dim(0), w.dim(1)), direct};
}

/// A strip's dense copy is.
bool aligned(const Tensor& t) { return t.run() < t.size() || aligned_16(cudnn::address(t)); }

void add_rows(const Tensor& bias, Tensor& y) {
  if (!bias.defined()) return;
  const Tensor rows = in_type_of(y, bias).reshaped({bias.size() / y.dim(3), 1, 1, y.dim(3)});
  lincomb(1, 1, y, rows, y);
}

}  // namespace

void conv2d(const ConvGeometry& geometry, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& addend,
            Tensor& y) {
  const int m = winograd_outputs(geometry, x, w, y);
  const auto by_winograd = [&] { winograd({m, false, geometry.top, geometry.left}, x, w, bias, addend, y); };
  const auto directly = [&] { direct_conv2d(geometry, x, w, bias, addend, y); };
  cudnn::either(problem(Direction::forward, geometry, x, w, y), aligned(x) && aligned(y),
                own(m, w, by_winograd, directly), [&](const cudnn::Plan& plan) {
                  const Tensor filter = packed_filter(w);
                  plan.run("conv2d", {cudnn::address(x), cudnn::address(filter), cudnn::address(y)});
                  add_rows(bias, y);
                  if (addend.defined()) lincomb(1, 1, y, in_type_of(y, addend), y);
                });
}

void conv2d_dx(const ConvGeometry& geometry, const Tensor& g, const Tensor& w, const Tensor& addend, Tensor& dx) {
  const int m = winograd_outputs(geometry, g, w, dx);
  const auto by_winograd = [&] { winograd({m, true, 2 - geometry.top, 2 - geometry.left}, g, w, {}, addend, dx); };
  const auto directly = [&] { direct_conv2d_dx(geometry, g, w, addend, dx); };
  cudnn::either(problem(Direction::data_gradient, geometry, dx, w, g), aligned(g) && aligned(dx),
                own(m, w, by_winograd, directly), [&](const cudnn::Plan& plan) {
                  const Tensor filter = packed_filter(w);
                  plan.run("conv2d_dx", {cudnn::address(dx), cudnn::address(filter), cudnn::address(g)});
                  if (addend.defined()) lincomb(1, 1, dx, in_type_of(dx, addend), dx);
                });
}

void conv2d_dw(const ConvGeometry& geometry, const Tensor& x, const Tensor& g, Tensor& dw) {
  cudnn::either(problem(Direction::filter_gradient, geometry, x, dw, g), aligned(x) && aligned(g),
                own(0, dw, {}, [&] { direct_conv2d_dw(geometry, x, g, dw); }), [&](const cudnn::Plan& plan) {
                  const Tensor filter = Tensor::empty(packed_shape(dw.shape()), dw.kind());
                  plan.run("conv2d_dw", {cudnn::address(x), cudnn::address(filter), cudnn::address(g)});
                  unpack_filter(filter, dw);
                });
}

}  // namespace costate::cuda
