// What a network is evaluated on: read from an HDF5 file, or noise of the usual size for timing.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "io/hdf5.h"
#include "tools/model/model.h"

namespace costate {

/// What a network is evaluated on, by the names that files use.
using NamedTensors = std::map<std::string, Tensor>;

/// In the model's dtype and on its device; indices as they are, on the host.
Tensor as_taken(const Tensor& t, const Model& model);

/// The same of what no indices are: whole numbers, too, as those of images, become the model's dtype.
Tensor as_real(const Tensor& t, const Model& model);

/// Labels (n) as i32; throws, beginning with `where`, for what are no whole numbers.
Tensor as_labels(const Tensor& t, const std::string& where);

/// x, and as they are there t, class, z, alpha, sigma and the network's further inputs under their own names; g is left to
/// the caller. Throws, beginning with `where`, for x of another kind, a missing time or further input, and a name the network does not know.
Inputs make_inputs(const NamedTensors& given, const Model& model, const std::string& where);

/// The same from the datasets of a file.
Inputs read_inputs(const Hdf5Reader& file, const Model& model);

/// Seeded noise for everything the network cannot do without, at the middle of its schedule.
Inputs noise_inputs(const Model& model, std::uint64_t seed, std::int64_t rows);

/// Names of the given inputs that a derivative can be taken in: x, z, then the further ones.
std::vector<std::string> differentiable_inputs(const Inputs& in, const Signature& s);

}  // namespace costate
