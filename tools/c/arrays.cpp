// Copies in and out; everything crosses as double.
#include "tools/c/arrays.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autodiff/ops/cast.h"
#include "core/spec.h"

void costate_result::add(const std::string& name, const costate::Tensor& value) {
  if (!value.defined()) return;
  names.push_back(name);
  values.push_back(cast(value, costate::DType::f64));
}

void costate_result::seal() {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const costate::Shape& s = values[i].shape();
    costate_array a{names[i].c_str(), values[i].data<double>(), s.rank(), {}};
    std::copy(s.begin(), s.end(), a.shape);
    arrays.push_back(a);
  }
}

namespace costate {
namespace {

Tensor tensor_of(const costate_array& a) {
  const std::string name = text_or(a.name, "");
  require(!name.empty(), "costate: an array has no name");
  require(a.rank >= 0 && a.rank <= COSTATE_MAX_RANK, "costate: array {} has rank {}; there are 0 to {}", name, a.rank,
          COSTATE_MAX_RANK);
  std::int64_t count = 1;
  for (int i = 0; i < a.rank; ++i) {
    require(a.shape[i] >= 0, "costate: array {} has the extent {}", name, a.shape[i]);
    require(a.shape[i] <= (std::int64_t{1} << 56) / std::max<std::int64_t>(count, 1),
            "costate: array {} of ({}) is too large", name, fmt::join(a.shape, a.shape + a.rank, ", "));
    count *= a.shape[i];
  }
  require(a.data != nullptr || count == 0, "costate: array {} has no data", name);
  Tensor t = Tensor::empty(Shape(std::vector<std::int64_t>(a.shape, a.shape + a.rank)), DType::f64);
  std::copy_n(a.data, count, t.mutable_data<double>());
  return name == "class" ? as_labels(t, "costate") : t;
}

}  // namespace

std::string text_or(const char* text, const char* otherwise) { return text == nullptr ? otherwise : text; }

std::vector<std::string> names_in(const char* wrt) {
  if (wrt == nullptr) return {};
  auto names = word_list(wrt);
  if (names.empty()) names.emplace_back();  // of ""
  for (std::string& name : names) {
    const auto first = name.find_first_not_of(' ');
    require(first != std::string::npos, "costate: wrt \"{}\" holds a name that is empty; NULL asks for all", wrt);
    name = name.substr(first, name.find_last_not_of(' ') - first + 1);
  }
  return names;
}

NamedTensors tensors_of(const costate_array* arrays, std::size_t count) {
  require(arrays != nullptr || count == 0, "costate: {} inputs at NULL", count);
  NamedTensors all;
  for (std::size_t i = 0; i < count; ++i) {
    const Tensor t = tensor_of(arrays[i]);
    require(all.emplace(arrays[i].name, t).second, "costate: the input {} is given twice", arrays[i].name);
  }
  return all;
}

Tensor take(NamedTensors& from, const std::string& name) {
  const auto at = from.find(name);
  if (at == from.end()) return {};
  const Tensor t = at->second;
  from.erase(at);
  return t;
}

}  // namespace costate
