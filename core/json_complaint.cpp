// The text behind the tag.
#include "core/json_complaint.h"

namespace costate {

std::string json_complaint(const std::exception& e) {
  const std::string text = e.what();
  const auto tag = text.starts_with("[json.exception.") ? text.find("] ") : std::string::npos;
  return tag == std::string::npos ? text : text.substr(tag + 2);
}

}  // namespace costate
