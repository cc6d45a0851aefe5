// Attention and its vector-Jacobian product: by the fused kernels of gpu/attention/ where they take it, else as batched products with
// a softmax between them, a band of scores at a time.
//
// With S = scale q k^T and P = softmax(S):  y = P v,  dv = P^T g,  dS = P (g v^T - <g v^T, P>),  dq = scale dS k,
// dk = scale dS^T q. Bands of queries are cut by the lengths alone; as many samples as fit beside each other go together.
#include "core/kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/copy.h"
#include "core/kernels/reduce.h"
#include "gpu/attention/heads.h"
#include "gpu/attention/ways.h"
#include "gpu/block_sum.h"
#include "gpu/cudnn/either.h"
#include "gpu/pieces.h"
#include "gpu/precision.h"
#include "gpu/products.h"

namespace costate::cuda {
namespace {

constexpr int threads = 128;                                 // of row kernels, a warp a row
constexpr std::int64_t most_scores = std::int64_t{1} << 26;  // of a band
constexpr std::int64_t most_problems = 65535;                // of one product (gpu/gemm.h)
constexpr std::int64_t chain = 512;                          // terms of a product's chains (gpu/gemm.h)

template <class T, class F>
__device__ T warp_combine(T value, const F& f) {
  for (int apart = 16; apart > 0; apart /= 2) value = f(value, __shfl_xor_sync(~0U, value, apart));
  return value;
}

/// This warp's row, or `rows` if there is none left.
__device__ std::int64_t warp_row() { return (std::int64_t{blockIdx.x} * threads + threadIdx.x) / 32; }

/// Largest of a row of scores, times scale.
template <class C>
__device__ C largest_of(const C* s, int width, C scale) {
  C best = -INFINITY;
  for (int i = threadIdx.x % 32; i < width; i += 32) best = Larger{}(best, scale * s[i]);
  return warp_combine(best, Larger{});
}

/// p = softmax(scale s) row by row, zeros from `width` to `line`. p may lie over s.
template <class C, class T>
__global__ void softmax_rows(std::int64_t rows, int width, int line, C scale, const C* s, T* p) {
  kernel_begins();
  const std::int64_t row = warp_row();
  if (row >= rows) return;
  s += row * line;
  p += row * line;
  const C best = largest_of(s, width, scale);
  C sum = 0;
  for (int i = threadIdx.x % 32; i < width; i += 32) sum += std::exp(scale * s[i] - best);
  const C factor = 1 / warp_combine(sum, Add{});
  for (int i = threadIdx.x % 32; i < line; i += 32)
    p[i] = narrow<T>(i < width ? std::exp(scale * s[i] - best) * factor : C{0});
}

/// Of s and dp = g v^T: p, and scale dS. p may lie over s, ds over dp.
template <class C, class T>
__global__ void softmax_vjp_rows(std::int64_t rows, int width, int line, C scale, const C* s, const C* dp, T* p,
                                 T* ds) {
  kernel_begins();
  const std::int64_t row = warp_row();
  if (row >= rows) return;
  s += row * line;
  dp += row * line;
  p += row * line;
  ds += row * line;
  const C best = largest_of(s, width, scale);
  C sum = 0, dot = 0;
  for (int i = threadIdx.x % 32; i < width; i += 32) {
    const C e = std::exp(scale * s[i] - best);
    sum += e;
    dot += e * dp[i];
  }
  const C factor = 1 / warp_combine(sum, Add{}), mean = warp_combine(dot, Add{}) * factor;
  for (int i = threadIdx.x % 32; i < line; i += 32) {
    const C probability = i < width ? std::exp(scale * s[i] - best) * factor : C{0};
    const C slope = i < width ? scale * probability * (dp[i] - mean) : C{0};
    p[i] = narrow<T>(probability);
    ds[i] = narrow<T>(slope);
  }
}

/// Some queries of some samples, all heads.
struct Band {
  std::int64_t sample, samples, first, rows;
};

template <class M>
class Attention {
  using T = Stored<M>;
  using C = decltype(widen(T{}));

 public:
  Attention(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v)
      : heads_(spec.heads),
        samples_(q.dim(0)),
        t_(q.dim(1)),
        s_(k.dim(1)),
        d_(q.dim(2) / heads_),
        e_(v.dim(2) / heads_),
        line_((s_ + 7) / 8 * 8),
        rows_(std::clamp<std::int64_t>(most_scores / (heads_ * line_), 1, t_)),
        scale_(static_cast<C>(spec.scale)),
        q_(tokens_in<T>(q, heads_)),
        k_(tokens_in<T>(k, heads_)),
        v_(tokens_in<T>(v, heads_)) {}

  void forward(const Tokens<T>& y) const {
    over_bands([&](const Band& b) {
      Tensor scores = products(b, q_, k_, d_), room = room_for_factor(scores);
      T* p = factor_in(scores, room);
      launch("attention", row_blocks(b), dim3(threads), softmax_rows<C, T>, row_count(b), static_cast<int>(s_),
             static_cast<int>(line_), scale_, scores.device_data<C>(), p);
      multiply(b, weights<true>(b, p), keys<false>(b, v_), queries_of(b, y), b.rows, e_, s_);
    });
  }

  /// to: where gradients go in `all`.
  void backward(const Tokens<const T>& g, const GradTokens<T>& to, Tensor& all) const {
    Tensor dk = pile(to.k, d_), dv = pile(to.v, e_);
    over_bands([&](const Band& b) {
      Tensor scores = products(b, q_, k_, d_), slopes = products(b, g, v_, e_), room = room_for_factor(scores),
             more_room = room_for_factor(slopes);
      T *p = factor_in(scores, room), *ds = factor_in(slopes, more_room);
      launch("attention_vjp", row_blocks(b), dim3(threads), softmax_vjp_rows<C, T>, row_count(b), static_cast<int>(s_),
             static_cast<int>(line_), scale_, scores.device_data<C>(), slopes.device_data<C>(), p, ds);
      multiply(b, weights<true>(b, ds), keys<false>(b, k_), queries_of(b, to.q), b.rows, d_, s_);
      if (!to.of_keys()) return;
      add(b, p, queries<false>(b, g), e_, dv, to.v);
      add(b, ds, queries<false>(b, q_), d_, dk, to.k);
    });
    if (dk.defined()) finish(dk, d_, to.k, to.q.data, all), finish(dv, e_, to.v, to.q.data, all);
  }

  [[nodiscard]] std::int64_t bands() const { return (t_ + rows_ - 1) / rows_; }

 private:
  template <class F>
  void over_bands(const F& f) const {
    const std::int64_t fit = std::min(most_scores / (heads_ * line_ * rows_), most_problems / heads_),
                       together = std::clamp<std::int64_t>(fit, 1, samples_);
    for (std::int64_t sample = 0; sample < samples_; sample += together)
      for (std::int64_t first = 0; first < t_; first += rows_)
        f(Band{sample, std::min(together, samples_ - sample), first, std::min(rows_, t_ - first)});
  }

  [[nodiscard]] std::int64_t row_count(const Band& b) const { return b.samples * heads_ * b.rows; }
  [[nodiscard]] dim3 row_blocks(const Band& b) const { return dim3(static_cast<unsigned>((row_count(b) + 3) / 4)); }

  /// Matrices of all heads of tokens [first, ...) of the band's samples.
  template <class View, class X>
  [[nodiscard]] View heads(const Tokens<X>& x, std::int64_t tokens, std::int64_t sample, std::int64_t first) const {
    return {x.data + (sample * tokens + first) * x.token, Start(tokens * x.token, x.head, heads_), x.token};
  }
  template <bool along_k>
  [[nodiscard]] Matrix<T, along_k> queries(const Band& b, const Tokens<const T>& x) const {
    return heads<Matrix<T, along_k>>(x, t_, b.sample, b.first);
  }
  template <bool along_k>
  [[nodiscard]] Matrix<T, along_k> keys(const Band& b, const Tokens<const T>& x) const {
    return heads<Matrix<T, along_k>>(x, s_, b.sample, 0);
  }
  [[nodiscard]] Output<T> queries_of(const Band& b, const Tokens<T>& x) const {
    return heads<Output<T>>(x, t_, b.sample, b.first);
  }
  /// Probabilities or slopes by (query; key), or turned round.
  template <bool along_k>
  [[nodiscard]] Matrix<T, along_k> weights(const Band& b, const T* p) const {
    return {p, Start(b.rows * line_), line_};
  }

  template <class A, class B, class Out>
  void multiply(const Band& b, const A& left, const B& right, const Output<Out>& out, std::int64_t m, std::int64_t n,
                std::int64_t k) const {
    cuda::multiply(M{}, "attention", left, right, out, {b.samples * heads_, m, n, k, piece_of(k, chain)});
  }

  /// (sample and head, query, key): rows of x times rows of y.
  [[nodiscard]] Tensor products(const Band& b, const Tokens<const T>& x, const Tokens<const T>& y,
                                std::int64_t width) const {
    Tensor scores = Tensor::empty({b.samples * heads_, b.rows, line_}, {dtype_of<C>(), Device::cuda});
    multiply(b, queries<true>(b, x), keys<true>(b, y),
             Output<C>{scores.mutable_device_data<C>(), Start(b.rows * line_), line_}, b.rows, s_, width);
    return scores;
  }
  /// What is made of scores as a factor lies over them, or in a room of its own if its type is another.
  static Tensor room_for_factor(const Tensor& scores) {
    return std::is_same_v<T, C> ? Tensor() : Tensor::empty(scores.shape(), scores.kind().with(dtype_of<T>()));
  }
  static T* factor_in(Tensor& scores, Tensor& room) {
    return (room.defined() ? room : scores).template mutable_device_data<T>();
  }

  /// Sums over bands of queries, (band, element); none if there is one band.
  [[nodiscard]] Tensor pile(const Tokens<T>& grad, std::int64_t width) const {
    return grad.data != nullptr && bands() > 1
               ? Tensor::empty({bands(), samples_ * s_ * heads_ * width}, {dtype_of<C>(), Device::cuda})
               : Tensor();
  }
  void add(const Band& b, const T* p, const Matrix<T, false>& right, std::int64_t width, Tensor& pile,
           const Tokens<T>& grad) const {
    const auto to = [&](const auto& out) { multiply(b, weights<false>(b, p), right, out, s_, width, b.rows); };
    if (!pile.defined()) return to(heads<Output<T>>(grad, s_, b.sample, 0));
    C* const sums = pile.mutable_device_data<C>() + b.first / rows_ * pile.dim(1);
    to(heads<Output<C>>(Tokens<C>{sums, heads_ * width, width}, s_, b.sample, 0));
  }
  /// Adds a pile up, to `place` in `all`, which begins at `start`.
  void finish(const Tensor& pile, std::int64_t width, const Tokens<T>& place, const T* start, Tensor& all) const {
    Tensor sum = Tensor::empty({1, pile.dim(1)}, pile.kind());
    sum_to(pile, sum);
    copy({.rank = 3,
          .extent = {samples_ * s_, heads_, width},
          .from_step = {heads_ * width, width, 1},
          .to_step = {place.token, place.head, 1},
          .to = place.data - start},
         to_stored(sum, all.dtype()), all);
  }

  std::int64_t heads_, samples_, t_, s_, d_, e_, line_, rows_;
  C scale_;
  Tokens<const T> q_, k_, v_;
};

/// By the kernels of gpu/attention/; false, and nothing is done, if they do not take it.
template <class T>
class Fused {
 public:
  Fused(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v)
      : q_(tokens_in<T>(q, spec.heads)),
        k_(tokens_in<T>(k, spec.heads)),
        v_(tokens_in<T>(v, spec.heads)),
        problems_(q.dim(0) * spec.heads) {
    const auto n = [](std::int64_t extent) { return static_cast<int>(extent); };
    z_ = {n(q.dim(1)), n(k.dim(1)), n(spec.heads), n(q.dim(2) / spec.heads), spec.scale};
    const bool whole = z_.width * sizeof(T) % 16 == 0 && in_words(q_) && in_words(k_) && in_words(v_);
    if (whole && v.dim(2) == k.dim(2)) kernels_ = fused_kernels<T>(z_);
  }

  [[nodiscard]] bool forward(const Tokens<T>& y) const {
    if (kernels_ == nullptr || !fits(kernels_->forward)) return false;
    const bool few = blocks(kernels_->forward, z_.queries) <= processors_here();
    start("attention", few ? kernels_->few : kernels_->forward, z_.queries, q_, k_, v_, y);
    return true;
  }

  [[nodiscard]] bool backward(const Tokens<const T>& g, const GradTokens<T>& to) const {
    if (kernels_ == nullptr || !in_words(g) || !fits(kernels_->query_vjp) || !fits(kernels_->key_vjp)) return false;
    using Kept = typename FusedKernels<T>::Kept;
    using C = decltype(Kept::mean);
    Tensor about = Tensor::empty({problems_, z_.queries, 3}, {dtype_of<C>(), Device::cuda});
    auto* kept = reinterpret_cast<Kept*>(about.mutable_device_data<C>());
    start("attention_vjp", kernels_->query_vjp, z_.queries, q_, k_, v_, g, to.q, kept);
    if (to.of_keys()) start("attention_vjp", kernels_->key_vjp, z_.keys, q_, k_, v_, g, kept, to.k, to.v);
    return true;
  }

 private:
  template <class K>
  static bool fits(const K& kernel) {
    return kernel.shared <= most_shared();
  }
  template <class K>
  [[nodiscard]] std::int64_t blocks(const K& kernel, std::int64_t tokens) const {
    return problems_ * ((tokens + kernel.rows - 1) / kernel.rows);
  }
  template <class K, class... A>
  void start(const char* op, const K& kernel, std::int64_t tokens, const A&... args) const {
    const std::int64_t count = blocks(kernel, tokens);
    require(count < std::int64_t{1} << 31, "{}: {} samples and heads are more than one launch holds", op, problems_);
    launch_shared(op, dim3(static_cast<unsigned>(count)), dim3(static_cast<unsigned>(kernel.threads)), kernel.shared,
                  kernel.kernel, z_, args...);
  }

  Tokens<const T> q_, k_, v_;
  std::int64_t problems_;
  Lengths z_{};
  const FusedKernels<T>* kernels_ = nullptr;
};

/// f(M{}) for the type that products run in.
template <class F>
void with_type(const char* op, DType dtype, const F& f) {
  require(dtype != DType::bf16 || has_tensor_cores(), "{}: this device has no bf16 products; use f32", op);
  if (wants_tf32(op, dtype)) return f(Tf32{});
  visit_floating(dtype, op, f);
}

/// Of a result.
template <class T>
Tokens<T> dense(Tensor& y, std::int64_t heads) {
  return {y.mutable_device_data<T>(), y.dim(2), y.dim(2) / heads};
}

void own_attention(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y) {
  with_type("attention", q.dtype(), [&]<class M>(M) {
    if constexpr (std::is_same_v<M, bf16>)
      if (groups_pay(q.dim(1), k.dim(1), q.dim(2) / spec.heads) && attend_by_groups(spec, q, k, v, y)) return;
    const auto to = dense<Stored<M>>(y, spec.heads);
    if constexpr (!std::is_same_v<M, Tf32>)
      if (Fused<M>(spec, q, k, v).forward(to)) return;
    Attention<M>(spec, q, k, v).forward(to);
  });
}

/// Whether cuDNN takes it: bf16, heads of equal and even width in whole words.
bool fits_cudnn(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto fits = [&](const Tensor& t) {
    return t.dtype() == DType::bf16 && t.dim(2) / spec.heads % 8 == 0 &&
           (t.run() < t.size() || aligned_16(t.device_data<bf16>()));
  };
  return fits(q) && fits(k) && fits(v);
}

}  // namespace

bool attend_by_warps(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y) {
  return Fused<bf16>(spec, q, k, v).forward(dense<bf16>(y, spec.heads));
}

bool attend_vjp_by_warps(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                         AttentionGrads& grads) {
  return Fused<bf16>(spec, q, k, v)
      .backward(tokens_in<bf16>(g, spec.heads), {grads.all.mutable_device_data<bf16>(), grads, spec.heads, q, k, v});
}

void attention(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y) {
  if (y.size() == 0) return;
  const auto scale = static_cast<float>(spec.scale);
  cudnn::either(cudnn::Attention{spec.heads, q.shape(), k.shape(), v.shape()}, fits_cudnn(spec, q, k, v),
                {"own", [&] { own_attention(spec, q, k, v, y); }}, [&](const cudnn::Plan& plan) {
                  plan.run("attention", {q.device_data<bf16>(), k.device_data<bf16>(), v.device_data<bf16>(),
                                         y.mutable_device_data<bf16>(), &scale});
                });
}

void attention_vjp(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                   AttentionGrads& grads) {
  with_type("attention_vjp", q.dtype(), [&]<class M>(M) {
    if constexpr (std::is_same_v<M, bf16>)
      if (groups_pay(q.dim(1), k.dim(1), q.dim(2) / spec.heads) && attend_vjp_by_groups(spec, q, k, v, g, grads))
        return;
    using T = Stored<M>;
    const auto slopes = tokens_in<T>(g, spec.heads);
    const GradTokens<T> to(grads.all.mutable_device_data<T>(), grads, spec.heads, q, k, v);
    if constexpr (!std::is_same_v<M, Tf32>)
      if (Fused<M>(spec, q, k, v).backward(slopes, to)) return;
    Attention<M>(spec, q, k, v).backward(slopes, to, grads.all);
  });
}

}  // namespace costate::cuda
