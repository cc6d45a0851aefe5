// A network on a large batch: a few rows at a time go through all of it, so that what passes between its layers stays in the caches, and
// a device's memory does not grow with the batch.
#pragma once

#include "nn/network.h"

namespace costate {

/// Rows first ... first + count - 1 of everything; differentiable. Throws where something has other rows than x.
Inputs rows_of(const Inputs& in, std::int64_t first, std::int64_t count);

/// Evaluates as `network` does, to the bit, and has an opinion on rows_at_once. On other weights than its own it is the network as it
/// was: a gradient in the weights wants all rows in one product. `most`: elements that the largest tensor between two layers may have;
/// 0: by what the device can do.
std::shared_ptr<const Network> by_rows(std::shared_ptr<const Network> network, std::int64_t most = 0);

}  // namespace costate
