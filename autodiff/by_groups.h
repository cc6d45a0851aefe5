// Work on some rows at a time, and its results as those of all rows: for what gives the same bits either way, and takes less memory so.
#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"

namespace costate {

/// What f gives for rows first ... first + count - 1, asked for `each` of all `rows` at a time and in order: its i-th tensor joined
/// along axes[i], or added up where that is negative, as what all rows share. Undefined ones stay so; a single group's result is f's own.
[[nodiscard]] Tensors by_groups(std::int64_t rows, std::int64_t each, const std::vector<int>& axes,
                                const std::function<Tensors(std::int64_t first, std::int64_t count)>& f);

}  // namespace costate
