// Two passes: one over the events, which builds nothing, then the parser. (nlohmann's parser with a callback would do both at once,
// in time that grows with the square of an object's size.)
#include "io/strict_json.h"

#include <set>
#include <vector>

#include "core/error.h"
#include "core/json_complaint.h"

namespace costate {
namespace {

using Json = nlohmann::json;

/// Looks at names and depth, and at no value.
class Strict final : public nlohmann::json_sax<Json> {
 public:
  Strict(std::size_t depth, const std::string& where) : most_(depth), where_(where) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool start_object(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool key(string_t& name) override {
    require(seen_.back().insert(name).second, "{}: '{}' occurs twice", where_, name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception& e) override {
    fail("{}: the header is not valid JSON: {}", where_, json_complaint(e));
  }

 private:
  bool enter() {
    require(seen_.size() <= most_, "{}: the JSON text is nested more than {} deep", where_, most_);
    seen_.emplace_back();
    return true;
  }
  bool leave() {
    seen_.pop_back();
    return true;
  }

  std::size_t most_;
  const std::string& where_;
  std::vector<std::set<std::string>> seen_;  // names of every open object
};

}  // namespace

Json parse_strictly(std::string_view text, std::size_t depth, const std::string& where) {
  Strict check(depth, where);
  Json::sax_parse(text.begin(), text.end(), &check);
  return Json::parse(text.begin(), text.end());
}

const Json& member(const Json& object, const char* name, const std::string& where) {
  const auto it = object.find(name);
  require(it != object.end(), "{}: '{}' is missing in the header", where, name);
  return *it;
}

}  // namespace costate
