// Which tiles products by warp groups take (gpu/products/groups.cu), for tests and for the bench that times each.
#pragma once

namespace costate::cuda {

/// Tiles of 64 x 64, 128 x 64, 128 x 128 and 128 x 160, whose pieces have blocks of their own; then the same tiles going through all pieces.
constexpr int group_ways = 8;

/// From now on all products go this way, or, where terms are in one piece, its tile's first; -1: the one that is estimated to take the least
/// time. The bits are the same.
void force_group_way(int way);

}  // namespace costate::cuda
