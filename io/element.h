// Element types as files know them, and their conversion to the dtypes costate computes with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

/// A tensor as a file holds it: elements in a byte buffer, little endian, unaligned; strides in elements (not negative),
/// or row-major when empty.
struct ElementView {
  Element element = Element::f32;
  Shape shape;
  std::string_view bytes;  ///< starts at the first element
  std::vector<std::int64_t> strides = {};
  std::shared_ptr<const void> owner = nullptr;  ///< keeps the bytes; null: the caller does
};

/// A dense tensor of the view. Every offset is checked against `bytes` before anything is allocated. 64-bit and
/// unsigned integers that do not fit i32 are an Error that begins with `where` and names the value and its index.
/// Where nothing is to be converted and the view has an owner, the tensor borrows its bytes.
[[nodiscard]] Tensor read_elements(const ElementView& view, std::string_view where);

/// The elements in row-major order, bit for bit: the view's own bytes, or a copy in `room`. Checked as above.
[[nodiscard]] std::string_view dense_bytes(const ElementView& view, std::string& room, std::string_view where);

/// A tensor of costate as a view that keeps it.
[[nodiscard]] ElementView view_of(const Tensor& t);

}  // namespace costate
