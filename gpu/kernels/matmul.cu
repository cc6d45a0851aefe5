// Batched matrix product with either factor transposed.
#include "core/kernels/matmul.h"

#include "gpu/gemm.h"

namespace costate::cuda {
namespace {

/// A batch of matrices as the first or second factor; batch_step 0 shares one matrix.
template <class T>
struct Matrix {
  const T* data;
  std::int64_t batch_step, row_step, column_step;
  __device__ const T* row(int i, int m) const { return data + i * batch_step + m * row_step; }
  __device__ std::int64_t term(int, int k) const { return k * column_step; }
  __device__ T operator()(const T* row, std::int64_t term) const { return row[term]; }
  __device__ T operator()(int i, int k, int n) const { return row(i, k)[n * column_step]; }
};

template <class T>
struct Store {
  T* data;
  std::int64_t batch_step, row_step;
  __device__ void operator()(int i, int row, int column, T value) const {
    data[i * batch_step + row * row_step + column] = value;
  }
};

template <class T>
Matrix<T> matrix_of(const Tensor& t, bool transposed) {
  const std::int64_t width = t.dim(2), step = t.dim(0) == 1 ? 0 : t.dim(1) * width;
  return transposed ? Matrix<T>{t.device_data<T>(), step, 1, width} : Matrix<T>{t.device_data<T>(), step, width, 1};
}

}  // namespace

void matmul(bool transpose_a, bool transpose_b, const Tensor& a, const Tensor& b, Tensor& c) {
  visit_compute(a.dtype(), "matmul", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t m = c.dim(1), n = c.dim(2), k = transpose_a ? a.dim(1) : a.dim(2);
    const Store<T> out{c.mutable_device_data<T>(), m * n, n};
    // A shared b makes the batch one tall matrix, if a's rows follow each other.
    if (b.dim(0) == 1 && !transpose_a) {
      const Matrix<T> tall{a.device_data<T>(), 0, k, 1};
      return gemm<T>("matmul", tall, matrix_of<T>(b, transpose_b), out, 1, a.dim(0) * m, n, k);
    }
    gemm<T>("matmul", matrix_of<T>(a, transpose_a), matrix_of<T>(b, transpose_b), out, c.dim(0), m, n, k);
  });
}

}  // namespace costate::cuda
