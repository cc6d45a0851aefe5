// JSON configurations: values, defaults, and messages that name the key, the value and what would do.
#include <cmath>
#include <functional>

#include "core/config.h"
#include "core/spec.h"
#include "tests/core/throws.h"

namespace costate {
namespace {

Config example() {
  return Config::parse(
      R"({"name": "ddpm", "n": 3, "half": 2.5, "whole": 4.0, "on": true, "none": null, "list": [1, 2, 3],
    "nested": [[1, 2, 3], [4, 5, 6.5]], "words": ["a", "b"], "inner": {"depth": "x"}, "big": 18446744073709551615})",
      "model.json");
}

using Strings = std::vector<std::string>;
using Integers = std::vector<std::int64_t>;

}  // namespace

BOOST_AUTO_TEST_SUITE(configs)

BOOST_AUTO_TEST_CASE(give_values_and_defaults) {
  const Config c = example();
  BOOST_TEST((c.text("name", "no") == "ddpm" && c.text("absent", "no") == "no" && c.text("none", "no") == "no"));
  BOOST_TEST((c.number("half", 0) == 2.5 && c.number("n", 0) == 3 && c.number("none", 7) == 7));
  BOOST_TEST((c.integer("n", 0) == 3 && c.integer("whole", 0) == 4 && c.integer("absent", -1) == -1));
  BOOST_TEST((c.flag("on", false) && !c.flag("absent", false)));
  BOOST_TEST((c.maybe_integer("n") == 3 && !c.maybe_integer("none") && !c.maybe_integer("absent")));
  BOOST_TEST((c.integers("list") == Integers{1, 2, 3} && c.integers("n") == Integers{3} && c.integers("none").empty()));
  BOOST_TEST((c.numbers("nested") == std::vector<double>{1, 2, 3, 4, 5, 6.5}));
  BOOST_TEST((c.extents("nested") == Integers{2, 3} && c.extents("n").empty()));
  BOOST_TEST((c.texts("words") == Strings{"a", "b"} && c.texts("name") == Strings{"ddpm"}));
  BOOST_TEST((c.has("none") && c.is_null("none") && !c.has("absent") && !c.is_null("absent") && !c.is_null("n")));
  BOOST_TEST(c.keys().size() == 11);
  BOOST_TEST(c.object("inner").text("depth", "") == "x");
  BOOST_TEST(c.object("absent").keys().empty());
  BOOST_TEST(c.choice("name", "", {"ddim", "ddpm"}) == "ddpm");
  BOOST_TEST(Config::parse(c.dump(), "again").dump() == c.dump());
  BOOST_TEST(Config().keys().empty());
}

BOOST_AUTO_TEST_CASE(name_the_file_the_key_and_the_value) {
  const Config c = example();
  check_throws([&] { return c.text("n", ""); }, {"model.json", "n = 3", "string"});
  check_throws([&] { return c.number("name", 0); }, {"model.json", "name = \"ddpm\"", "number"});
  check_throws([&] { return c.integer("half", 0); }, {"half = 2.5", "integer"});
  check_throws([&] { return c.integer("big", 0); }, {"big = 18446744073709551615", "smaller"});
  check_throws([&] { return c.flag("n", false); }, {"n = 3", "true or false"});
  check_throws([&] { return c.integers("words"); }, {"words = \"a\"", "integer"});
  check_throws([&] { return c.numbers("words"); }, {"words", "number"});
  check_throws([&] { return c.texts("list"); }, {"list = [1,2,3]", "strings"});
  check_throws([&] { return c.object("list"); }, {"list", "object"});
  check_throws([&] { return c.object("inner").number("depth", 0); }, {"model.json, inner", "depth = \"x\""});
  check_throws([&] { return c.choice("name", "", {"edm", "vp"}); }, {"name = \"ddpm\"", "edm, vp"});
  check_throws([&] { return c.unsupported("on", "only false is"), 0; }, {"model.json", "on = true", "only false is"});
}

BOOST_AUTO_TEST_CASE(read_the_infinities_that_python_writes) {
  const Config c =
      Config::parse(R"({"low": -Infinity, "high": [1, 2], "say": "a \" -Infinity", "top": Infinity})", "f");
  BOOST_TEST(c.number("low", 0) == -INFINITY);
  BOOST_TEST(c.number("top", 0) == INFINITY);
  BOOST_TEST(c.text("say", "") == "a \" -Infinity");
}

BOOST_AUTO_TEST_CASE(numbers_on_command_lines_may_begin_or_end_with_the_point) {
  const Config options = parse_spec("sampler", "ge:mu=.3:gamma=2.:a=-.5e1:b=1.2.3:c=.x:d=inf.").options;
  BOOST_TEST(options.number("mu", 0) == 0.3);
  BOOST_TEST(options.number("gamma", 0) == 2);
  BOOST_TEST(options.number("a", 0) == -5);
  for (const char* text : {"b", "c", "d"}) BOOST_TEST(!options.text(text, "").empty(), text);
}

BOOST_AUTO_TEST_CASE(refuse_what_is_no_object) {
  check_throws([] { return Config::parse("{\"a\": ", "broken.json"); }, {"broken.json", "not valid JSON"});
  check_throws([] { return Config::parse("[1]", "list.json"); }, {"list.json", "object", "array"});
}

BOOST_AUTO_TEST_CASE(suggest_the_nearest_names) {
  const Strings names{"ddim", "ddpm", "dpmpp_2m", "euler", "heun"};
  BOOST_TEST(nearest_names("eular", names).front() == "euler");
  BOOST_TEST(nearest_names("edulr", names).front() == "euler");
  BOOST_TEST(nearest_names("2m", names).front() == "dpmpp_2m");  // a part of the name
  BOOST_TEST(nearest_names("dd", names).size() <= 3);
  BOOST_TEST(nearest_names("foo", {"cos", "log", "pow"}).empty());  // half of a short name is another name
  BOOST_TEST(nearest_names("cso", {"cos", "log"}) == Strings{"cos"});
  BOOST_TEST(nearest_names("something-else", {"x", "y"}).empty());
  check_throws([&] { return fail_unknown("stepper", "eular", names), 0; },
               {"unknown stepper 'eular'", "did you mean euler"});
  check_throws([&] { return fail_unknown("stepper", "something-else", names), 0; },
               {"unknown stepper", "ddim, ddpm", "heun"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
