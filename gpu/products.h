// Products of matrices in tensors, each compiled once, in products/, for all ops that are made of them.
#pragma once

#include "gpu/matrix.h"
#include "gpu/tiles.h"

namespace costate::cuda {

/// `problems` products, each (m x k)(k x n), the k terms in pieces of `piece` (gemm.h: piece_of).
struct Extents {
  std::int64_t problems, m, n, k, piece;
};

/// c = a b in type M (Tf32, or what a and b hold), for every pair of layouts. Sums that are not as a and b hold them (of bf16, in f32)
/// are there for two.
template <class M, class Out>
struct MatrixProduct {
  using T = Stored<M>;
  static constexpr bool as_stored = std::is_same_v<Out, T>;
  template <bool along_k>
  using In = const Matrix<T, along_k>&;
  using To = const Output<Out>&;

  static void of(const char* op, In<true> a, In<true> b, To c, const Extents& e);
  static void of(const char* op, In<false> a, In<false> b, To c, const Extents& e);
  static void of(const char* op, In<true> a, In<false> b, To c, const Extents& e) requires as_stored;
  static void of(const char* op, In<false> a, In<true> b, To c, const Extents& e) requires as_stored;
};

template <class M, bool a_along_k, bool b_along_k, class Out>
void multiply(M, const char* op, const Matrix<Stored<M>, a_along_k>& a, const Matrix<Stored<M>, b_along_k>& b,
              const Output<Out>& c, const Extents& e) {
  MatrixProduct<M, Out>::of(op, a, b, c, e);
}

}  // namespace costate::cuda
