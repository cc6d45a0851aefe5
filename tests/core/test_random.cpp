// Philox against its published answers, the normal transform against long double, the noise against its statistics.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "core/parallel.h"
#include "core/random.h"

using namespace costate;

namespace {

using Four = std::array<std::uint32_t, 4>;

/// Box and Muller's formula as a library computes it.
std::array<long double, 2> exact_pair(const Four& bits) {
  const auto top = [](std::uint32_t low, std::uint32_t high) { return ((std::uint64_t{high} << 32) | low) >> 11; };
  const long double u = static_cast<long double>(top(bits[0], bits[1]) + 1) * 0x1p-53L,
                    turn = static_cast<long double>(top(bits[2], bits[3])) * 0x1p-53L;
  const long double radius = std::sqrt(-2 * std::log(u)), angle = 2 * std::numbers::pi_v<long double> * turn;
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

/// Largest error of both numbers, in units of eps times the radius.
double pair_error(const Four& bits) {
  const auto z = normal_pair(bits);
  const auto exact = exact_pair(bits);
  const long double radius = std::hypot(exact[0], exact[1]);
  if (radius == 0) return z[0] == 0 && z[1] == 0 ? 0 : INFINITY;
  const long double off = std::max(std::abs(z[0] - exact[0]), std::abs(z[1] - exact[1]));
  return static_cast<double>(off / radius) / std::numeric_limits<double>::epsilon();
}

bool same(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.bytes_data(), b.bytes_data(), a.bytes()) == 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(random_numbers)

BOOST_AUTO_TEST_CASE(known_answers) {  // kat_vectors of the Random123 distribution
  constexpr std::uint32_t ones = 0xffffffff;
  BOOST_TEST((philox4x32({0, 0, 0, 0}, {0, 0}) == Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  BOOST_TEST(
      (philox4x32({ones, ones, ones, ones}, {ones, ones}) == Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  BOOST_TEST((philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

BOOST_AUTO_TEST_CASE(accurate_to_a_few_ulps) {
  double worst = 0;
  for (std::uint32_t i = 0; i < 200'000; ++i) worst = std::max(worst, pair_error(philox4x32({i, 1, 2, 3}, {4, 5})));
  // The ends: u = 2^-53 and 1 and their neighbours, angles at and around the eighths of a turn.
  for (const std::uint32_t low : {0U, 0x800U, 0xfffff800U, 0xffffffffU}) {
    for (const std::uint32_t high : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU}) {
      for (std::uint32_t eighth = 0; eighth < 8; ++eighth) {
        for (const std::uint32_t near : {0U, 0xffffffffU, 1U})
          worst = std::max(worst, pair_error({low, high, near, (eighth << 29) + near}));
      }
    }
  }
  BOOST_TEST(worst < 8);
}

BOOST_AUTO_TEST_CASE(moments_and_distribution) {
  constexpr std::int64_t count = 1 << 20;
  auto z = normal_noise(42, 0, 1, 3, {count}).to_vector();
  double moment[5] = {};
  for (const double v : z) {
    double power = 1;
    for (double& m : moment) m += power / count, power *= v;
  }
  const double sigma =
      1 / std::sqrt(static_cast<double>(count));  // the moments' own deviations: sigma sqrt(1, 2, 15, 96)
  BOOST_TEST(std::abs(moment[1]) < 4 * sigma);
  BOOST_TEST(std::abs(moment[2] - 1) < 4 * std::sqrt(2.0) * sigma);
  BOOST_TEST(std::abs(moment[3]) < 4 * std::sqrt(15.0) * sigma);
  BOOST_TEST(std::abs(moment[4] - 3) < 4 * std::sqrt(96.0) * sigma);
  std::sort(z.begin(), z.end());
  double gap = 0;  // Kolmogorov and Smirnov
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double phi = 0.5 * std::erfc(-z[i] / std::numbers::sqrt2);
    gap = std::max(
        {gap, std::abs(phi - static_cast<double>(i) / count), std::abs(phi - static_cast<double>(i + 1) / count)});
  }
  BOOST_TEST(gap * std::sqrt(static_cast<double>(count)) < 1.95);  // passed by all but one seed in a thousand
}

BOOST_AUTO_TEST_CASE(neighbours_are_uncorrelated) {
  constexpr std::int64_t count = 1 << 18;
  const auto base = normal_noise(1, 0, 1, 0, {count}).to_vector();
  const auto correlation = [&](const std::vector<double>& other, std::size_t shift) {
    double sum = 0;
    for (std::size_t i = shift; i < base.size(); ++i) sum += base[i] * other[i - shift];
    return std::abs(sum) / std::sqrt(static_cast<double>(count));
  };
  BOOST_TEST(correlation(base, 1) < 4);
  BOOST_TEST(correlation(base, 2) < 4);
  BOOST_TEST(correlation(normal_noise(2, 0, 1, 0, {count}).to_vector(), 0) < 4);  // another seed
  BOOST_TEST(correlation(normal_noise(1, 1, 1, 0, {count}).to_vector(), 0) < 4);  // another sample
  BOOST_TEST(correlation(normal_noise(1, 0, 1, 1, {count}).to_vector(), 0) < 4);  // another step
}

BOOST_AUTO_TEST_CASE(any_split_of_a_batch) {
  for (const Shape& shape : {Shape{3, 5, 3}, Shape{28, 28, 1}, Shape{}, Shape{7}}) {
    const Tensor whole = normal_noise(9, 100, 6, 2, shape);
    for (std::int64_t row = 0; row < 6; ++row)
      BOOST_TEST(same(normal_noise(9, 100 + static_cast<std::uint64_t>(row), 1, 2, shape), whole.rows(row, 1)));
    BOOST_TEST(same(normal_noise(9, 102, 3, 2, shape), whole.rows(2, 3)));
  }
}

BOOST_AUTO_TEST_CASE(any_number_of_threads) {
  const int before = thread_count();
  set_thread_count(1);
  const Tensor one = normal_noise(9, 0, 3, 2, {64, 64, 3});
  for (const int threads : {2, 3, 4}) {
    set_thread_count(threads);
    BOOST_TEST(same(normal_noise(9, 0, 3, 2, {64, 64, 3}), one));
  }
  set_thread_count(before);
}

BOOST_AUTO_TEST_CASE(f32_is_f64_rounded) {
  const auto fine = normal_noise(5, 0, 2, 0, {1001}).to_vector(),
             coarse = normal_noise(5, 0, 2, 0, {1001}, DType::f32).to_vector();
  for (std::size_t i = 0; i < fine.size(); ++i)
    BOOST_REQUIRE_EQUAL(coarse[i], static_cast<double>(static_cast<float>(fine[i])));
  BOOST_CHECK_THROW(static_cast<void>(normal_noise(5, 0, 2, 0, {3}, DType::i32)), Error);
}

BOOST_AUTO_TEST_CASE(large_seeds_and_samples_count) {
  const std::uint64_t high = std::uint64_t{1} << 32;
  const Tensor base = normal_noise(1, 1, 1, 0, {16});
  BOOST_TEST(!same(normal_noise(1 + high, 1, 1, 0, {16}), base));
  BOOST_TEST(!same(normal_noise(1, 1 + high, 1, 0, {16}), base));
}

BOOST_AUTO_TEST_SUITE_END()
