// Configurations: values, defaults, and messages that name file, key, value and what would do.
#include <boost/test/unit_test.hpp>

#include "core/config.h"

using namespace costate;

namespace {

/// A message must hold all of these.
auto says(std::vector<std::string> parts) {
  return [parts](const Error& e) {
    const std::string text = e.what();
    for (const auto& part : parts) {
      if (text.find(part) == std::string::npos) return false;
    }
    return true;
  };
}

Config example() {
  return Config::parse(R"({"name": "unet", "eps": 1e-5, "layers": 2, "whole": 3.0, "silu": true, "none": null, "one": 7,
    "list": [1, 2, 3], "table": [[1, 2.5], [3, 4], [5, 6]], "words": ["a", "b"], "inner": {"act": "swish"}, "mixed": [1, "x"]})",
                       "net.json");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(config)

BOOST_AUTO_TEST_CASE(values_and_defaults) {
  const Config c = example();
  BOOST_TEST(c.text("name", "") == "unet");
  BOOST_TEST(c.text("absent", "other") == "other");
  BOOST_TEST(c.number("eps", 0) == 1e-5);
  BOOST_TEST(c.number("layers", 0) == 2);
  BOOST_TEST(c.integer("layers", 0) == 2);
  BOOST_TEST(c.integer("whole", 0) == 3);
  BOOST_TEST(c.flag("silu", false));
  BOOST_TEST(c.has("none"));
  BOOST_TEST(c.is_null("none"));
  BOOST_TEST(!c.has("absent"));
  BOOST_TEST(!c.is_null("absent"));
  BOOST_TEST(c.integer("none", 5) == 5);
  BOOST_TEST(!c.maybe_integer("none").has_value());
  BOOST_TEST(c.integers("one") == std::vector<std::int64_t>{7});
  BOOST_TEST(c.integers("list") == (std::vector<std::int64_t>{1, 2, 3}));
  BOOST_TEST(c.integers("absent").empty());
  BOOST_TEST(c.numbers("table") == (std::vector<double>{1, 2.5, 3, 4, 5, 6}));
  BOOST_TEST(c.extents("table") == (std::vector<std::int64_t>{3, 2}));
  BOOST_TEST(c.texts("words") == (std::vector<std::string>{"a", "b"}));
  BOOST_TEST(c.object("inner").text("act", "") == "swish");
  BOOST_TEST(c.object("absent").keys().empty());
  BOOST_TEST(Config::parse(c.dump(), "again").keys() == c.keys());
}

BOOST_AUTO_TEST_CASE(wrong_types_name_file_key_and_value) {
  const Config c = example();
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.text("eps", "")), Error, says({"net.json", "eps", "1e-05", "string"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.number("name", 0)), Error, says({"net.json", "name", "unet", "number"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.integer("eps", 0)), Error, says({"net.json", "eps", "integer"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.integer("silu", 0)), Error, says({"silu", "integer"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.flag("layers", false)), Error, says({"layers", "true or false"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.integers("words")), Error, says({"words"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.numbers("mixed")), Error, says({"mixed"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.texts("mixed")), Error, says({"mixed"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.object("name")), Error, says({"name", "object"}));
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.object("inner").number("act", 0)), Error,
                        says({"net.json", "inner", "act"}));
}

BOOST_AUTO_TEST_CASE(integers_that_do_not_fit) {
  const Config c = Config::parse(R"({"big": 18446744073709551615, "float": 1e30, "infinite": 1e15})", "f");
  for (const char* key : {"big", "float", "infinite"})
    BOOST_CHECK_EXCEPTION(static_cast<void>(c.integer(key, 0)), Error, says({key}));
}

BOOST_AUTO_TEST_CASE(text_that_is_not_json) {
  for (const char* text : {"", "{", "{\"a\": }", "{\"a\": 1} x", "\xff\xfe"}) {
    BOOST_CHECK_EXCEPTION(static_cast<void>(Config::parse(text, "net.json")), Error, says({"net.json"}));
  }
  for (const char* text : {"[1, 2]", "3", "null"}) {
    BOOST_CHECK_EXCEPTION(static_cast<void>(Config::parse(text, "net.json")), Error, says({"net.json", "object"}));
  }
}

BOOST_AUTO_TEST_CASE(choices) {
  const Config c = example();
  BOOST_TEST(c.choice("name", "", {"unet", "vit"}) == "unet");
  BOOST_CHECK_EXCEPTION(static_cast<void>(c.choice("name", "", {"dit", "vit"})), Error,
                        says({"net.json", "name", "unet", "dit, vit"}));
  BOOST_CHECK_EXCEPTION(c.unsupported("list", "use 3"), Error, says({"list", "[1,2,3]", "use 3"}));
}

BOOST_AUTO_TEST_CASE(names_that_are_nearly_right) {
  const std::vector<std::string> samplers{"ddim", "euler", "heun", "dpmpp-2m"};
  BOOST_TEST(nearest_names("ddmi", samplers).front() == "ddim");
  BOOST_TEST(nearest_names("eulr", samplers).front() == "euler");
  BOOST_TEST(nearest_names("dpmpp", samplers).front() == "dpmpp-2m");
  BOOST_TEST(nearest_names("xyzzyxyz", {"ddim"}).empty());
  BOOST_CHECK_EXCEPTION(fail_unknown("sampler", "hein", samplers), Error, says({"sampler", "hein", "heun"}));
  BOOST_CHECK_EXCEPTION(fail_unknown("sampler", "q", {"ddim", "euler"}), Error, says({"there are: ddim, euler"}));
}

BOOST_AUTO_TEST_SUITE_END()
