// Shapes: bounds checks and text.
#include "core/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace costate {

Shape::Shape(const std::int64_t* first, const std::int64_t* last) : rank_(static_cast<int>(last - first)) {
  require(last - first <= max_rank, "shape: rank {} is above the supported {}", last - first, max_rank);
  std::int64_t total = 1;
  for (const auto* d = first; d != last; ++d) {
    require(*d >= 0, "shape: extent {} is negative", *d);
    require(*d == 0 || total <= (std::numeric_limits<std::int64_t>::max() >> 4) / *d, "shape: too many elements");
    total *= *d;
  }
  std::copy(first, last, dims_.begin());
}

std::int64_t Shape::size() const {
  std::int64_t n = 1;
  for (auto d : *this) n *= d;
  return n;
}

bool Shape::operator==(const Shape& o) const { return std::equal(begin(), end(), o.begin(), o.end()); }

std::size_t Shape::index(int axis) const {
  const int a = axis < 0 ? axis + rank_ : axis;
  require(a >= 0 && a < rank_, "shape: axis {} is outside {}", axis, *this);
  return static_cast<std::size_t>(a);
}

Shape Shape::with(int axis, std::int64_t extent) const {
  Shape s = *this;
  s.dims_[index(axis)] = extent;
  return s;
}

Shape Shape::with_front(std::int64_t extent) const {
  std::vector<std::int64_t> dims{extent};
  dims.insert(dims.end(), begin(), end());
  return Shape(dims);
}

int Shape::axis(int a, const char* op) const {
  const int i = a < 0 ? a + rank_ : a;
  require(i >= 0 && i < rank_, "{}: axis {} is outside shape {}", op, a, *this);
  return i;
}

std::string to_string(const Shape& s) {
  std::string text = "(";
  for (int i = 0; i < s.rank(); ++i) text += (i ? ", " : "") + std::to_string(s[i]);
  return text + ")";
}

}  // namespace costate

fmt::format_context::iterator fmt::formatter<costate::Shape>::format(const costate::Shape& s,
                                                                     fmt::format_context& context) const {
  return fmt::format_to(context.out(), "{}", costate::to_string(s));
}
