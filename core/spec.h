// What command lines say in one word: a name with options, NAME or NAME:KEY=VALUE:KEY=VALUE, and a list, A,B,C.
#pragma once

#include <string>
#include <vector>

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

/// The words of "A,B,C", those that are empty as well; of "" none.
std::vector<std::string> word_list(const std::string& text);

}  // namespace costate
