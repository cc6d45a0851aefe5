// What the files of this folder compile, a type each.
#pragma once

#include "gpu/gemm.h"
#include "gpu/precision.h"
#include "gpu/products.h"
#include "gpu/warp_groups.h"

namespace costate::cuda {

/// Pieces by the number of terms alone, and only of many: a block of warp groups is soon through few.
template <class M, bool a_along_k, bool b_along_k, class Out>
void multiply_matrices_by_groups(const char* op, const Matrix<Stored<M>, a_along_k>& a,
                                 const Matrix<Stored<M>, b_along_k>& b, const Output<Out>& c, const Extents& e) {
  constexpr std::int64_t longest = 36;  // steps
  const std::int64_t steps = steps_of<M>(e.k), piece = pieces_of(steps, pieces_of(steps, longest));
  multiply_by_groups(M{}, op,
                     {[&](int rows) { return boxes_of<M>(op, a, e.m, e.k, e.problems, rows); },
                      [&](int rows) { return boxes_of<M>(op, b, e.n, e.k, e.problems, rows); }},
                     {}, c, {e.problems, e.m, e.n, steps, piece, a_along_k, b_along_k});
}

template <class M, bool a_along_k, bool b_along_k, class Out>
void multiply_matrices(const char* op, const Matrix<Stored<M>, a_along_k>& a, const Matrix<Stored<M>, b_along_k>& b,
                       const Output<Out>& c, const Extents& e) {
  if constexpr (std::is_same_v<M, bf16> || (std::is_same_v<M, Tf32> && (a_along_k || b_along_k)))
    if (e.k > 0 && in_words(a) && in_words(b) && has_warp_groups())
      return multiply_matrices_by_groups<M>(op, a, b, c, e);
  gemm<M>(op, a, b, c, e.problems, e.m, e.n, e.k, e.piece, {in_words(a), in_words(b)});
}

template <class M, class Out>
void MatrixProduct<M, Out>::of(const char* op, In<true> a, In<true> b, To c, const Extents& e) {
  multiply_matrices<M>(op, a, b, c, e);
}
template <class M, class Out>
void MatrixProduct<M, Out>::of(const char* op, In<false> a, In<false> b, To c, const Extents& e) {
  multiply_matrices<M>(op, a, b, c, e);
}
template <class M, class Out>
void MatrixProduct<M, Out>::of(const char* op, In<true> a, In<false> b, To c, const Extents& e) requires as_stored {
  multiply_matrices<M>(op, a, b, c, e);
}
template <class M, class Out>
void MatrixProduct<M, Out>::of(const char* op, In<false> a, In<true> b, To c, const Extents& e) requires as_stored {
  multiply_matrices<M>(op, a, b, c, e);
}

}  // namespace costate::cuda
