// Batched matrix product with either factor transposed.
#include "core/kernels/matmul.h"

#include "gpu/gemm.h"
#include "gpu/precision.h"

namespace costate::cuda {
namespace {

/// Terms of one chain. It may not follow from the number of rows, which can be the batch.
constexpr std::int64_t chain = 512;

/// A batch of matrices as a factor (gpu/stage.h); batch_step 0 shares one matrix. Rows lie `line` apart, or terms if not along_k.
template <class T, bool along>
struct Matrix {
  static constexpr bool along_k = along;
  const T* data;
  std::int64_t batch_step, line;
  __device__ const T* row(int i, int r) const { return data + i * batch_step + (along_k ? r * line : r); }
  __device__ std::int64_t term(int k) const { return along_k ? k : k * line; }
  __device__ const T* at(const T* row, std::int64_t term) const { return row + term; }
};

template <class T, bool along_k>
Matrix<T, along_k> matrix_of(const Tensor& t) {
  return {t.device_data<T>(), t.dim(0) == 1 ? 0 : t.dim(1) * t.dim(2), t.dim(2)};
}

/// Whether rows are whole chunks of 16 bytes.
template <class T>
bool in_chunks(const Tensor& t) {
  return t.dim(2) % (16 / static_cast<std::int64_t>(sizeof(T))) == 0 && aligned_16(t.device_data<T>());
}

template <class T, bool transpose_a, bool transpose_b>
void product(const Tensor& a, const Tensor& b, Tensor& c) {
  const std::int64_t m = c.dim(1), n = c.dim(2), k = transpose_a ? a.dim(1) : a.dim(2);
  // A shared b makes the batch one tall matrix, if a's rows follow each other.
  const bool tall = b.dim(0) == 1 && !transpose_a;
  const Output<T> out{c.mutable_device_data<T>(), m * n, n};
  gemm<T>("matmul", matrix_of<T, !transpose_a>(a), matrix_of<T, transpose_b>(b), out, tall ? 1 : c.dim(0),
          tall ? c.dim(0) * m : m, n, k, piece_of(k, chain), in_chunks<T>(a) && in_chunks<T>(b));
}

}  // namespace

void matmul(bool transpose_a, bool transpose_b, const Tensor& a, const Tensor& b, Tensor& c) {
  with_products("matmul", a, b, c, [&]<class T>(T, const Tensor& a, const Tensor& b, Tensor& c) {
    if (transpose_a)
      transpose_b ? product<T, true, true>(a, b, c) : product<T, true, false>(a, b, c);
    else
      transpose_b ? product<T, false, true>(a, b, c) : product<T, false, false>(a, b, c);
  });
}

}  // namespace costate::cuda
