// A network whose evaluations a device repeats by itself where it can (core/replay.h).
#pragma once

#include "nn/network.h"

namespace costate {

/// Evaluates as `network` does. Shapes that come again are repeated; where a derivative is being taken in inputs on the device, the
/// evaluation is one op, repeated there and back. Not so with tangents, in the dry run, or where the derivative is in something that the
/// host sends: those go op by op. On other weights than its own, or for a derivative in them, it is the network as it was.
std::shared_ptr<const Network> replayed(std::shared_ptr<const Network> network);

/// All of `in` that is not on the device of x, so that it is sent there at each evaluation: what a Replay is told by `numbers`.
std::string host_numbers(const Inputs& in);

}  // namespace costate
