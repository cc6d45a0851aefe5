// Registers a test for every property of every op case.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "tests/autodiff/properties.h"

namespace costate {
namespace {

using boost::unit_test::make_test_case;
using boost::unit_test::test_suite;

/// Names become parts of a --run_test path, where some characters mean something.
std::string test_name(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

void add_case(test_suite& suite, const Case& c) {
  auto* tests = BOOST_TEST_SUITE(test_name(c.op + "_" + c.variant));
  const auto add = [&](const char* name, void (*check)(const Case&)) {
    tests->add(make_test_case([&c, check] { check(c); }, name, __FILE__, __LINE__));
  };
  const bool batched = std::any_of(c.inputs.begin(), c.inputs.end(), [](const auto& input) { return input.batched; });
  add("values", check_values);
  add("ladder", check_ladder);
  add("repeats", check_repeats);
  add("guards", check_guards);
  if (!c.bench) add("derivatives", check_derivatives_of);
  if (c.spec) add("spec", check_spec);
  if (batched) add("rows", check_rows);
  suite.add(tests);
}

/// Boost.Test's own macros register before main() in the same way.
const bool registered = [] {
  auto* all = BOOST_TEST_SUITE("cases");
  for (const auto& file : cases()) {
    auto* suite = BOOST_TEST_SUITE(file.name);
    for (const auto& c : file.cases) add_case(*suite, c);
    for (const auto& call : file.wrong) {
      suite->add(make_test_case([&call] { check_wrong(call); }, test_name("wrong " + call.op + " " + call.what),
                                __FILE__, __LINE__));
    }
    all->add(suite);
  }
  boost::unit_test::framework::master_test_suite().add(all);
  return true;
}();

}  // namespace
}  // namespace costate
