// Registers of a thread that products of a warp group have for a while: on the shim, numbers on its stack, whose accesses the compiler tells as
// it does those of shared memory (races.cpp).
#pragma once

#include <bitset>
#include <cstdint>
#include <deque>
#include <initializer_list>

#include <cuda_runtime.h>

namespace shim {

class RegistersOfThread {
 public:
  /// Whether a product has some of it.
  bool touch(std::uintptr_t at, std::size_t bytes) {
    for (std::uintptr_t word = at / word_bytes; word * word_bytes < at + bytes; ++word) touched_.set(word % words);
    for (const Span& s : taken_)
      if (at < s.end && s.first < at + bytes) return true;
    return false;
  }
  void fence() { touched_.reset(); }
  /// Whether none was touched behind the last fence.
  bool take(std::initializer_list<Registers> registers) {
    bool all = true;
    for (const Registers& r : registers) {
      const auto first = reinterpret_cast<std::uintptr_t>(r.first), end = first + r.bytes;
      for (std::uintptr_t word = first / word_bytes; word * word_bytes < end; ++word)
        all = all && !touched_[word % words];
      taken_.push_back({first, end});
    }
    return all;
  }
  void give_back(std::size_t count) {
    taken_.erase(taken_.begin(), taken_.begin() + static_cast<std::ptrdiff_t>(count));
  }

 private:
  static constexpr std::size_t word_bytes = 4, words = (64 << 10) / word_bytes;  // of a stack, wherever it begins
  struct Span {
    std::uintptr_t first, end;
  };
  std::bitset<words> touched_;
  std::deque<Span> taken_;
};

}  // namespace shim
