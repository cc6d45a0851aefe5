// What the files of this folder compile, a type each.
#pragma once

#include "gpu/gemm.h"
#include "gpu/products.h"

namespace costate::cuda {

template <class M, bool a_along_k, bool b_along_k, class Out>
void multiply(M, const char* op, const Matrix<Stored<M>, a_along_k>& a, const Matrix<Stored<M>, b_along_k>& b,
              const Output<Out>& c, const Extents& e) {
  gemm<M>(op, a, b, c, e.problems, e.m, e.n, e.k, e.piece, {in_words(a), in_words(b)});
}

}  // namespace costate::cuda
