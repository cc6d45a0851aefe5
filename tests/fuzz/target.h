// What a fuzz target is: bytes in, a value or a costate::Error out, and never anything else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "core/error.h"

/// The entry that libFuzzer and tests/fuzz/driver.cpp call.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace costate::fuzz {

/// Runs `read`; an Error is an answer, any other exception ends the program.
template <class Read>
int attempt(Read&& read) {
  try {
    read();
  } catch (const Error&) {
  } catch (const std::exception& e) {
    std::fprintf(stderr, "not an Error but: %s\n", e.what());
    std::abort();
  }
  return 0;
}

/// Opens the bytes as a checkpoint, whichever of its forms they are, and reads all of it.
int read_checkpoint(std::string_view bytes);

}  // namespace costate::fuzz
