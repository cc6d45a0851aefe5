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
/// others ("ema_model.", "ema.": as io/averages.h names them), only the averaged ones.
class CheckpointKeys {
 public:
  /// Of the keys that begin with `below`.
  explicit CheckpointKeys(const Checkpoint& checkpoint, const std::string& below = "");
  [[nodiscard]] const KeyShapes& shapes() const { return shapes_; }
  [[nodiscard]] const std::string& note() const { return note_; }  ///< what was chosen, if there was a choice
  [[nodiscard]] std::string in_file(const std::string& key) const { return prefix_ + key; }

 private:
  std::string prefix_, note_;
  KeyShapes shapes_;
};

/// Where each parameter of a network lies in a file.
struct Placement {
  std::vector<std::string> keys;  ///< as in the file
  std::vector<Shape> shapes;      ///< as in the file
};

/// Missing, surplus and wrongly shaped keys throw together: at most five of each by name, then a count.
Placement place_parameters(const Network& network, const Checkpoint& checkpoint, const CheckpointKeys& names);

/// The network with its parameters read, in this library's layout, of this kind. NaN and infinity among them throw. Without
/// `weights` only buffers are read, and the others are ghosts: for what can be said from shapes.
std::shared_ptr<const Network> load_parameters(const Network& network, const Checkpoint& checkpoint,
                                               const Placement& placement, Kind kind, bool weights);

}  // namespace costate
