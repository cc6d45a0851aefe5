// The arrays of the C interface and the library's tensors.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tools/c/costate.h"
#include "tools/model/inputs.h"

/// What a call hands out. Arrays point into names and values, so they are made last.
struct costate_result {
  std::vector<std::string> names;
  costate::Tensors values;  // f64
  std::vector<costate_array> arrays;

  /// Nothing where `value` is undefined.
  void add(const std::string& name, const costate::Tensor& value);
  void seal();
};

namespace costate {

std::string text_or(const char* text, const char* otherwise);
/// The names of a list of gradients, "x, theta"; of NULL none, which asks for all.
std::vector<std::string> names_in(const char* wrt);
/// By name, f64, but labels i32. Throws for arrays that are none, and for a name that comes twice.
NamedTensors tensors_of(const costate_array* arrays, std::size_t count);
/// Takes the tensor of a name out; undefined where there is none.
Tensor take(NamedTensors& from, const std::string& name);

}  // namespace costate
