// Batched matrix product with either factor transposed.
#include "core/kernels/matmul.h"

#include <algorithm>

#include "gpu/gemm.h"
#include "gpu/precision.h"

namespace costate::cuda {
namespace {

/// Terms of one chain: short ones, so that few rows have many blocks, where the cut is cheap. They may not follow from the number of
/// rows, which can be the batch.
template <class T>
constexpr std::int64_t chain = std::is_same_v<T, bf16> ? 512 : 128;

/// Products of up to this many rows, altogether, read b once: tiles would be empty, and too few to read it fast.
constexpr std::int64_t few_rows = 8;
constexpr int columns = 32, most_slices = 16;  // of a block

/// A batch of matrices as a factor; a batch of one is shared.
template <class T, bool along_k>
Matrix<T, along_k> matrix_of(const Tensor& t) {
  return {t.device_data<T>(), Start(t.dim(0) == 1 ? 0 : t.dim(1) * t.dim(2)), t.dim(2)};
}

/// A warp a piece of 32 elements of a row, with the same chains as a tile's (gpu/tiles.h): the same bits.
template <class T, class B>
__global__ void row_kernel(Matrix<T, true> a, B b, Output<T> c, Product p) {
  T* sums = dynamic_shared<T>();  // (piece, column)
  const int row = static_cast<int>(blockIdx.y), problem = static_cast<int>(blockIdx.z),
            column = static_cast<int>(threadIdx.x) % columns, n = static_cast<int>(blockIdx.x) * columns + column,
            pieces = (p.k + p.piece - 1) / p.piece, slices = static_cast<int>(blockDim.x) / columns;
  const T* left = a.row(problem, row);
  const auto right = b.row(problem, n < p.n ? n : 0);
  for (int piece = static_cast<int>(threadIdx.x) / columns; piece < pieces; piece += slices) {
    const int first = piece * p.piece, end = p.k - first < p.piece ? p.k : first + p.piece;
    T sum = 0;
#pragma unroll 16
    for (int k = first; k < end; ++k) sum += left[k] * *b.at(right, b.term(k));
    sums[piece * columns + column] = sum;
  }
  __syncthreads();
  if (static_cast<int>(threadIdx.x) >= columns || n >= p.n) return;
  T sum = 0;
  for (int piece = 0; piece < pieces; ++piece) sum += sums[piece * columns + column];
  *c.at(problem, row, n) = sum;
}

template <class T, class B>
void rows(const Matrix<T, true>& a, const B& b, const Output<T>& c, std::int64_t problems, const Product& p) {
  const std::int64_t pieces = pieces_of(p.k, p.piece);
  launch_shared("matmul",
                dim3(static_cast<unsigned>((p.n + columns - 1) / columns), static_cast<unsigned>(p.m),
                     static_cast<unsigned>(problems)),
                dim3(static_cast<unsigned>(columns * std::min<std::int64_t>(pieces, most_slices))),
                sizeof(T) * static_cast<std::size_t>(pieces * columns), row_kernel<T, B>, a, b, c, p);
}

template <class T, bool transpose_a, bool transpose_b>
void product(const Tensor& a, const Tensor& b, Tensor& c) {
  const std::int64_t m = c.dim(1), n = c.dim(2), k = transpose_a ? a.dim(1) : a.dim(2);
  // A shared b makes the batch one tall matrix, if a's rows follow each other.
  const bool tall = b.dim(0) == 1 && !transpose_a;
  const std::int64_t problems = tall ? 1 : c.dim(0), height = tall ? c.dim(0) * m : m, piece = piece_of(k, chain<T>);
  const auto left = matrix_of<T, !transpose_a>(a);
  const auto right = matrix_of<T, transpose_b>(b);
  const Output<T> out{c.mutable_device_data<T>(), Start(m * n), n};
  if constexpr (!transpose_a && !std::is_same_v<T, bf16>) {
    if (problems * height <= few_rows && n > 0 && k > 0 && k <= 256 * chain<T> && n < std::int64_t{1} << 31) {
      const auto number = [](std::int64_t extent) { return static_cast<int>(extent); };
      return rows<T>(left, right, out, problems, {number(height), number(n), number(k), number(piece), true, false});
    }
  }
  gemm<T>("matmul", left, right, out, problems, height, n, k, piece, {in_words(left), in_words(right)});
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
