// The one exception type of the library, and the two helpers that throw it.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace costate {

/// Everything that goes wrong is thrown as this: one sentence that names what, where and, if there is one, the remedy.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The Error of a device that has no memory left: less work may do.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// Throws Error with the formatted message.
template <class... A>
[[noreturn]] void fail(fmt::format_string<A...> format, A&&... args) {
  throw Error(fmt::format(format, std::forward<A>(args)...));
}

/// Throws Error with the formatted message unless `ok`.
template <class... A>
void require(bool ok, fmt::format_string<A...> format, A&&... args) {
  if (!ok) [[unlikely]]
    throw Error(fmt::format(format, std::forward<A>(args)...));
}

}  // namespace costate
