// What is wrong with a JSON text, for messages.
#pragma once

#include <exception>
#include <string>

namespace costate {

/// What the parser says, with line and column, and without the tag in brackets that its library puts first.
std::string json_complaint(const std::exception& e);

}  // namespace costate
