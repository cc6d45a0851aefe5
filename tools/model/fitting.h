// Which family the tensors of a checkpoint belong to, and where among them its network begins.
#pragma once

#include <memory>
#include <string>

#include "tools/model/parameters.h"

namespace costate {

struct Fitting {
  std::string family, reason;              ///< and why it was taken for one
  std::string note;                        ///< what was chosen among the tensors, if there was a choice
  std::shared_ptr<const Network> network;  ///< on shapes
  Placement place;
};

/// All tensors, or, where they fit nothing and `search` allows it, those below the one name below which they fit. Throws what is
/// wrong with all of them, or the names if there are several.
Fitting fit_network(const Config& config, const Checkpoint& checkpoint, bool search);

}  // namespace costate
