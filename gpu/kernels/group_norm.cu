// Group norm (+ SiLU) and its vector-Jacobian product: a block a group of an image, statistics in f64.
#include "core/kernels/group_norm.h"

#include <cmath>

#include "core/kernels/reduce.h"
#include "gpu/block_sum.h"
#include "gpu/precision.h"

namespace costate::cuda {
namespace {

constexpr int threads = 512;

/// One group of one image: `width` neighbouring channels of `pixels` that lie `channels` apart.
struct Group {
  std::int64_t first, pixels, channels, width, channel;
};

__device__ Group group_of(std::int64_t pixels, std::int64_t channels, std::int64_t groups) {
  const std::int64_t image = blockIdx.x / groups, width = channels / groups, channel = blockIdx.x % groups * width;
  return {image * pixels * channels + channel, pixels, channels, width, channel};
}

/// f(element of the tensor, channel of the group) for this thread's share: elements threads, 2 threads ... in row-major order.
template <class F>
__device__ void over_group(const Group& g, const F& f) {
  for (std::int64_t i = threadIdx.x; i < g.pixels * g.width; i += threads)
    f(g.first + i / g.width * g.channels + i % g.width, i % g.width);
}

template <class T>
struct Statistics {
  T mean, rstd;
};

template <class T>
__device__ Statistics<T> statistics_of(const Group& g, double eps, const T* x, double* shared) {
  const double n = static_cast<double>(g.pixels * g.width);
  double sum = 0;
  over_group(g, [&](std::int64_t at, std::int64_t) { sum += x[at]; });
  const double mean = block_combine<threads>(sum, shared, Add{}) / n;
  double squares = 0;
  over_group(g, [&](std::int64_t at, std::int64_t) { squares += (x[at] - mean) * (x[at] - mean); });
  const double variance = block_combine<threads>(squares, shared, Add{}) / n;
  return {static_cast<T>(mean), static_cast<T>(1 / std::sqrt(variance + eps))};
}

template <class T>
__global__ void forward_kernel(GroupNormSpec spec, std::int64_t pixels, std::int64_t channels, const T* x,
                               const T* gamma, const T* beta, T* y) {
  __shared__ double shared[threads];
  const Group g = group_of(pixels, channels, spec.groups);
  const auto s = statistics_of(g, spec.eps, x, shared);
  over_group(g, [&](std::int64_t at, std::int64_t c) {
    const T u = (x[at] - s.mean) * (s.rstd * gamma[g.channel + c]) + beta[g.channel + c];
    y[at] = spec.silu ? u / (1 + std::exp(-u)) : u;
  });
}

/// d(silu)/du at u.
template <class T>
__device__ T silu_slope(T u) {
  const T s = 1 / (1 + std::exp(-u));
  return s * (1 + u * (1 - s));
}

/// dx, with du = g or g silu'(u) kept in it meanwhile.
template <class T>
__global__ void dx_kernel(GroupNormSpec spec, std::int64_t pixels, std::int64_t channels, const T* x, const T* gamma,
                          const T* beta, const T* cotangent, T* dx) {
  __shared__ double shared[threads];
  const Group g = group_of(pixels, channels, spec.groups);
  const auto s = statistics_of(g, spec.eps, x, shared);
  double sum = 0, sum_xhat = 0;
  over_group(g, [&](std::int64_t at, std::int64_t c) {
    const T scale = gamma[g.channel + c], xhat = (x[at] - s.mean) * s.rstd;
    const T du = spec.silu ? cotangent[at] * silu_slope(xhat * scale + beta[g.channel + c]) : cotangent[at];
    dx[at] = du * scale;
    sum += dx[at];
    sum_xhat += static_cast<double>(dx[at]) * xhat;
  });
  const double n = static_cast<double>(g.pixels * g.width);
  const T mean = static_cast<T>(block_combine<threads>(sum, shared, Add{}) / n),
          mean_xhat = static_cast<T>(block_combine<threads>(sum_xhat, shared, Add{}) / n);
  over_group(g, [&](std::int64_t at, std::int64_t) {
    const T xhat = (x[at] - s.mean) * s.rstd;
    dx[at] = s.rstd * (dx[at] - mean - xhat * mean_xhat);
  });
}

/// What is summed for the gradients of gamma (du xhat) and of beta (du), an element each.
template <class T>
__global__ void parameter_terms(GroupNormSpec spec, std::int64_t pixels, std::int64_t channels, const T* x,
                                const T* gamma, const T* beta, const T* cotangent, T* gamma_terms, T* beta_terms) {
  __shared__ double shared[threads];
  const Group g = group_of(pixels, channels, spec.groups);
  const auto s = statistics_of(g, spec.eps, x, shared);
  over_group(g, [&](std::int64_t at, std::int64_t c) {
    const T xhat = (x[at] - s.mean) * s.rstd;
    const T du =
        spec.silu ? cotangent[at] * silu_slope(xhat * gamma[g.channel + c] + beta[g.channel + c]) : cotangent[at];
    gamma_terms[at] = du * xhat;
    beta_terms[at] = du;
  });
}

dim3 blocks_of(const GroupNormSpec& spec, const Tensor& x) {
  return dim3(static_cast<unsigned>(x.dim(0) * spec.groups));
}

/// The sum of (n, h, w, c) terms over all but the channels.
void sum_channels(const Tensor& terms, Tensor& out) {
  if (!out.defined()) return;
  Tensor sum = Tensor::empty({1, 1, 1, terms.dim(3)}, terms.kind());
  sum_to(terms, sum);
  out = sum.reshaped(out.shape());
}

}  // namespace

void group_norm(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta, Tensor& y) {
  if (x.dtype() == DType::bf16) {
    const auto f = [](const Tensor& t) { return to_stored(t, DType::f32); };
    Tensor u = Tensor::empty(y.shape(), DType::f32, y.device());
    group_norm(spec, f(x), f(gamma), f(beta), u);
    y = to_stored(u, DType::bf16);
    return;
  }
  if (x.size() == 0) return;
  visit_compute(x.dtype(), "group_norm", [&](auto tag) {
    using T = decltype(tag);
    launch("group_norm", blocks_of(spec, x), dim3(threads), forward_kernel<T>, spec, x.dim(1) * x.dim(2), x.dim(3),
           x.device_data<T>(), gamma.device_data<T>(), beta.device_data<T>(), y.mutable_device_data<T>());
  });
}

void group_norm_vjp(const GroupNormSpec& spec, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                    const Tensor& g, GroupNormGrads& grads) {
  if (x.dtype() == DType::bf16) {
    const auto f = [](const Tensor& t) { return to_stored(t, DType::f32); };
    const auto e = [](const Tensor& t) { return t.defined() ? Tensor::empty(t.shape(), DType::f32, t.device()) : t; };
    GroupNormGrads wide{e(grads.x), e(grads.gamma), e(grads.beta)};
    group_norm_vjp(spec, f(x), f(gamma), f(beta), f(g), wide);
    const auto h = [](const Tensor& t) { return t.defined() ? to_stored(t, DType::bf16) : t; };
    grads = {h(wide.x), h(wide.gamma), h(wide.beta)};
    return;
  }
  if (x.size() == 0) return;
  visit_compute(x.dtype(), "group_norm_vjp", [&](auto tag) {
    using T = decltype(tag);
    const T *from = x.device_data<T>(), *scale = gamma.device_data<T>(), *shift = beta.device_data<T>(),
            *cotangent = g.device_data<T>();
    const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
    launch("group_norm_vjp", blocks_of(spec, x), dim3(threads), dx_kernel<T>, spec, pixels, channels, from, scale,
           shift, cotangent, grads.x.mutable_device_data<T>());
    if (!grads.gamma.defined() && !grads.beta.defined()) return;
    Tensor gamma_terms = Tensor::empty(x.shape(), x.kind());
    Tensor beta_terms = Tensor::empty(x.shape(), x.kind());
    launch("group_norm_vjp", blocks_of(spec, x), dim3(threads), parameter_terms<T>, spec, pixels, channels, from, scale,
           shift, cotangent, gamma_terms.mutable_device_data<T>(), beta_terms.mutable_device_data<T>());
    sum_channels(gamma_terms, grads.gamma);
    sum_channels(beta_terms, grads.beta);
  });
}

}  // namespace costate::cuda
