// Attention and its vector-Jacobian product without the matrix of scores: a block a query (or, for k and v, a key), which takes
// the other side in pieces of `threads` through shared memory, in order.
#include "core/kernels/attention.h"

#include <cmath>

#include "gpu/block_sum.h"
#include "gpu/precision.h"

namespace costate::cuda {
namespace {

constexpr int threads = 128;

/// Extents; d and e are the widths of one head.
struct Sizes {
  std::int64_t t, s, d, e, heads;
  double scale;
};

/// The row of a token of one sample and head.
template <class T>
__device__ T* row(T* data, std::int64_t sample, std::int64_t tokens, std::int64_t token, std::int64_t heads,
                  std::int64_t head, std::int64_t width) {
  return data + ((sample * tokens + token) * heads + head) * width;
}

template <class T>
__device__ double dot(const T* a, const T* b, std::int64_t n) {
  T sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// out[i] (+)= sum over the pieces of weight[j] * rows[j][i], for this thread's i.
template <class T>
__device__ void add_rows(const double* weight, std::int64_t count, const T* rows, std::int64_t step, std::int64_t width,
                         bool first, double factor, T* out) {
  for (std::int64_t i = threadIdx.x; i < width; i += threads) {
    double sum = first ? 0 : out[i];
    for (std::int64_t j = 0; j < count; ++j) sum += weight[j] * factor * rows[j * step + i];
    out[i] = static_cast<T>(sum);
  }
}

/// Largest score of a query and the logarithm of the sum of all e^score.
template <class T>
__device__ double log_sum(const Sizes& z, const T* q, const T* k, double* shared) {
  double largest = -INFINITY;
  for (std::int64_t j = threadIdx.x; j < z.s; j += threads)
    largest = Larger{}(largest, z.scale * dot(q, k + j * z.heads * z.d, z.d));
  largest = block_combine<threads>(largest, shared, Larger{});
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < z.s; j += threads)
    sum += std::exp(z.scale * dot(q, k + j * z.heads * z.d, z.d) - largest);
  return largest + std::log(block_combine<threads>(sum, shared, Add{}));
}

template <class T>
__global__ void forward_kernel(Sizes z, const T* q, const T* k, const T* v, T* y) {
  __shared__ double shared[threads];
  const std::int64_t query = blockIdx.x, head = blockIdx.y, sample = blockIdx.z;
  const T *mine = row(q, sample, z.t, query, z.heads, head, z.d), *keys = row(k, sample, z.s, 0, z.heads, head, z.d),
          *values = row(v, sample, z.s, 0, z.heads, head, z.e);
  const double total = log_sum(z, mine, keys, shared);
  for (std::int64_t first = 0; first < z.s; first += threads) {
    const std::int64_t j = first + threadIdx.x, count = z.s - first < threads ? z.s - first : threads;
    if (j < z.s) shared[threadIdx.x] = std::exp(z.scale * dot(mine, keys + j * z.heads * z.d, z.d) - total);
    __syncthreads();
    add_rows(shared, count, values + first * z.heads * z.e, z.heads * z.e, z.e, first == 0, 1,
             row(y, sample, z.t, query, z.heads, head, z.e));
    __syncthreads();
  }
}

/// dq, and what the keys need of every query: total, the logarithm of its sum, and mean, the sum of p dp.
template <class T>
__global__ void query_kernel(Sizes z, const T* q, const T* k, const T* v, const T* g, T* dq, double* total,
                             double* mean) {
  __shared__ double shared[threads];
  const std::int64_t query = blockIdx.x, head = blockIdx.y, sample = blockIdx.z;
  const T *mine = row(q, sample, z.t, query, z.heads, head, z.d), *keys = row(k, sample, z.s, 0, z.heads, head, z.d),
          *values = row(v, sample, z.s, 0, z.heads, head, z.e),
          *cotangent = row(g, sample, z.t, query, z.heads, head, z.e);
  const double log_of_sum = log_sum(z, mine, keys, shared);
  const auto probability = [&](std::int64_t j) {
    return std::exp(z.scale * dot(mine, keys + j * z.heads * z.d, z.d) - log_of_sum);
  };
  const auto slope = [&](std::int64_t j) { return dot(cotangent, values + j * z.heads * z.e, z.e); };
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < z.s; j += threads) sum += probability(j) * slope(j);
  sum = block_combine<threads>(sum, shared, Add{});
  for (std::int64_t first = 0; first < z.s; first += threads) {
    const std::int64_t j = first + threadIdx.x, count = z.s - first < threads ? z.s - first : threads;
    if (j < z.s) shared[threadIdx.x] = probability(j) * (slope(j) - sum);
    __syncthreads();
    add_rows(shared, count, keys + first * z.heads * z.d, z.heads * z.d, z.d, first == 0, z.scale,
             row(dq, sample, z.t, query, z.heads, head, z.d));
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    *row(total, sample, z.t, query, z.heads, head, 1) = log_of_sum;
    *row(mean, sample, z.t, query, z.heads, head, 1) = sum;
  }
}

template <class T>
__global__ void key_kernel(Sizes z, const T* q, const T* k, const T* v, const T* g, const double* total,
                           const double* mean, T* dk, T* dv) {
  __shared__ double p[threads], ds[threads];
  const std::int64_t key = blockIdx.x, head = blockIdx.y, sample = blockIdx.z;
  const T *mine = row(k, sample, z.s, key, z.heads, head, z.d), *value = row(v, sample, z.s, key, z.heads, head, z.e),
          *queries = row(q, sample, z.t, 0, z.heads, head, z.d),
          *cotangents = row(g, sample, z.t, 0, z.heads, head, z.e);
  for (std::int64_t first = 0; first < z.t; first += threads) {
    const std::int64_t i = first + threadIdx.x, count = z.t - first < threads ? z.t - first : threads;
    if (i < z.t) {
      const double score = z.scale * dot(queries + i * z.heads * z.d, mine, z.d);
      p[threadIdx.x] = std::exp(score - *row(total, sample, z.t, i, z.heads, head, 1));
      const double slope = dot(cotangents + i * z.heads * z.e, value, z.e);
      ds[threadIdx.x] = p[threadIdx.x] * (slope - *row(mean, sample, z.t, i, z.heads, head, 1));
    }
    __syncthreads();
    add_rows(p, count, cotangents + first * z.heads * z.e, z.heads * z.e, z.e, first == 0, 1,
             row(dv, sample, z.s, key, z.heads, head, z.e));
    add_rows(ds, count, queries + first * z.heads * z.d, z.heads * z.d, z.d, first == 0, z.scale,
             row(dk, sample, z.s, key, z.heads, head, z.d));
    __syncthreads();
  }
}

Sizes sizes_of(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v) {
  return {q.dim(1), k.dim(1), q.dim(2) / spec.heads, v.dim(2) / spec.heads, spec.heads, spec.scale};
}

dim3 blocks_of(std::int64_t tokens, const Sizes& z, const Tensor& t) {
  require(z.heads <= 65535 && t.dim(0) <= 65535, "attention: {} heads of {} samples are more than one launch holds",
          z.heads, t.dim(0));
  return dim3(static_cast<unsigned>(tokens), static_cast<unsigned>(z.heads), static_cast<unsigned>(t.dim(0)));
}

}  // namespace

void attention(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y) {
  if (q.dtype() == DType::bf16) {
    const auto f = [](const Tensor& t) { return to_stored(t, DType::f32); };
    Tensor u = Tensor::empty(y.shape(), DType::f32, y.device());
    attention(spec, f(q), f(k), f(v), u);
    y = to_stored(u, DType::bf16);
    return;
  }
  if (y.size() == 0) return;
  visit_compute(q.dtype(), "attention", [&](auto tag) {
    using T = decltype(tag);
    const Sizes z = sizes_of(spec, q, k, v);
    launch("attention", blocks_of(z.t, z, q), dim3(threads), forward_kernel<T>, z, q.device_data<T>(),
           k.device_data<T>(), v.device_data<T>(), y.mutable_device_data<T>());
  });
}

void attention_vjp(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                   AttentionGrads& grads) {
  if (q.dtype() == DType::bf16) {
    const auto f = [](const Tensor& t) { return to_stored(t, DType::f32); };
    const auto e = [](const Tensor& t) { return t.defined() ? Tensor::empty(t.shape(), DType::f32, t.device()) : t; };
    AttentionGrads wide{e(grads.q), e(grads.k), e(grads.v)};
    attention_vjp(spec, f(q), f(k), f(v), f(g), wide);
    const auto h = [](const Tensor& t) { return t.defined() ? to_stored(t, DType::bf16) : t; };
    grads = {h(wide.q), h(wide.k), h(wide.v)};
    return;
  }
  if (g.size() == 0) return;
  visit_compute(q.dtype(), "attention_vjp", [&](auto tag) {
    using T = decltype(tag);
    const Sizes z = sizes_of(spec, q, k, v);
    Tensor total = Tensor::empty({q.dim(0), z.t, z.heads}, q.kind().with(DType::f64));
    Tensor mean = Tensor::empty(total.shape(), q.kind().with(DType::f64));
    launch("attention_vjp", blocks_of(z.t, z, q), dim3(threads), query_kernel<T>, z, q.device_data<T>(),
           k.device_data<T>(), v.device_data<T>(), g.device_data<T>(), grads.q.mutable_device_data<T>(),
           total.mutable_device_data<double>(), mean.mutable_device_data<double>());
    if (!grads.k.defined() || !grads.v.defined()) return;
    launch("attention_vjp", blocks_of(z.s, z, q), dim3(threads), key_kernel<T>, z, q.device_data<T>(),
           k.device_data<T>(), v.device_data<T>(), g.device_data<T>(), total.device_data<double>(),
           mean.device_data<double>(), grads.k.mutable_device_data<T>(), grads.v.mutable_device_data<T>());
  });
}

}  // namespace costate::cuda
