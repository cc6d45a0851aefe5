// The tree itself: includes point downwards, every op has its cases, devices are named in few places, files stay small.
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cases/case.h"

namespace fs = std::filesystem;
using costate::cases;

namespace {

const fs::path root = COSTATE_SOURCE_DIR;

/// Source files under a folder, by their path from the root.
std::vector<std::string> sources(const std::vector<std::string>& folders) {
  std::vector<std::string> found;
  for (const auto& folder : folders) {
    if (!fs::exists(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const std::string extension = entry.path().extension();
      if (extension == ".h" || extension == ".cpp" || extension == ".cu")
        found.push_back(fs::relative(entry.path(), root));
    }
  }
  BOOST_TEST(!found.empty());
  return found;
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(root / path).rdbuf();
  return text.str();
}

std::vector<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::vector<std::string> found;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), pattern); it != std::sregex_iterator(); ++it)
    found.push_back((*it)[1]);
  return found;
}

std::string first_folder(const std::string& path) { return path.substr(0, path.find('/')); }

/// Names of .cpp files of a folder, without the extension.
std::set<std::string> stems(const std::string& folder) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(root / folder)) {
    if (entry.path().extension() == ".cpp") found.insert(entry.path().stem());
  }
  BOOST_TEST(!found.empty());
  return found;
}

const std::vector<std::string> library = {"core", "autodiff", "nn", "solvers", "io", "gpu"};

}  // namespace

BOOST_AUTO_TEST_SUITE(structure)

BOOST_AUTO_TEST_CASE(includes_never_point_upwards) {
  const std::map<std::string, std::set<std::string>> allowed = {
      {"core", {"core"}},
      {"autodiff", {"core", "autodiff"}},
      {"nn", {"core", "autodiff", "nn"}},
      {"solvers", {"core", "autodiff", "solvers"}},
      {"io", {"core", "io"}},
      {"gpu", {"core", "gpu"}},
  };
  for (const auto& file : sources(library)) {
    for (const auto& included : matches(text_of(file), std::regex("#\\s*include \"([^\"]+)\""))) {
      BOOST_TEST(allowed.at(first_folder(file)).count(first_folder(included)) == 1U, file << " includes " << included);
    }
  }
}

BOOST_AUTO_TEST_CASE(project_includes_start_at_the_root) {
  for (const auto& file : sources(library)) {
    for (const auto& included : matches(text_of(file), std::regex("#\\s*include \"([^\"]+)\"")))
      BOOST_TEST(fs::exists(root / included), file << " includes " << included);
  }
}

BOOST_AUTO_TEST_CASE(devices_are_named_in_few_places) {
  const std::regex allowed("core/(device\\.h|kernel\\.h|memory\\.(h|cpp)|kernels/[a-z0-9_]+\\.h)|gpu/.*");
  const std::regex named("\\bcuda\\b|Device::cuda|\\bCUDA\\b");
  for (const auto& file : sources(library)) {
    if (std::regex_match(file, allowed)) continue;
    // "torch.cuda" is a word of PyTorch's file format.
    const std::string text = std::regex_replace(text_of(file), std::regex("torch\\.cuda"), "");
    BOOST_TEST(!std::regex_search(text, named), file << " names a device");
  }
}

BOOST_AUTO_TEST_CASE(every_op_has_its_cases) {
  const auto ops = stems("autodiff/ops"), files = stems("tests/cases");
  for (const auto& op : ops)
    BOOST_TEST(files.count(op) == 1U, "autodiff/ops/" << op << ".cpp has no tests/cases/" << op << ".cpp");
  for (const auto& file : files)
    BOOST_TEST(ops.count(file) == 1U, "tests/cases/" << file << ".cpp belongs to no file of autodiff/ops");
  std::set<std::string> covered, refused;
  for (const auto& file : cases()) {
    BOOST_TEST(files.count(file.name) == 1U, file.name << " is not the name of its file");
    for (const auto& c : file.cases) covered.insert(c.op);
    for (const auto& w : file.wrong) refused.insert(w.op);
  }
  const std::regex name("static constexpr const char\\* name = \"([a-z0-9_]+)\"");
  std::size_t seen = 0;
  for (const auto& op : ops) {
    for (const auto& defined : matches(text_of("autodiff/ops/" + op + ".cpp"), name)) {
      ++seen;
      BOOST_TEST(covered.count(defined) == 1U, defined << " has no case");
      BOOST_TEST(refused.count(defined) == 1U, defined << " has no wrong call");
    }
  }
  BOOST_TEST(seen > 25U);  // else the pattern no longer finds the names
}

BOOST_AUTO_TEST_CASE(every_op_file_has_a_benchmark) {
  for (const auto& file : cases()) {
    bool bench = false;
    for (const auto& c : file.cases) bench = bench || c.bench;
    BOOST_TEST(bench, file.name << " has no case of a network's size");
  }
}

BOOST_AUTO_TEST_CASE(case_names_are_unique) {
  std::set<std::string> seen;
  for (const auto& file : cases()) {
    for (const auto& c : file.cases)
      BOOST_TEST(seen.insert(c.op + " " + c.variant).second, c.op << " " << c.variant << " twice");
  }
}

BOOST_AUTO_TEST_CASE(kernels_come_in_pairs) {
  for (const auto& file : sources({"core/kernels"})) {
    const fs::path path = root / file;
    if (path.extension() == ".cpp")
      BOOST_TEST((fs::exists(fs::path(path).replace_extension(".h")) || file.find('_') != std::string::npos),
                 file << " has no header");
  }
}

BOOST_AUTO_TEST_CASE(files_stay_small_and_say_what_they_are) {
  auto folders = library;
  folders.insert(folders.end(), {"tools", "tests", "bench"});
  for (const auto& file : sources(folders)) {
    const std::string text = text_of(file);
    BOOST_TEST(std::count(text.begin(), text.end(), '\n') <= 400, file << " has more than 400 lines");
    BOOST_TEST(text.starts_with("// "), file << " does not begin with what it is for");
  }
}

BOOST_AUTO_TEST_CASE(the_library_neither_prints_nor_exits) {
  const std::regex forbidden(
      "std::(cout|cerr|clog|abort|exit|terminate|quick_exit)\\b|\\b(printf|puts|abort|exit)\\(|fmt::print");
  for (const auto& file : sources(library)) {
    const std::string text = text_of(file);
    const std::sregex_iterator none, found(text.begin(), text.end(), forbidden);
    if (found != none) BOOST_ERROR(file << " calls " << found->str());
  }
}

BOOST_AUTO_TEST_CASE(random_bits_come_from_core_alone) {
  const std::regex forbidden("#\\s*include <random>|std::rand\\b|\\bsrand\\(");
  for (const auto& file : sources(library)) BOOST_TEST(!std::regex_search(text_of(file), forbidden), file);
}

BOOST_AUTO_TEST_SUITE_END()
