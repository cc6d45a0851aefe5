// How a product's sums become its result: by way of shared memory, so that rows are written whole, and where the terms are in pieces
// added up by the blocks that have them. A cluster has a tile of the result, each of its blocks a piece.
#pragma once

#include "gpu/gemm.h"

namespace costate::cuda {

/// Blocks of a cluster, neighbours along x.
struct Cluster {
  static constexpr int most = 8;  ///< wherever there are clusters
  int blocks;
  Divisor by_blocks;
  explicit Cluster(int count) : blocks(count), by_blocks(count) {}
};

/// A block's f32 sums in its shared memory, for all of its cluster to read: rows as they are written.
template <class Tile>
class ClusterSum {
  static constexpr int rows = Tile::turned ? Tile::n : Tile::m, columns = Tile::turned ? Tile::m : Tile::n, width = 4,
                       line = columns + 16;  // a quarter of a warp writes 64 bytes of two rows: to other banks

 public:
  static constexpr int bytes = rows * line * static_cast<int>(sizeof(float));

  /// Of piece `rank`, in `room` that nobody else touches any more.
  __device__ ClusterSum(unsigned char* room, int rank, int pieces)
      : sums_(reinterpret_cast<float*>(room)), rank_(rank), pieces_(pieces) {}

  /// c from (m0, n0) on: each block adds up its share, by the same chains as where one block does all. What is behind this is the end.
  template <bool a_along_k, bool b_along_k, class Out>
  __device__ void write(const Output<Out>& c, const Product& p, int problem, int m0, int n0,
                        const float (&sum)[Tile::values]) const {
    Tile::template visit<a_along_k, b_along_k>(sum, [&]<int n>(int row, int column, const float* values) {
      *reinterpret_cast<Pack<float, n>*>(sums_ + row * line + column) = Pack<float, n>::of(values);
    });
    if (pieces_ == 1) {
      __syncthreads();
      write_share<4, 1>(c, p, problem, m0, n0, [](const float* mine, int) { return mine; });
      return;
    }
    cluster_arrive();
    cluster_wait();
    write_share<2, 4>(c, p, problem, m0, n0,
                      [](const float* mine, int piece) { return of_block(mine, static_cast<unsigned>(piece)); });
    cluster_arrive_without_news();  // None may end while another reads its sums.
    cluster_wait();
  }

 private:
  /// ... `count` words at a time, of `together` pieces; of(mine, piece) is where that piece's block has what lies at `mine`.
  template <int count, int together, class Out, class Of>
  __device__ void write_share(const Output<Out>& c, const Product& p, int problem, int m0, int n0, const Of& of) const {
    constexpr int across = columns / width, all = rows * across;
    const int step = pieces_ * Tile::threads;
    for (int first = rank_ * Tile::threads + static_cast<int>(threadIdx.x); first < all; first += count * step) {
      const auto place = [&](int i) {
        const int word = first + i * step, m = m0 + word / across, n = n0 + word % across * width;
        return ResultWord{problem, m, n, word < all && m < p.m && n < p.n};
      };
      write_words<width, count, together, float>(c, p, pieces_, place, [&](int i, int piece) {
        const int word = first + i * step;
        return *reinterpret_cast<const Pack<float, width>*>(
            of(sums_ + word / across * line + word % across * width, piece));
      });
    }
  }

  float* sums_;
  int rank_, pieces_;
};

}  // namespace costate::cuda
