// JSON configurations and the messages about them.
#include "core/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json_complaint.h"
#include "core/shape.h"

namespace costate {

using nlohmann::json;

Config::Config() : object_(std::make_shared<const json>(json::object())), where_("configuration") {}

Config::Config(const json& object, const std::string& where)
    : object_(std::make_shared<const json>(object)), where_(where) {
  require(object_->is_object(), "{}: wants a JSON object, holds {}", where_, object_->type_name());
}

namespace {

/// Python writes infinities bare, which is no JSON: -Infinity becomes "-Infinity", which `number` reads.
std::string with_quoted_infinities(const std::string& text) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto here = [&](const std::string& word) { return !quoted && text.compare(i, word.size(), word) == 0; };
    const std::string word = here("-Infinity") ? "-Infinity" : here("Infinity") ? "Infinity" : "";
    if (!word.empty()) {
      out += '"' + word + '"';
      i += word.size() - 1;
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    out += text[i];
    if (quoted && text[i] == '\\' && i + 1 < text.size()) out += text[++i];
  }
  return out;
}

}  // namespace

Config Config::parse(const std::string& text, const std::string& where) {
  try {
    return {json::parse(with_quoted_infinities(text)), where};
  } catch (const json::exception& e) {
    fail("{}: not valid JSON: {}", where, json_complaint(e));
  }
}

bool Config::has(const std::string& key) const { return object_->contains(key); }
bool Config::is_null(const std::string& key) const { return has(key) && (*object_)[key].is_null(); }

std::vector<std::string> Config::keys() const {
  std::vector<std::string> all;
  for (const auto& [key, value] : object_->items()) all.push_back(key);
  return all;
}

namespace {

/// The value of a key, or nothing where it is absent or null.
const json* find(const json& object, const std::string& key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

[[noreturn]] void wrong_type(const std::string& where, const std::string& key, const json& value, const char* wanted) {
  std::string shown = value.dump();
  if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
  fail("{}: {} = {} should be {}", where, key, shown, wanted);
}

std::int64_t to_integer(const std::string& where, const std::string& key, const json& value) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{1} << 62)
    wrong_type(where, key, value, "a smaller integer");
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>() &&
      std::abs(value.get<double>()) < 1e15)
    return static_cast<std::int64_t>(value.get<double>());
  wrong_type(where, key, value, "an integer");
}

/// Numbers of a nested list, row by row; a matrix per component is the deepest that anything means.
void flatten(const std::string& where, const std::string& key, const json& value, std::vector<double>& out,
             int depth = 0) {
  if (value.is_array() && depth < Shape::max_rank) {
    for (const auto& v : value) flatten(where, key, v, out, depth + 1);
  } else if (value.is_number()) {
    out.push_back(value.get<double>());
  } else {
    wrong_type(where, key, value, "a number or a list of numbers");
  }
}

}  // namespace

std::string Config::text(const std::string& key, const std::string& otherwise) const {
  const json* v = find(*object_, key);
  if (v == nullptr) return otherwise;
  if (!v->is_string()) wrong_type(where_, key, *v, "a string");
  return v->get<std::string>();
}

double Config::number(const std::string& key, double otherwise) const {
  const json* v = find(*object_, key);
  if (v == nullptr) return otherwise;
  if (*v == "Infinity") return INFINITY;
  if (*v == "-Infinity") return -INFINITY;
  if (!v->is_number()) wrong_type(where_, key, *v, "a number");
  return v->get<double>();
}

std::int64_t Config::integer(const std::string& key, std::int64_t otherwise) const {
  return maybe_integer(key).value_or(otherwise);
}

std::optional<std::int64_t> Config::maybe_integer(const std::string& key) const {
  const json* v = find(*object_, key);
  if (v == nullptr) return std::nullopt;
  return to_integer(where_, key, *v);
}

bool Config::flag(const std::string& key, bool otherwise) const {
  const json* v = find(*object_, key);
  if (v == nullptr) return otherwise;
  if (!v->is_boolean()) wrong_type(where_, key, *v, "true or false");
  return v->get<bool>();
}

std::vector<std::int64_t> Config::integers(const std::string& key) const {
  std::vector<std::int64_t> all;
  const json* v = find(*object_, key);
  if (v == nullptr) return all;
  if (!v->is_array()) return {to_integer(where_, key, *v)};
  for (const auto& element : *v) all.push_back(to_integer(where_, key, element));
  return all;
}

std::vector<std::vector<std::int64_t>> Config::integer_lists(const std::string& key) const {
  std::vector<std::vector<std::int64_t>> all;
  const json* v = find(*object_, key);
  if (v == nullptr) return all;
  if (!v->is_array()) return {{to_integer(where_, key, *v)}};
  for (const auto& element : *v) {
    all.emplace_back();
    if (!element.is_array()) all.back().push_back(to_integer(where_, key, element));
    for (const auto& each : element.is_array() ? element : json::array())
      all.back().push_back(to_integer(where_, key, each));
  }
  return all;
}

std::vector<bool> Config::flags(const std::string& key) const {
  std::vector<bool> all;
  const json* v = find(*object_, key);
  if (v == nullptr) return all;
  for (const auto& element : v->is_array() ? *v : json::array({*v})) {
    if (!element.is_boolean()) wrong_type(where_, key, *v, "true or false, or a list of them");
    all.push_back(element.get<bool>());
  }
  return all;
}

std::vector<double> Config::numbers(const std::string& key) const {
  std::vector<double> all;
  if (const json* v = find(*object_, key)) flatten(where_, key, *v, all);
  return all;
}

std::vector<std::string> Config::texts(const std::string& key) const {
  std::vector<std::string> all;
  const json* v = find(*object_, key);
  if (v == nullptr) return all;
  if (v->is_string()) return {v->get<std::string>()};
  if (!v->is_array()) wrong_type(where_, key, *v, "a list of strings");
  for (const auto& element : *v) {
    if (!element.is_string()) wrong_type(where_, key, *v, "a list of strings");
    all.push_back(element.get<std::string>());
  }
  return all;
}

Config Config::object(const std::string& key) const {
  const json* v = find(*object_, key);
  if (v == nullptr) return {json::object(), where_ + ", " + key};
  if (!v->is_object()) wrong_type(where_, key, *v, "an object");
  return {*v, where_ + ", " + key};
}

std::vector<std::int64_t> Config::extents(const std::string& key) const {
  std::vector<std::int64_t> dims;
  for (const json* v = find(*object_, key); v != nullptr && v->is_array(); v = v->empty() ? nullptr : &v->front())
    dims.push_back(static_cast<std::int64_t>(v->size()));
  return dims;
}

void Config::unsupported(const std::string& key, const std::string& choices) const {
  const json* v = find(*object_, key);
  fail("{}: {} = {} is not supported; {}", where_, key, v == nullptr ? "null" : v->dump(), choices);
}

std::string Config::choice(const std::string& key, const std::string& otherwise,
                           const std::vector<std::string>& choices) const {
  std::string value = text(key, otherwise);
  if (std::find(choices.begin(), choices.end(), value) == choices.end())
    unsupported(key, fmt::format("supported: {}", fmt::join(choices, ", ")));
  return value;
}

std::string Config::dump() const { return object_->dump(); }

namespace {

/// Edits (insert, delete, replace, swap neighbours) between two names.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(const std::string& name, const std::vector<std::string>& candidates) {
  std::vector<std::pair<std::size_t, std::string>> scored;
  for (const auto& c : candidates) scored.emplace_back(c.find(name) != std::string::npos ? 0 : distance(name, c), c);
  std::sort(scored.begin(), scored.end());
  std::vector<std::string> best;
  for (const auto& [score, c] : scored) {
    if (best.size() < 3 && score <= std::max<std::size_t>(1, (name.size() + 1) / 3)) best.push_back(c);
  }
  return best;
}

void fail_unknown(const std::string& kind, const std::string& name, const std::vector<std::string>& candidates) {
  const auto near = nearest_names(name, candidates);
  if (near.empty()) fail("unknown {} '{}'; there are: {}", kind, name, fmt::join(candidates, ", "));
  fail("unknown {} '{}'; did you mean {}?", kind, name, fmt::join(near, ", "));
}

void check_options(const std::string& what, const Config& options, const std::vector<std::string>& known) {
  for (const auto& key : options.keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    require(!known.empty(), "{}: has no option {}; it takes none", what, key);
    fail_unknown("option of " + what, key, known);
  }
}

}  // namespace costate
