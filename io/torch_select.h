// Which dictionary of a PyTorch file holds the weights. The rule stands in io/checkpoint.h.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "io/torch_pickle.h"

namespace costate {

/// (dotted path from `root`, tensor) of every tensor below it, in the order of the file, through dictionaries, lists,
/// tuples and the states of objects. Optimiser states are left out when `skip_optimisers`. Error, beginning with
/// `where`, when nesting or count pass all sense (a file may share or even contain itself).
std::vector<std::pair<std::string, const PickleTensor*>> list_tensors(PickleItem root, bool skip_optimisers,
                                                                      const std::string& where);

struct Selection {
  bool found = false;
  std::string path;                 ///< dotted, "" is the root
  std::string reason;               ///< why this one, for the user
  std::vector<std::string> others;  ///< paths of other dictionaries with named tensors
};

Selection select_weights(PickleItem root, const std::string& where);

}  // namespace costate
