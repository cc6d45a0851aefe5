// Two-operand elementwise kernels on the CPU.
#include "core/kernels/binary.h"

#include <algorithm>

#include "core/kernels/copy.h"
#include "core/kernels/pointwise.h"
#include "core/parallel.h"

namespace costate {

Shape stretched(const char* op, const Shape& a, const Shape& b) {
  require(a.rank() == b.rank(), "{}: ranks of {} and {} differ; reshape one of them", op, a, b);
  Shape s = a;
  for (int i = 0; i < a.rank(); ++i) {
    require(a[i] == b[i] || a[i] == 1 || b[i] == 1, "{}: shapes {} and {} differ in axis {}", op, a, b, i);
    s = s.with(i, a[i] == 1 ? b[i] : a[i]);
  }
  return s;
}

StretchLoops stretch_loops(const Shape& y, const Shape& a, const Shape& b) {
  const auto sa = row_major_steps(a), sb = row_major_steps(b);
  StretchLoops l;
  for (int axis = 0; axis < y.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (y[axis] == 1) continue;
    const std::int64_t n = y[axis], step_a = a[axis] == 1 ? 0 : sa[i], step_b = b[axis] == 1 ? 0 : sb[i];
    const auto last = static_cast<std::size_t>(l.rank) - 1;
    if (l.rank > 0 && l.a[last] == step_a * n && l.b[last] == step_b * n) {
      l.extent[last] *= n;
      l.a[last] = step_a;
      l.b[last] = step_b;
    } else {
      const auto at = static_cast<std::size_t>(l.rank++);
      l.extent[at] = n;
      l.a[at] = step_a;
      l.b[at] = step_b;
    }
  }
  if (l.rank == 0) l.rank = 1, l.extent[0] = 1;
  return l;
}

namespace {

template <class T, class F>
void run_loops(const StretchLoops& l, const T* a, const T* b, T* y, const F& f) {
  const auto inner = static_cast<std::size_t>(l.rank) - 1;
  std::int64_t outer = 1;
  for (std::size_t i = 0; i < inner; ++i) outer *= l.extent[i];
  // One long row is cut as well, so that plain a + b runs on all threads.
  const std::int64_t n = l.extent[inner], piece = outer == 1 ? 16384 : n, pieces = (n + piece - 1) / piece;
  parallel_ranges(outer * pieces, std::max<std::int64_t>(1, 8192 / piece), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t job = first; job < last; ++job) {
      const std::int64_t row = job / pieces, begin = job % pieces * piece, count = std::min(piece, n - begin);
      std::int64_t ia = begin * l.a[inner], ib = begin * l.b[inner], rest = row;
      for (std::size_t i = inner; i-- > 0;) {
        const std::int64_t k = rest % l.extent[i];
        rest /= l.extent[i];
        ia += k * l.a[i];
        ib += k * l.b[i];
      }
      const T *pa = a + ia, *pb = b + ib;
      T* out = y + row * n + begin;
      if (l.a[inner] == 1 && l.b[inner] == 1) {
        for (std::int64_t i = 0; i < count; ++i) out[i] = f(pa[i], pb[i]);
      } else if (l.a[inner] == 1) {
        for (std::int64_t i = 0; i < count; ++i) out[i] = f(pa[i], pb[0]);
      } else {
        for (std::int64_t i = 0; i < count; ++i) out[i] = f(pa[i * l.a[inner]], pb[i * l.b[inner]]);
      }
    }
  });
}

template <class F>
void binary(const Tensor& a, const Tensor& b, Tensor& y, const F& f) {
  if (y.size() == 0) return;
  const StretchLoops l = stretch_loops(y.shape(), a.shape(), b.shape());
  visit_dtype(y.dtype(), [&](auto tag) {
    using T = decltype(tag);
    run_loops(l, a.data<T>(), b.data<T>(), y.mutable_data<T>(),
              [&](T u, T v) { return narrow<T>(f(widen(u), widen(v))); });
  });
}

}  // namespace

void cpu::lincomb(double alpha, double beta, const Tensor& a, const Tensor& b, Tensor& y) {
  if (alpha == 1 && beta == 1) return binary(a, b, y, [](auto u, auto v) { return u + v; });
  if (alpha == 1 && beta == -1) return binary(a, b, y, [](auto u, auto v) { return u - v; });
  binary(a, b, y, [alpha, beta](auto u, auto v) {
    using C = decltype(u);
    return static_cast<C>(static_cast<C>(alpha) * u + static_cast<C>(beta) * v);
  });
}

void cpu::mul(const Tensor& a, const Tensor& b, Tensor& y) {
  binary(a, b, y, [](auto u, auto v) { return u * v; });
}

}  // namespace costate
