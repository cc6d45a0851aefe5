// Element types as files know them, and their conversion to the dtypes costate computes with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace costate {

/// What a file may hold. The last three are known by name so that the refusal can name them.
enum class Element : std::uint8_t {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean,
  f8,
  complex,
  quantised
};

[[nodiscard]] std::string_view name_of(Element e);
/// Bytes per element; 0 for the kinds that cannot be read.
[[nodiscard]] std::size_t size_of(Element e);
/// The dtype a read gives: f64, f32, bf16 as they are, f16 as f32 (exact), integers and booleans as i32.
/// Error, beginning with `where`, for the kinds that cannot be read.
[[nodiscard]] DType dtype_of(Element e, std::string_view where);

/// f16 bits to f32, exactly (subnormals, infinities and NaN included).
[[nodiscard]] float half_to_float(std::uint16_t bits);

/// A Shape from a file's numbers. Error, beginning with `where`, for rank > 6, negative extents or more bytes than
/// 2^60.
[[nodiscard]] Shape checked_shape(const std::vector<std::int64_t>& dims, std::string_view where);

/// Elements in a byte buffer, little endian, unaligned; strides in elements (not negative), or row-major when empty.
struct ElementView {
  Element element = Element::f32;
  Shape shape;
  std::string_view bytes;  ///< starts at the first element
  std::vector<std::int64_t> strides = {};
};

/// A dense tensor of the view. Every offset is checked against `bytes` before anything is allocated. 64-bit and
/// unsigned integers that do not fit i32 are an Error that begins with `where` and names the value and its index.
[[nodiscard]] Tensor read_elements(const ElementView& view, std::string_view where);

}  // namespace costate
