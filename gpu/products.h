// Products of matrices in tensors, each compiled once, in products/, for all ops that are made of them.
#pragma once

#include "gpu/matrix.h"
#include "gpu/tiles.h"

namespace costate::cuda {

/// `problems` products, each (m x k)(k x n), the k terms in pieces of `piece` (gemm.h: piece_of).
struct Extents {
  std::int64_t problems, m, n, k, piece;
};

/// c = a b in type M (Tf32, or what a and b hold). There is one for every pair of layouts with sums as a and b hold them; for bf16,
/// two with sums in f32 as well.
template <class M, bool a_along_k, bool b_along_k, class Out>
void multiply(M, const char* op, const Matrix<Stored<M>, a_along_k>& a, const Matrix<Stored<M>, b_along_k>& b,
              const Output<Out>& c, const Extents& e);

}  // namespace costate::cuda
