// The house rules that a machine can check, on every file of the source tree.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

const fs::path root = costate::source_dir();

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool starts(const std::string& text, const std::string& with) { return text.rfind(with, 0) == 0; }

/// Paths of all files below `folder`, relative to the root; build trees and hidden folders are no part of the source.
std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> all;
  for (auto it = fs::recursive_directory_iterator(root / folder); it != fs::recursive_directory_iterator(); ++it) {
    const std::string name = it->path().filename().string();
    if (it->is_directory() && (name[0] == '.' || starts(name, "build")))
      it.disable_recursion_pending();
    else if (it->is_regular_file() && name[0] != '.')
      all.push_back(fs::relative(it->path(), root).generic_string());
  }
  std::sort(all.begin(), all.end());
  BOOST_REQUIRE(!all.empty());
  return all;
}

bool is_cpp(const std::string& file) {
  const auto e = fs::path(file).extension();
  return e == ".h" || e == ".cpp" || e == ".cu" || e == ".cuh";
}

/// C++, CMake, Python and shell; a script may have no extension.
bool is_source(const std::string& file) {
  const fs::path p(file);
  const auto e = p.extension();
  return is_cpp(file) || e == ".sh" || e == ".cmake" || e == ".py" || (e.empty() && starts(text_of(root / p), "#!"));
}

Names stems(const fs::path& folder) {
  Names names;
  for (const auto& file : files_in(folder))
    if (fs::path(file).extension() == ".cpp") names.insert(fs::path(file).stem().string());
  return names;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The paths that a file includes in quotes.
std::vector<std::string> includes_of(const std::string& file) {
  std::vector<std::string> all;
  for (const auto& line : lines_of(text_of(root / file))) {
    const auto quote = line.find('"');
    if (starts(line, "#include \"")) all.push_back(line.substr(quote + 1, line.rfind('"') - quote - 1));
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(structure)

// An op without a case has none of the properties checked; a case without an op is left over.
BOOST_AUTO_TEST_CASE(every_op_has_its_case) {
  const Names ops = stems("autodiff/ops"), cases = stems("tests/cases");
  const Names exceptions = {};  // no op goes without; conv2d_shape.h and arithmetic.h are headers that define none
  BOOST_TEST(ops.size() > 20);
  for (const auto& op : ops) {
    const bool covered = cases.count(op) != exceptions.count(op);  // an exception that has a case is left over as well
    BOOST_TEST(covered, "autodiff/ops/" << op << ".cpp and tests/cases/" << op << ".cpp");
  }
  for (const auto& name : cases)
    BOOST_TEST(ops.count(name) == 1, "tests/cases/" << name << ".cpp has no autodiff/ops/" << name << ".cpp");
}

BOOST_AUTO_TEST_CASE(includes_never_point_upwards) {
  const std::map<std::string, std::vector<std::string>> may = {
      {"core", {"core/"}},
      {"autodiff", {"core/", "autodiff/"}},
      {"nn", {"core/", "autodiff/", "nn/"}},
      {"solvers", {"core/", "autodiff/", "solvers/"}},
      {"io", {"core/", "io/"}},
      {"gpu", {"core/", "gpu/"}},
      {"tools", {"core/", "autodiff/", "nn/", "solvers/", "io/", "gpu/", "tools/", "tests/cases/", "tests/support/"}},
  };
  int seen = 0;
  for (const auto& [room, below] : may) {
    for (const auto& file : files_in(room)) {
      if (!is_cpp(file)) continue;
      for (const auto& path : includes_of(file)) {
        const bool allowed =
            std::any_of(below.begin(), below.end(), [&](const auto& prefix) { return starts(path, prefix); });
        BOOST_TEST(allowed, file << " includes " << path);
        ++seen;
      }
    }
  }
  BOOST_TEST(seen > 200);  // the search itself works
}

// Who calls the library has no command line.
BOOST_AUTO_TEST_CASE(texts_of_the_library_name_no_option_of_the_command) {
  for (const char* room : {"core", "autodiff", "nn", "solvers", "io", "tools/model", "tools/c"})
    for (const auto& file : files_in(room)) {
      if (!is_cpp(file)) continue;
      for (const auto& line : lines_of(text_of(root / file))) {
        const auto code = line.substr(0, line.find("//"));
        const auto quote = code.find('"'), option = code.find("--", quote == std::string::npos ? code.size() : quote);
        const bool named = option != std::string::npos && option + 2 < code.size() &&
                           std::islower(static_cast<unsigned char>(code[option + 2])) != 0;
        BOOST_TEST(!named, file << ": " << line);
      }
    }
}

BOOST_AUTO_TEST_CASE(included_files_exist) {
  for (const auto& file : files_in("")) {
    if (!is_cpp(file)) continue;
    for (const auto& path : includes_of(file)) {
      const bool there = fs::exists(root / path) || fs::exists((root / file).parent_path() / path);
      BOOST_TEST(there, file << " includes " << path);
    }
  }
}

BOOST_AUTO_TEST_CASE(files_are_short_and_say_what_they_are_for) {
  int seen = 0;
  for (const auto& file : files_in("")) {
    if (!is_source(file)) continue;
    ++seen;
    const auto lines = lines_of(text_of(root / file));
    BOOST_TEST(lines.size() <= 400U, file << " has " << lines.size() << " lines");
    const bool script = !is_cpp(file);
    const std::size_t first = script && !lines.empty() && starts(lines[0], "#!") ? 1 : 0;
    BOOST_REQUIRE_MESSAGE(lines.size() > first, file << " is empty");
    const bool said =
        script ? starts(lines[first], "# ") || starts(lines[first], "\"\"\"") : starts(lines[first], "// ");
    BOOST_TEST(said, file << " begins: " << lines[first]);
  }
  BOOST_TEST(seen > 150);
}

// Above the dispatch point no line knows a device by name.
BOOST_AUTO_TEST_CASE(one_dispatch_point) {
  const Names may = {
      "core/device.h",  "core/kernel.h",       "core/memory.h", "core/memory.cpp",
      "CMakeLists.txt", "io/torch_globals.cpp"};  // reads the storage names of files that were saved on a GPU
  for (const auto& file : files_in("")) {
    const bool free = may.count(file) == 1 || starts(file, "gpu/") || starts(file, "core/kernels/") ||
                      starts(file, "tools/") || starts(file, "tests/") || starts(file, "bench/") ||
                      fs::path(file).extension() == ".md";
    if (free || !(is_source(file) || fs::path(file).filename() == "CMakeLists.txt")) continue;
    const bool named = lower(text_of(root / file)).find("cuda") != std::string::npos;
    BOOST_TEST(!named, file << " names a device");
  }
}

// Kernels start before those queued earlier have ended (gpu/launch.h), so each waits for them first.
BOOST_AUTO_TEST_CASE(every_kernel_waits_for_earlier_work) {
  int seen = 0;
  for (const auto& file : files_in("gpu")) {
    if (!is_cpp(file)) continue;
    const std::string text = text_of(root / file), kernel = "__global__", empty = "{}", wait = "kernel_begins();";
    for (auto at = text.find(kernel); at != std::string::npos; at = text.find(kernel, at + 1)) {
      const auto body = text.find('{', at);
      BOOST_REQUIRE(body != std::string::npos);
      const auto first = text.find_first_not_of(" \n", body + 1);
      const bool waits = text.compare(first, wait.size(), wait) == 0 || text.compare(body, empty.size(), empty) == 0;
      BOOST_TEST(waits, file << ": a kernel that does not begin with " << wait);
      ++seen;
    }
  }
  BOOST_TEST(seen > 20);
}

// What a measurement may leave behind: notes to oneself, and switches in the environment that no page describes.
BOOST_AUTO_TEST_CASE(nothing_for_the_moment_is_left) {
  const Names reads_environment = {"gpu/cudnn/library.cpp", "gpu/cudnn/choices.cpp", "tools/model/files.cpp",
                                   "tools/plot.cpp"};
  int seen = 0;
  for (const auto& file : files_in("")) {
    if (!is_source(file) || file == "tests/structure/test_structure.cpp") continue;
    const std::string text = text_of(root / file);
    for (const char* word : {"TEMPORARY", "FIXME", "TODO", "HACK"})
      BOOST_TEST((text.find(word) == std::string::npos), file << " has a note to oneself: " << word);
    if (!is_cpp(file) || starts(file, "tests/") || starts(file, "bench/")) continue;
    const bool reads = text.find("getenv(") != std::string::npos;
    BOOST_TEST(reads == (reads_environment.count(file) == 1), file << " reads the environment: " << reads);
    ++seen;
  }
  BOOST_TEST(seen > 150);
}

// What the README shows is what the tests build and run.
BOOST_AUTO_TEST_CASE(the_program_of_the_readme_is_the_tested_one) {
  const std::string readme = text_of(root / "README.md"), program = text_of(root / "tests/consumer/main.cpp");
  const std::string opening = "```cpp\n";
  const auto begin = readme.find(opening);
  BOOST_REQUIRE(begin != std::string::npos);
  const auto from = begin + opening.size(), end = readme.find("```", from);
  BOOST_REQUIRE(end != std::string::npos);
  BOOST_TEST(readme.find(opening, end) == std::string::npos);  // there is one
  const std::string shown = readme.substr(from, end - from);
  BOOST_TEST((shown == program.substr(program.find('\n') + 1)), "README.md's program is not tests/consumer/main.cpp");
}

BOOST_AUTO_TEST_SUITE_END()
