// Element conversion: one loop per source type, over dense or strided views.
#include "io/element.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

namespace costate {
namespace {

static_assert(std::endian::native == std::endian::little, "file elements are copied as little endian");

struct half {
  std::uint16_t bits;
};

// Calls f with a value of the C++ type that has the element's bytes.
template <class F>
void visit_element(Element e, F&& f) {
  switch (e) {
    case Element::f64:
      return f(double{});
    case Element::f32:
      return f(float{});
    case Element::f16:
      return f(half{});
    case Element::bf16:
      return f(bf16{});
    case Element::i64:
      return f(std::int64_t{});
    case Element::i32:
      return f(std::int32_t{});
    case Element::i16:
      return f(std::int16_t{});
    case Element::i8:
      return f(std::int8_t{});
    case Element::u64:
      return f(std::uint64_t{});
    case Element::u32:
      return f(std::uint32_t{});
    case Element::u16:
      return f(std::uint16_t{});
    case Element::u8:
    case Element::boolean:
      return f(std::uint8_t{});
    case Element::f8:
    case Element::complex:
    case Element::quantised:
      break;
  }
  fail("element type {} cannot be read", name_of(e));
}

template <class T>
using Out =
    std::conditional_t<std::is_same_v<T, half>, float, std::conditional_t<std::is_integral_v<T>, std::int32_t, T>>;

template <class T>
Out<T> convert(T v, std::int64_t index, std::string_view where) {
  if constexpr (std::is_same_v<T, half>)
    return half_to_float(v.bits);
  else if constexpr (std::is_integral_v<T>) {
    require(std::in_range<std::int32_t>(v),
            "{}: the integer {} at index {} does not fit 32 bits; costate keeps integers as i32", where, v, index);
    return static_cast<std::int32_t>(v);
  } else {
    return v;
  }
}

template <class T>
void copy_row(const char* from, std::int64_t count, std::int64_t stride, std::int64_t first, Out<T>* to,
              std::string_view where) {
  if constexpr (std::is_same_v<T, Out<T>>) {
    if (stride == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
      return;
    }
  }
  for (std::int64_t i = 0; i < count; ++i) {
    T v;
    std::memcpy(&v, from + i * stride * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    to[i] = convert(v, first + i, where);
  }
}

// Calls row(byte offset of its first element, elements before it) for each row of the last axis, the others counted like an
// odometer.
template <class Row>
void walk_rows(const ElementView& view, const std::vector<std::int64_t>& strides, std::int64_t width, Row&& row) {
  const int rank = view.shape.rank();
  const std::int64_t length = rank == 0 ? 1 : view.shape[rank - 1];
  const std::int64_t total = view.shape.size();
  std::array<std::int64_t, Shape::max_rank> at{};
  std::int64_t offset = 0;
  for (std::int64_t done = 0; done < total; done += length) {
    row(offset * width, done, length);
    for (int a = rank - 2; a >= 0; --a) {
      const auto i = static_cast<std::size_t>(a);
      offset += strides[i];
      if (++at[i] < view.shape[a]) break;
      offset -= strides[i] * at[i];
      at[i] = 0;
    }
  }
}

std::vector<std::int64_t> row_major(const Shape& shape) {
  std::vector<std::int64_t> strides(static_cast<std::size_t>(shape.rank()), 1);
  for (int a = shape.rank() - 2; a >= 0; --a)
    strides[static_cast<std::size_t>(a)] = strides[static_cast<std::size_t>(a) + 1] * shape[a + 1];
  return strides;
}

bool is_dense(const Shape& shape, const std::vector<std::int64_t>& strides) {
  const auto dense = row_major(shape);
  for (int a = 0; a < shape.rank(); ++a)
    if (shape[a] != 1 && strides[static_cast<std::size_t>(a)] != dense[static_cast<std::size_t>(a)]) return false;
  return true;
}

// The bytes a view reaches, or an Error; only called for views with elements.
void check_reach(const ElementView& view, const std::vector<std::int64_t>& strides, std::string_view where) {
  const auto held = static_cast<std::int64_t>(view.bytes.size() / size_of(view.element));
  std::int64_t last = 0;  // index of the furthest element; stays below `held`, so nothing overflows
  for (int a = 0; a < view.shape.rank(); ++a) {
    const std::int64_t stride = strides[static_cast<std::size_t>(a)], steps = view.shape[a] - 1;
    require(stride >= 0, "{}: has a negative stride", where);
    require(steps == 0 || stride == 0 || stride <= (held - 1 - last) / steps,
            "{}: shape {} with its strides reaches outside the stored data ({} elements)", where, to_string(view.shape),
            held);
    last += steps * stride;
  }
  require(last < held, "{}: shape {} needs more than the stored data ({} elements)", where, to_string(view.shape),
          held);
  // Stride 0 repeats elements: a few bytes could ask for all memory there is.
  constexpr std::int64_t repeat_limit = std::int64_t{1} << 24;
  require(view.shape.size() <= std::max(held, repeat_limit), "{}: shape {} repeats {} stored elements too often", where,
          to_string(view.shape), held);
}

std::vector<std::int64_t> checked_strides(const ElementView& view, std::string_view where) {
  auto strides = view.strides.empty() ? row_major(view.shape) : view.strides;
  require(strides.size() == static_cast<std::size_t>(view.shape.rank()), "{}: has {} strides for shape {}", where,
          strides.size(), to_string(view.shape));
  if (view.shape.size() > 0) check_reach(view, strides, where);
  return strides;
}

}  // namespace

std::string_view name_of(Element e) {
  constexpr std::string_view names[] = {"f64", "f32", "f16", "bf16", "i64",  "i32",         "i16",     "i8",
                                        "u64", "u32", "u16", "u8",   "bool", "8-bit float", "complex", "quantised"};
  return names[static_cast<std::size_t>(e)];
}

std::size_t size_of(Element e) {
  constexpr std::size_t sizes[] = {8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1, 0, 0, 0};
  return sizes[static_cast<std::size_t>(e)];
}

DType dtype_of(Element e, std::string_view where) {
  require(size_of(e) != 0, "{}: {} elements are not supported; convert them to f32, f16 or bf16 first", where,
          name_of(e));
  return e == Element::f64                        ? DType::f64
         : e == Element::bf16                     ? DType::bf16
         : e == Element::f32 || e == Element::f16 ? DType::f32
                                                  : DType::i32;
}

float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16, exponent = (h >> 10) & 31U,
                      mantissa = h & 0x3ffU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;  // subnormals of f16 are normal in f32
  return sign != 0 ? -magnitude : magnitude;
}

Shape checked_shape(const std::vector<std::int64_t>& dims, std::string_view where) {
  require(dims.size() <= Shape::max_rank, "{}: has rank {}; at most {} is supported", where, dims.size(),
          Shape::max_rank);
  constexpr std::int64_t limit = std::int64_t{1} << 57;  // elements, of up to 8 bytes
  std::int64_t total = 1;
  for (const auto d : dims) {
    require(d >= 0, "{}: has the negative extent {}", where, d);
    // a zero elsewhere does not excuse a huge extent: products of the others are used for strides
    require(d <= limit / total, "{}: its shape has too many elements", where);
    total *= std::max<std::int64_t>(d, 1);
  }
  return Shape(dims);
}

Tensor read_elements(const ElementView& view, std::string_view where) {
  const DType dtype = dtype_of(view.element, where);
  const auto strides = checked_strides(view, where);
  const std::int64_t count = view.shape.size();
  const bool as_it_is = size_of(view.element) == size_of(dtype) && view.element != Element::u32 &&
                        reinterpret_cast<std::uintptr_t>(view.bytes.data()) % size_of(dtype) == 0;
  if (count > 0 && as_it_is && view.owner != nullptr && is_dense(view.shape, strides))
    return Tensor::borrow(view.bytes.data(), view.shape, dtype, view.owner);
  Tensor t = Tensor::empty(view.shape, dtype);
  if (count == 0) return t;
  visit_element(view.element, [&](auto tag) {
    using T = decltype(tag);
    auto* to = t.mutable_data<Out<T>>();
    if (is_dense(view.shape, strides)) return copy_row<T>(view.bytes.data(), count, 1, 0, to, where);
    const std::int64_t step = strides.empty() ? 1 : strides.back();
    walk_rows(view, strides, sizeof(T), [&](std::int64_t from, std::int64_t done, std::int64_t length) {
      copy_row<T>(view.bytes.data() + from, length, step, done, to + done, where);
    });
  });
  return t;
}

std::string_view dense_bytes(const ElementView& view, std::string& room, std::string_view where) {
  static_cast<void>(dtype_of(view.element, where));  // refuses kinds whose width is not known
  const auto strides = checked_strides(view, where);
  const auto width = static_cast<std::int64_t>(size_of(view.element));
  const auto bytes = static_cast<std::size_t>(view.shape.size() * width);
  if (bytes == 0 || is_dense(view.shape, strides)) return view.bytes.substr(0, bytes);
  room.resize(bytes);
  const std::int64_t step = strides.empty() ? width : strides.back() * width;
  walk_rows(view, strides, width, [&](std::int64_t from, std::int64_t done, std::int64_t length) {
    for (std::int64_t i = 0; i < length; ++i)
      std::memcpy(room.data() + (done + i) * width, view.bytes.data() + from + i * step,
                  static_cast<std::size_t>(width));
  });
  return room;
}

ElementView view_of(const Tensor& t) {
  constexpr Element elements[] = {Element::f32, Element::f64, Element::bf16, Element::i32};  // in the order of DType
  const auto owner = std::make_shared<const Tensor>(t.to(Device::cpu));
  return {elements[static_cast<std::size_t>(t.dtype())],
          t.shape(),
          {static_cast<const char*>(owner->bytes_data()), t.bytes()},
          {},
          owner};
}

}  // namespace costate
