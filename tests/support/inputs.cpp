// Uniform numbers from Philox, and the comparisons of results.
#include "tests/support/inputs.h"

#include <cmath>
#include <cstring>

#include "core/random.h"

namespace costate {
namespace {

Tensor fill(const CaseInput& input, std::uint32_t which, DType dtype, DType rounded_to) {
  std::vector<double> values(static_cast<std::size_t>(input.shape.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double u = philox4x32({static_cast<std::uint32_t>(i), which, 0, 0}, {20250101, 0})[0] * 0x1p-32;
    double v = input.low + (input.high - input.low) * u;
    if (std::abs(v) < input.gap) v = v < 0 ? v - input.gap : v + input.gap;
    values[i] = input.index ? std::floor(v) : v;
  }
  if (input.index) return Tensor::from(values, input.shape, DType::i32);
  return Tensor::from(Tensor::from(values, input.shape, rounded_to).to_vector(), input.shape, dtype);
}

}  // namespace

Tensors case_inputs(const Case& c, DType dtype, DType rounded_to) {
  Tensors in;
  for (const auto& input : c.inputs)
    in.push_back(fill(input, static_cast<std::uint32_t>(in.size()), dtype, rounded_to));
  return in;
}

Wanted differentiable(const Case& c) {
  Wanted wanted;
  for (const auto& input : c.inputs) wanted.push_back(!input.index);
  return wanted;
}

double case_bytes(const Tensors& in, const Tensor& out) {
  auto bytes = static_cast<double>(out.bytes());
  for (const auto& t : in) bytes += static_cast<double>(t.bytes());
  return bytes;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  if (!a.defined()) return true;
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  return a.bytes() == 0 || std::memcmp(a.bytes_data(), b.bytes_data(), a.bytes()) == 0;
}

double relative_difference(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape())) return INFINITY;
  const auto u = a.to_vector(), v = b.to_vector();
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    if (!std::isfinite(u[i]) || !std::isfinite(v[i])) return INFINITY;
    worst = std::max(worst, std::abs(u[i] - v[i]));
    largest = std::max(largest, std::abs(v[i]));
  }
  return worst == 0 ? 0 : worst / largest;
}

}  // namespace costate
