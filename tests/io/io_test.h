// What the tests of io/ share: a scratch folder, damaged copies of files, the shared inputs, and pickles by hand.
#pragma once

#include <boost/test/unit_test.hpp>

#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "io/atomic_file.h"
#include "tests/support/inputs.h"
#include "tests/support/paths.h"

namespace costate::io_test {

namespace fs = std::filesystem;

/// A folder of this test, removed with it.
class Scratch {
 public:
  Scratch() {
    static int serial = 0;
    folder_ = fs::temp_directory_path() / fmt::format("costate-io-{}-{}", ::getpid(), serial++);
    fs::create_directories(folder_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code code;
    fs::remove_all(folder_, code);
  }
  [[nodiscard]] fs::path operator/(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] const fs::path& folder() const { return folder_; }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

 private:
  fs::path folder_;
};

/// Plain overwrite, cheaper than write_file for thousands of damaged copies.
inline void overwrite(const fs::path& path, std::string_view bytes) {
  std::FILE* f = std::fopen(path.c_str(), "wb");
  BOOST_REQUIRE(f != nullptr);
  BOOST_REQUIRE_EQUAL(std::fwrite(bytes.data(), 1, bytes.size(), f), bytes.size());
  std::fclose(f);
}

/// Runs `read` on `bytes` cut at some 150 lengths and with one byte changed at as many places (`flips` ways each); with
/// COSTATE_SLOW_TESTS set at every `step`-th place. Anything but a costate::Error or a value is a failure; a crash ends the
/// test program.
inline void damage(const fs::path& path, const std::string& bytes, const std::function<void()>& read,
                   const std::vector<unsigned char>& flips = {0x01, 0x80, 0xff}, std::size_t step = 1) {
  if (std::getenv("COSTATE_SLOW_TESTS") == nullptr) step = std::max(step, bytes.size() / 150 | 1);
  int errors = 0, values = 0;
  const auto attempt = [&](const std::string& copy, const char* what, std::size_t at) {
    overwrite(path, copy);
    try {
      read();
      ++values;
    } catch (const Error&) {
      ++errors;
    } catch (const std::exception& e) {
      BOOST_ERROR(fmt::format("{} at byte {}: not an Error but: {}", what, at, e.what()));
    }
  };
  overwrite(path, bytes);
  BOOST_CHECK_NO_THROW(read());
  for (std::size_t n = 0; n < bytes.size(); n += step) attempt(bytes.substr(0, n), "cut", n);
  for (std::size_t n = 0; n < bytes.size(); n += step) {
    for (const auto flip : flips) {
      std::string copy = bytes;
      copy[n] = static_cast<char>(static_cast<unsigned char>(copy[n]) ^ flip);
      attempt(copy, "flip", n);
    }
  }
  BOOST_TEST_MESSAGE(fmt::format("{} bytes: {} damaged copies refused, {} read", bytes.size(), errors, values));
  BOOST_CHECK_GT(errors, 0);
}

/// An Error whose text contains every one of `parts`.
template <class F>
void check_error(F&& f, const std::vector<std::string>& parts) {
  try {
    f();
    BOOST_ERROR("no Error was thrown; expected one with '" + (parts.empty() ? "" : parts.front()) + "'");
  } catch (const Error& e) {
    for (const auto& p : parts)
      BOOST_CHECK_MESSAGE(std::string(e.what()).find(p) != std::string::npos, "'" << p << "' is not in: " << e.what());
  }
}

/// The folder of inputs that are not part of the repository, or "" after saying visibly that the test is skipped.
inline fs::path shared_or_skip() {
  const fs::path shared = shared_dir();
  if (fs::is_directory(shared / "weights")) return shared;
  const std::string name = boost::unit_test::framework::current_test_case().p_name.get();
  std::cout << "WARNING: " << name << " is SKIPPED: no " << shared.string() << "; set COSTATE_SHARED\n";
  BOOST_TEST_MESSAGE(name + " is skipped: the shared inputs are missing");
  return {};
}

/// Values 0.5, 1.5, ... (floating) or 0, 1, ... in a shape.
inline Tensor ramp(const Shape& shape, DType dtype) {
  std::vector<double> v(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>(i) + (is_floating(dtype) ? 0.5 : 0.0);
  return Tensor::from(v, shape, dtype);
}

}  // namespace costate::io_test
