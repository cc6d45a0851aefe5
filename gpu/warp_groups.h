// Products in bf16 and TF32 by warp groups, on chips that have them (gpu/ptx_sm90.h): what gpu/gemm.h does elsewhere, from the same factors.
//
// The same rules: an element is one chain over k in each piece, pieces are added in order, tiles and who adds the pieces follow from how
// many blocks there are. Which products come here is decided by channels and lines, never by the batch.
#pragma once

#include <functional>

#include "gpu/boxes.h"
#include "gpu/products.h"

namespace costate::cuda {

/// A product in steps of terms (gpu/boxes.h).
struct GroupProduct {
  std::int64_t problems, m, n, steps;
  std::int64_t piece;  ///< steps
  bool a_along_k, b_along_k;
  std::int64_t first = steps;  ///< steps of the first factors; the rest are of others
};

/// Each for tiles of so many rows.
struct GroupFactors {
  std::function<Boxes(int rows)> a, b;
};

/// c = a b, in terms of the first factors and then, if not all steps are theirs, of others. In bf16, T is bf16 or f32; in Tf32 it is f32, and
/// one of a and b lies along k.
template <class M, class T>
void multiply_by_groups(M, const char* op, const GroupFactors& f, const GroupFactors& others, const Output<T>& c,
                        const GroupProduct& p);

/// Steps of a piece of a product that is to take the least time with its m rows. One piece, unless more are `gain` times as fast.
std::int64_t group_piece(std::int64_t m, std::int64_t n, std::int64_t steps, std::int64_t most_pieces, double gain);

}  // namespace costate::cuda
