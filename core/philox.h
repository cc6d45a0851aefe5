// Philox4x32-10 and a Box-Muller transform that every IEEE machine evaluates alike: products, fma and integer operations only.
//
// constexpr, and templates where they call fma: so that the compilers of other devices take them as they are.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>

namespace costate {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11): ten rounds on a 128-bit counter.
struct Philox {
  static constexpr int rounds = 10;
  using Key = std::array<std::uint32_t, 2>;

  static constexpr void round(std::uint32_t& c0, std::uint32_t& c1, std::uint32_t& c2, std::uint32_t& c3, Key key) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0, p1 = std::uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ key[0];
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ key[1];
    c3 = static_cast<std::uint32_t>(p0);
  }
  static constexpr Key next(Key key) { return {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85}; }
};

constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> c, Philox::Key key) {
  for (int round = 0; round < Philox::rounds; ++round, key = Philox::next(key))
    Philox::round(c[0], c[1], c[2], c[3], key);
  return c;
}

namespace detail {

/// The bits of a pair as numbers: u = 2^e m in (0, 1] with m in [sqrt(1/2), sqrt 2), and an angle of quarter turns and a
/// signed rest of at most an eighth.
struct Parts {
  double m, e, rest;
  std::uint64_t quarters;
};

constexpr std::uint64_t bits53(std::uint32_t low, std::uint32_t high) {
  return ((std::uint64_t{high} << 32) | low) >> 11;
}

constexpr Parts parts_of(const std::array<std::uint32_t, 4>& bits) {
  const auto u = std::bit_cast<std::uint64_t>(
      static_cast<double>(static_cast<std::int64_t>(bits53(bits[0], bits[1]) + 1)) * 0x1p-53);
  // Shifting by the bits of sqrt(1/2) makes the exponent field count from there.
  constexpr std::uint64_t root_half = 0x3FE6A09E667F3BCD;
  const auto e = static_cast<std::int64_t>(u - root_half) >> 52;
  constexpr std::uint64_t eighth = std::uint64_t{1} << 50;  // of a turn of 2^53
  const std::uint64_t turn = bits53(bits[2], bits[3]) + eighth;
  const auto rest = static_cast<std::int64_t>(turn & (2 * eighth - 1)) - static_cast<std::int64_t>(eighth);
  constexpr double radians = 0x1.921fb54442d18p2 * 0x1p-53;
  return {std::bit_cast<double>(u - (static_cast<std::uint64_t>(e) << 52)), static_cast<double>(e),
          static_cast<double>(rest) * radians, (turn >> 51) & 3};
}

/// (...(first x + next) x + ...) + last. No loop, so that a loop around it can be made vectors of.
constexpr double horner(std::same_as<double> auto x, double first, auto... rest) {
  ((first = std::fma(first, x, rest)), ...);
  return first;
}

/// ln(2^e m) for m in [sqrt(1/2), sqrt 2), ln m = 2 atanh((m - 1) / (m + 1)).
constexpr double log_of(std::same_as<double> auto m, double e) {
  const double d = m + 1;  // in [1.707, 2.415)
  const auto better = [d](double r) { return std::fma(std::fma(-d, r, 1.0), r, r); };
  // 1 / d to 3 %, then Newton: 9e-4, 8e-7, 7e-13, 5e-25
  const double r = better(better(better(better(std::fma(-0.2353, d, 0.97)))));
  const double s = (m - 1) * r, s2 = s * s;  // |s| < 0.172: 12 terms leave 2e-18
  const double p = horner(s2, 1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7,
                          1.0 / 5, 1.0 / 3);
  const double tail = p * s2, twice = s + s;
  constexpr double ln2 = 0x1.62e42fefa39efp-1;
  return std::fma(e, ln2, std::fma(twice, tail, twice));
}

/// The square root of x >= 0, as x times Newton's reciprocal square root from the well-known integer guess (3 % off).
constexpr double root(std::same_as<double> auto x) {
  const auto better = [half = 0.5 * x](double y) {
    const double hy = half * y;
    return y * std::fma(-hy, y, 1.5);
  };
  const double first = std::bit_cast<double>(0x5FE6EB50C7B537A9 - (std::bit_cast<std::uint64_t>(x) >> 1));
  const double y = better(better(better(better(better(first)))));
  const double r = x * y;
  return std::fma(0.5 * y, std::fma(-r, r, x), r);  // one corrected step on the root itself
}

struct SinCos {
  double sin, cos;
};

/// sin and cos of a for |a| <= pi / 4, by their series: the first omitted terms are below 1e-18.
constexpr SinCos series(std::same_as<double> auto a) {
  const double a2 = a * a;
  const double s = horner(a2, 1.0 / 355687428096000, -1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800,
                          1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6);
  const double c = horner(a2, 1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320,
                          -1.0 / 720, 1.0 / 24, -1.0 / 2);
  const double a3 = a2 * a;
  return {std::fma(s, a3, a), std::fma(c, a2, 1.0)};
}

/// sqrt(-2 ln u)
constexpr double radius(std::same_as<double> auto m, double e) { return root(-2 * log_of(m, e)); }

/// radius times (cos, sin) of an angle: that of `a`, turned by `quarters` quarter turns. No branch: it would go either way.
constexpr std::array<double, 2> turned(std::uint64_t quarters, double radius, const SinCos& a) {
  const auto sin = std::bit_cast<std::uint64_t>(a.sin), cos = std::bit_cast<std::uint64_t>(a.cos);
  const std::uint64_t other = (sin ^ cos) & (0 - (quarters & 1));  // odd: sin and cos change places
  const auto signed_radius = [radius](std::uint64_t negative) {
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(radius) ^ (negative & 2) << 62);
  };
  return {signed_radius(quarters + 1) * std::bit_cast<double>(cos ^ other),
          signed_radius(quarters) * std::bit_cast<double>(sin ^ other)};
}

}  // namespace detail

/// Two independent standard normals from 128 random bits (Box and Muller), made of + * fma and integer operations only, so that
/// every device gives the same bits.
constexpr std::array<double, 2> normal_pair(const std::array<std::uint32_t, 4>& bits) {
  const detail::Parts p = detail::parts_of(bits);
  return detail::turned(p.quarters, detail::radius(p.m, p.e), detail::series(p.rest));
}

}  // namespace costate
