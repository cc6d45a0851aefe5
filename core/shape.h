// Shapes of rank 0 to 6, stored inline.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/error.h"

namespace costate {

class Shape {
 public:
  static constexpr int max_rank = 6;

  Shape() = default;  ///< rank 0: one element
  Shape(std::initializer_list<std::int64_t> dims) : Shape(dims.begin(), dims.end()) {}
  explicit Shape(const std::vector<std::int64_t>& dims) : Shape(dims.data(), dims.data() + dims.size()) {}
  Shape(const std::int64_t* first, const std::int64_t* last);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::int64_t size() const;  ///< number of elements
  /// Extent of an axis; negative axes count from the end.
  [[nodiscard]] std::int64_t operator[](int axis) const { return dims_[index(axis)]; }
  [[nodiscard]] const std::int64_t* begin() const { return dims_.data(); }
  [[nodiscard]] const std::int64_t* end() const { return dims_.data() + rank_; }
  bool operator==(const Shape& o) const;

  /// The same shape with one extent changed.
  [[nodiscard]] Shape with(int axis, std::int64_t extent) const;
  /// The same shape behind a new first axis.
  [[nodiscard]] Shape with_front(std::int64_t extent) const;
  /// Non-negative axis, or an Error that names `op`.
  [[nodiscard]] int axis(int a, const char* op) const;

 private:
  [[nodiscard]] std::size_t index(int axis) const;
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

/// "(2, 28, 28, 1)"
std::string to_string(const Shape& s);

}  // namespace costate

/// Shapes format themselves, so that an error message is put together only when it is thrown.
template <>
struct fmt::formatter<costate::Shape> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::format_context::iterator format(const costate::Shape& s, fmt::format_context& context) const;
};
