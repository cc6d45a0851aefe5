// A name with options in one word, as command lines write it: NAME or NAME:KEY=VALUE:KEY=VALUE.
#pragma once

#include <string>

#include "core/config.h"

namespace costate {

struct Spec {
  std::string name;
  Config options;
};

/// A value that is no JSON is a text. Messages begin with `kind` and the name.
Spec parse_spec(const std::string& kind, const std::string& text);

/// Sets a key of an object from "KEY=VALUE". False where there is no "=".
bool set_key_value(nlohmann::json& object, const std::string& pair);

}  // namespace costate
