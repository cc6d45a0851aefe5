// Network families: how a configuration and the keys of a checkpoint become a network. One file of nn/families each.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "core/config.h"
#include "nn/network.h"

namespace costate {

/// Keys of a checkpoint with the shapes that lie there (prefixes such as "module." taken off).
using KeyShapes = std::map<std::string, Shape>;

struct Family {
  std::string name;     ///< as `family` in a configuration
  std::string summary;  ///< one line for `costate list families`
  /// Why this configuration or these keys are of this family: a short reason, or an empty string if they are not.
  std::function<std::string(const Config&, const KeyShapes&)> recognise;
  /// The network with ghosts (shapes only) for parameters. Values of the configuration it does not support throw.
  std::function<std::shared_ptr<const Network>(const Config&, const KeyShapes&)> make;
  std::vector<std::string> aliases = {};  ///< other names in configurations
};

/// `recognise` of a family that its keys give away: all of these are there, below one of the prefixes ("" or "model.").
std::function<std::string(const Config&, const KeyShapes&)> by_keys(std::vector<std::string> wanted,
                                                                    std::vector<std::string> prefixes = {""});

/// `make` of a family whose network is a struct (see NetworkOf), from the function that makes it of the configuration, or of the
/// configuration and the keys.
template <class Make>
std::function<std::shared_ptr<const Network>(const Config&, const KeyShapes&)> network_by(Make make) {
  return [make](const Config& config, const KeyShapes& keys) -> std::shared_ptr<const Network> {
    const auto made = [&] {
      if constexpr (std::is_invocable_v<Make, const Config&, const KeyShapes&>)
        return make(config, keys);
      else
        return make(config);
    };
    return std::make_shared<const NetworkOf<decltype(made())>>(made());
  };
}

/// All families, from the files of nn/families.
const std::vector<Family>& families();

/// The family named by `family` in the configuration, or the one that recognises it; `reason` says why. Throws if none
/// does.
const Family& find_family(const Config& config, const KeyShapes& keys, std::string& reason);

}  // namespace costate
