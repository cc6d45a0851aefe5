// The pieces of a product's terms, added up by the blocks that have them: a cluster has a tile of the result, each of its blocks a piece.
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
    cluster_arrive();
    cluster_wait();
    constexpr int across = columns / width;
    for (int i = rank_ * Tile::threads + static_cast<int>(threadIdx.x); i < rows * across;
         i += pieces_ * Tile::threads) {
      const int row = i / across, column = i % across * width;
      if (m0 + row < p.m && n0 + column < p.n)
        write_pieces<width, float>(c, p, problem, m0 + row, n0 + column, pieces_, [&](std::int64_t piece) {
          return *reinterpret_cast<const Pack<float, width>*>(
              of_block(sums_ + row * line + column, static_cast<unsigned>(piece)));
        });
    }
    cluster_arrive_without_news();  // None may end while another reads its sums.
    cluster_wait();
  }

 private:
  float* sums_;
  int rank_, pieces_;
};

}  // namespace costate::cuda
