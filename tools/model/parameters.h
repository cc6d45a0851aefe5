// Filling a network's parameters from a checkpoint, with messages that name every key that does not fit.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "nn/family.h"

namespace costate {

/// The checkpoint's keys without a prefix that all of them share ("module.", "model."). Where averaged weights lie beside
/// others ("ema_model."), only the averaged ones.
class CheckpointKeys {
 public:
  explicit CheckpointKeys(const Checkpoint& checkpoint);
  [[nodiscard]] const KeyShapes& shapes() const { return shapes_; }
  [[nodiscard]] const std::string& note() const { return note_; }  ///< what was chosen, if there was a choice
  [[nodiscard]] std::string in_file(const std::string& key) const { return prefix_ + key; }

 private:
  std::string prefix_, note_;
  KeyShapes shapes_;
};

/// The network with its parameters read, in this library's layout and `dtype`. `keys` and `shapes` receive each parameter's key and
/// shape in the file. Missing, surplus and wrongly shaped keys throw together: at most five of each by name, then a count. So do
/// NaN and infinity among the weights.
std::shared_ptr<const Network> load_parameters(const std::shared_ptr<const Network>& network,
                                               const Checkpoint& checkpoint, const CheckpointKeys& names, DType dtype,
                                               std::vector<std::string>& keys, std::vector<Shape>& shapes);

}  // namespace costate
