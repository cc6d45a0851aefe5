// A network whose evaluations a device repeats by itself where it can (core/replay.h).
#pragma once

#include "nn/network.h"

namespace costate {

/// Evaluates as `network` does. Shapes that come again are repeated, unless a derivative is being taken in an input; on other
/// weights than its own it is the network as it was.
std::shared_ptr<const Network> replayed(std::shared_ptr<const Network> network);

/// All of `in` that is not on the device of x, so that it is sent there at each evaluation: what a Replay is told by `numbers`.
std::string host_numbers(const Inputs& in);

}  // namespace costate
