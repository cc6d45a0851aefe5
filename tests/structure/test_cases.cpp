// The table of op cases against the sources of the ops, and habits of the library that a search can check.
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cases/case.h"
#include "tests/support/paths.h"

namespace fs = std::filesystem;
using costate::cases;

namespace {

const fs::path root = costate::source_dir();

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// C++ files of the library.
std::vector<fs::path> library() {
  std::vector<fs::path> found;
  for (const char* room : {"core", "autodiff", "nn", "solvers", "io", "gpu", "tools/model", "tools/c"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
      const auto kind = entry.path().extension();
      if (kind == ".h" || kind == ".cpp" || kind == ".cu") found.push_back(entry.path());
    }
  }
  BOOST_TEST(found.size() > 150U);
  return found;
}

/// Complains about every file in which the pattern is found.
void forbid(const std::regex& pattern, const char* what) {
  for (const auto& file : library()) {
    const std::string text = text_of(file);
    const std::sregex_iterator none, found(text.begin(), text.end(), pattern);
    if (found != none) BOOST_ERROR(file.string() << " " << what << ": " << found->str());
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(case_table)

// Also the second op of a file has cases: names are taken from the sources.
BOOST_AUTO_TEST_CASE(every_op_name_is_covered) {
  std::set<std::string> covered, refused;
  for (const auto& file : cases()) {
    for (const auto& c : file.cases) covered.insert(c.op);
    for (const auto& w : file.wrong) refused.insert(w.op);
  }
  const std::regex name("static constexpr const char\\* name = \"([a-z0-9_]+)\"");
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(root / "autodiff/ops")) {
    const std::string text = text_of(entry.path());
    for (auto it = std::sregex_iterator(text.begin(), text.end(), name); it != std::sregex_iterator(); ++it, ++seen) {
      BOOST_TEST(covered.count((*it)[1]) == 1U, (*it)[1] << " has no case");
      BOOST_TEST(refused.count((*it)[1]) == 1U, (*it)[1] << " has no wrong call");
    }
  }
  BOOST_TEST(seen > 25);
}

BOOST_AUTO_TEST_CASE(files_are_named_and_have_a_benchmark) {
  for (const auto& file : cases()) {
    BOOST_TEST(fs::exists(root / "tests/cases" / (file.name + ".cpp")), file.name << " is not the name of its file");
    bool bench = false;
    for (const auto& c : file.cases) bench = bench || c.bench;
    BOOST_TEST(bench, file.name << " has no case of a network's size");
  }
}

BOOST_AUTO_TEST_CASE(case_names_are_unique) {
  std::set<std::string> seen;
  for (const auto& file : cases()) {
    for (const auto& c : file.cases) BOOST_TEST(seen.insert(c.op + " " + c.variant).second, c.op << " " << c.variant);
  }
}

BOOST_AUTO_TEST_CASE(the_library_neither_prints_nor_exits) {
  forbid(
      std::regex("std::(cout|cerr|clog|abort|exit|terminate|quick_exit)\\b|\\b(printf|puts|abort|exit)\\(|fmt::print"),
      "prints or ends the process");
}

BOOST_AUTO_TEST_CASE(random_bits_come_from_core_alone) {
  forbid(std::regex("#include <random>|std::rand\\b|\\bsrand\\("), "has other random numbers");
}

BOOST_AUTO_TEST_SUITE_END()
