// Names with options, and lists, in one word.
#include "core/spec.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace costate {

namespace {

/// A number that C writes and JSON does not: .5, 5., -.5
bool reads_as_number(const std::string& text, double& number) {
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && last == end && text.find('.') != std::string::npos;
}

}  // namespace

bool set_key_value(nlohmann::json& object, const std::string& pair) {
  const auto equals = pair.find('=');
  if (equals == std::string::npos) return false;
  const std::string value = pair.substr(equals + 1);
  const auto parsed = nlohmann::json::parse(value, nullptr, false);
  double number = 0;
  object[pair.substr(0, equals)] = !parsed.is_discarded()           ? parsed
                                   : reads_as_number(value, number) ? nlohmann::json(number)
                                                                    : nlohmann::json(value);
  return true;
}

Spec parse_spec(const std::string& kind, const std::string& text) {
  const std::string name = text.substr(0, text.find(':'));
  nlohmann::json options = nlohmann::json::object();
  for (std::size_t at = name.size(); at < text.size();) {
    const std::size_t next = std::min(text.find(':', at + 1), text.size());
    const std::string pair = text.substr(at + 1, next - at - 1);
    require(set_key_value(options, pair), "{} {}: '{}' should be KEY=VALUE", kind, name, pair);
    at = next;
  }
  return {name, Config(options, kind + " " + name)};
}

std::vector<std::string> word_list(const std::string& text) {
  if (text.empty()) return {};
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ',')
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

}  // namespace costate
