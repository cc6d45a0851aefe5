// Element types: names, sizes, the bf16 storage type and the host-side type tags.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "core/error.h"

namespace costate {

/// f32 and f64 compute; bf16 is stored and computed in f32; i32 holds indices. f16 exists in files only.
enum class DType : std::uint8_t { f32, f64, bf16, i32 };

/// The upper half of an f32, rounded to nearest even.
struct bf16 {
  std::uint16_t bits = 0;
  bf16() = default;
  constexpr explicit bf16(float v) {
    const auto u = std::bit_cast<std::uint32_t>(v);
    const bool nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
  }
  constexpr explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

constexpr std::size_t size_of(DType t) { return t == DType::f64 ? 8 : t == DType::bf16 ? 2 : 4; }
constexpr bool is_floating(DType t) { return t != DType::i32; }

constexpr std::string_view name_of(DType t) {
  return t == DType::f32 ? "f32" : t == DType::f64 ? "f64" : t == DType::bf16 ? "bf16" : "i32";
}

/// The distance from 1 to the next number, twice the unit roundoff: 2^-23 (f32), 2^-52 (f64), 2^-7 (bf16).
constexpr double epsilon_of(DType t) { return t == DType::f64 ? 0x1p-52 : t == DType::bf16 ? 0x1p-7 : 0x1p-23; }

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, bf16>)
    return DType::bf16;
  else {
    static_assert(std::is_same_v<T, std::int32_t>, "element types are float, double, bf16 and int32_t");
    return DType::i32;
  }
}

/// Calls f(T{}) with the host type of `t`.
template <class F>
decltype(auto) visit_dtype(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(bf16{});
    case DType::i32:
      return f(std::int32_t{});
  }
  fail("unknown dtype {}", static_cast<int>(t));
}

/// As visit_dtype for the two types kernels compute in; `op` is named in the error for the others.
template <class F>
decltype(auto) visit_compute(DType t, std::string_view op, F&& f) {
  if (t == DType::f32) return f(float{});
  require(t == DType::f64, "{}: wants f32 or f64, got {}", op, name_of(t));
  return f(double{});
}

}  // namespace costate
