// A call must throw the library's Error, and its sentence must name what the reader needs.
#pragma once

#include <boost/test/unit_test.hpp>

#include <initializer_list>
#include <string>

#include "core/error.h"

namespace costate {

/// `call` throws Error with every one of `words` in its message.
template <class Call>
void check_throws(Call&& call, std::initializer_list<const char*> words) {
  BOOST_CHECK_EXCEPTION(static_cast<void>(call()), Error, [&](const Error& e) {
    const std::string text = e.what();
    bool all = true;
    for (const char* word : words) {
      const bool named = text.find(word) != std::string::npos;
      BOOST_TEST(named, "'" << word << "' is missing from: " << text);
      all = all && named;
    }
    return all;
  });
}

}  // namespace costate
