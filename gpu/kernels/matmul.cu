// Batched matrix product with either factor transposed.
#include "core/kernels/matmul.h"

#include "gpu/pieces.h"
#include "gpu/precision.h"
#include "gpu/products.h"

namespace costate::cuda {
namespace {

/// Terms of one chain: short ones, so that few rows have many blocks, where the cut is cheap. They may not follow from the number of
/// rows, which can be the batch.
template <class M>
constexpr std::int64_t chain = std::is_same_v<M, bf16> || std::is_same_v<M, Tf32> ? 512 : 128;

/// A batch of matrices as a factor, which may be a strip; a batch of one is shared.
template <class T, bool along_k>
Matrix<T, along_k> matrix_of(const Tensor& t) {
  const auto [data, line] = t.device_lines<T>(t.dim(2));
  return {data, Start(t.dim(0) == 1 ? 0 : t.dim(1) * line), line};
}

template <class M, bool transpose_a, bool transpose_b>
void product(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& addend, Tensor& c) {
  using T = Stored<M>;
  const std::int64_t m = c.dim(1), n = c.dim(2), k = transpose_a ? a.dim(1) : a.dim(2);
  // A shared b makes the batch one tall matrix, if a's rows follow each other.
  const bool tall = b.dim(0) == 1 && !transpose_a;
  const std::int64_t problems = tall ? 1 : c.dim(0), height = tall ? c.dim(0) * m : m, piece = piece_of(k, chain<M>);
  const auto left = matrix_of<T, !transpose_a>(a);
  const auto right = matrix_of<T, transpose_b>(b);
  const bool each = bias.defined() && bias.rank() == 2;  // a row for each problem
  const Bias<T> start = Bias<T>::of(each ? bias.reshaped({bias.size()}) : bias, height, Start(each ? n : 0));
  const Output<T> out{c.mutable_device_data<T>(), Start(m * n), n, start,
                      addend.defined() ? addend.device_data<T>() : nullptr};
  multiply(M{}, "matmul", left, right, out, {problems, height, n, k, piece});
}

}  // namespace

void matmul(bool transpose_a, bool transpose_b, const Tensor& a, const Tensor& b, const Tensor& bias,
            const Tensor& addend, Tensor& c) {
  if (c.size() == 0) return;
  with_products("matmul", a, b, c, [&]<class M>(M, const Tensor& a, const Tensor& b, Tensor& c) {
    const Tensor start = in_type_of(a, bias), more = in_type_of(a, addend);
    if (transpose_a)
      transpose_b ? product<M, true, true>(a, b, start, more, c) : product<M, true, false>(a, b, start, more, c);
    else
      transpose_b ? product<M, false, true>(a, b, start, more, c) : product<M, false, false>(a, b, start, more, c);
  });
}

}  // namespace costate::cuda
