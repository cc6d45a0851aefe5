// TF32's left factor where its rows lie across: products take no such tile from shared memory, so each thread loads its part to registers.
//
// Which row of the tile stands where in the product is free, as long as the result is written so: a thread's two rows are
// neighbours, so that one load of 8 bytes has both, and those of a half of a warp are in all 32 banks.
#pragma once

#include "gpu/elementwise.h"
#include "gpu/ptx_groups.h"

namespace costate::cuda {

/// Which of the tile's rows stands in row `place` of the product.
__device__ inline int row_across(int place) {
  const int word = place / 2 % 2 * 4 + place / 16 % 2 * 2 + place / 4 % 2;
  return place / 32 * 32 + word * 4 + place % 2 * 2 + place / 8 % 2;
}

/// A tile whose rows stand so, of a result or, `turned`, of one whose rows are the tile's columns.
template <class Tile, bool turned_>
struct AcrossTile : Tile {
  static constexpr bool turned = turned_;

  template <bool a_along_k, bool b_along_k, class F>
  __device__ static void visit(const float (&sum)[Tile::values], const F& f) {
    if constexpr (turned) {
      const int row = row_across(Tile::warp_row() + Tile::lane() / 4);
#pragma unroll
      for (int i = 0; i < Tile::values; i += 4)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float two[2] = {sum[i + e], sum[i + 2 + e]};
          f.template operator()<2>(i / 4 * 8 + Tile::lane() % 4 * 2 + e, row, two);
        }
    } else {
      Tile::template visit<a_along_k, b_along_k>(sum, [&]<int width>(int place, int column, const float* values) {
        f.template operator()<width>(row_across(place), column, values);
      });
    }
  }
};

/// This thread's part of 64 rows of a group: boxes of 32 rows by 32 terms, a term a line.
class RowsAcross {
 public:
  __device__ RowsAcross() {
    const int row = row_across(static_cast<int>(threadIdx.x) % 128 / 32 * 16 + static_cast<int>(threadIdx.x) % 32 / 4);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int term = half * 4 + static_cast<int>(threadIdx.x) % 4;
      at_[half] = row / 32 * (32 * 128) + term * 128 + ((row % 32 / 4) ^ term) * 16 + row % 4 * 4;
    }
  }

  /// Terms 8 k to 8 k + 7, as a product takes them (gpu/ptx_groups.h).
  __device__ void take(std::uint32_t (&a)[4], const unsigned char* tile, int k) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const auto two = *reinterpret_cast<const Pack<std::uint32_t, 2>*>(tile + at_[half] + k * (8 * 128));
      a[2 * half] = two.v[0], a[2 * half + 1] = two.v[1];
    }
  }

 private:
  int at_[2];
};

}  // namespace costate::cuda
