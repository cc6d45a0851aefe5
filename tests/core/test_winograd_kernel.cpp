// Winograd's convolutions against the direct one in f64, their promises about bits, and when they run.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <random>

#include "core/kernels/winograd.h"
#include "core/kernels/winograd_matrices.h"
#include "core/kernels/winograd_tiles.h"
#include "core/parallel.h"
#include "tests/core/pairs.h"
#include "tests/support/convolved.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

const std::vector<Convolved> all = {{1, 8, 8, 16, 16, 1, 1}, {2, 9, 7, 17, 37, 1, 1},  {3, 5, 11, 1, 3, 2, 0},
                                    {1, 3, 3, 5, 130, 1, 1}, {2, 16, 12, 40, 9, 0, 2}, {40, 12, 12, 64, 20, 1, 1},
                                    {1, 6, 6, 20, 64, -1, 1}};

Tensor noise(const Shape& shape, unsigned seed, DType dtype = DType::f32) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> v(static_cast<std::size_t>(shape.size()));
  for (auto& e : v) e = uniform(engine);
  return Tensor::from(v, shape, dtype);
}

/// Forward and data gradient through F(m, 3).
struct Results {
  Tensor y, dx;
};
Results run(const Convolved& c, int m, const Tensor& x, const Tensor& w, const Tensor& g) {
  Results r{Tensor::empty(g.shape(), x.dtype()), Tensor::empty(x.shape(), x.dtype())};
  cpu::winograd({m, false, c.top, c.left}, x, w, {}, {}, r.y);
  cpu::winograd({m, true, 2 - c.top, 2 - c.left}, g, w, {}, {}, r.dx);
  return r;
}

/// Largest difference over eps * sqrt(terms) / 3, the size of a sum of that many products in units of its rounding.
double error(const Tensor& got, const Tensor& want, std::int64_t terms) {
  const auto a = got.to_vector(), b = want.to_vector();
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst / (epsilon_of(DType::f32) * std::sqrt(static_cast<double>(terms)) / 3);
}

struct Restore {
  int threads = thread_count();
  ConvAlgorithm algorithm = conv_algorithm();
  ~Restore() {
    set_thread_count(threads);
    set_conv_algorithm(algorithm);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(winograd_kernels)

BOOST_AUTO_TEST_CASE(agree_with_the_direct_convolution) {
  for (const auto& c : all) {
    const Tensor x = noise(c.x(), 1), w = noise(c.weight(), 2), g = noise(c.y(), 3);
    Tensor y = Tensor::empty(c.y(), DType::f64), dx = Tensor::empty(c.x(), DType::f64);
    cpu::conv2d(c.geometry(), in_f64(x), in_f64(w), {}, {}, y);
    cpu::conv2d_dx(c.geometry(), in_f64(g), in_f64(w), {}, dx);
    for (const int m : {2, 4}) {
      const Results r = run(c, m, x, w, g);
      BOOST_TEST_CONTEXT("F(" << m << ",3) " << to_string(c.x()) << " " << to_string(c.weight())) {
        BOOST_TEST(error(r.y, y, 9 * c.in) < (m == 2 ? 20 : 150));
        BOOST_TEST(error(r.dx, dx, 9 * c.out) < (m == 2 ? 20 : 150));
      }
    }
  }
}

/// bf16: largest difference from the direct one in f64, in halves of bf16's spacing below the largest result (what rounding it costs at
/// most is 1).
void check_bf16(double most_of_2, double most_of_4) {
  for (const auto& c : all) {
    const Tensor x = noise(c.x(), 1, DType::bf16), w = noise(c.weight(), 2, DType::bf16),
                 g = noise(c.y(), 3, DType::bf16);
    Tensor y = Tensor::empty(c.y(), DType::f64), dx = Tensor::empty(c.x(), DType::f64);
    cpu::conv2d(c.geometry(), in_f64(x), in_f64(w), {}, {}, y);
    cpu::conv2d_dx(c.geometry(), in_f64(g), in_f64(w), {}, dx);
    const auto error = [](const Tensor& got, const Tensor& want) {
      const auto a = got.to_vector(), b = want.to_vector();
      double worst = 0, largest = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        worst = std::max(worst, std::abs(a[i] - b[i]));
        largest = std::max(largest, std::abs(b[i]));
      }
      return worst / (0x1p-8 * largest);
    };
    for (const int m : {2, 4}) {
      const Results r = run(c, m, x, w, g);
      BOOST_TEST_CONTEXT("F(" << m << ",3) " << to_string(c.x()) << " " << to_string(c.weight())) {
        BOOST_TEST(error(r.y, y) < (m == 2 ? most_of_2 : most_of_4));
        BOOST_TEST(error(r.dx, dx) < (m == 2 ? most_of_2 : most_of_4));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(of_bf16_round_once) {
  const WithoutPairs pairs;
  check_bf16(1.01, 1.01);
}

BOOST_AUTO_TEST_CASE(of_bf16_in_fixed_point_add_little, *boost::unit_test::precondition(machine_has_pairs)) {
  check_bf16(1.1, 1.6);
}

/// What shares a scale: nothing at all, one number of many, numbers from the ends of f32's range.
BOOST_AUTO_TEST_CASE(of_bf16_in_fixed_point_take_any_numbers, *boost::unit_test::precondition(machine_has_pairs)) {
  const Convolved c{1, 8, 8, 64, 16, 1, 1};
  const Tensor w = Tensor::full(c.weight(), 1, DType::bf16);
  for (const int m : {2, 4})
    for (const double v : {0.0, 1e-30, 1e-15, 3.0, 1e15, -1e30, HUGE_VAL}) {
      std::vector<double> values(static_cast<std::size_t>(c.x().size()));
      values[static_cast<std::size_t>((3 * 8 + 3) * 64 + 5)] = v;
      const Tensor x = Tensor::from(values, c.x(), DType::bf16);
      Tensor y = Tensor::empty(c.y(), DType::bf16);
      cpu::winograd({m, false, 1, 1}, x, w, {}, {}, y);
      const double got = y.to_vector()[static_cast<std::size_t>((3 * 8 + 4) * 16 + 7)],
                   sent = x.to_vector()[(3 * 8 + 3) * 64 + 5];
      if (std::isfinite(v))
        BOOST_TEST(std::abs(got - sent) <= 0x1p-7 * std::abs(sent));
      else
        BOOST_TEST(!std::isfinite(got));
    }
}

template <int m>
void check_matrices() {
  constexpr int n = m + 2;
  constexpr WinogradMatrices<m> as_is, other = turned(as_is);
  const double d[] = {3, -7, 2, 5, -1, 4}, w[] = {2, -3, 5};
  for (int t = 0; t < m; ++t) {
    double y = 0, back = 0;
    for (int p = 0; p < n; ++p) {
      double g = 0, b = 0, c = 0;
      for (int i = 0; i < 3; ++i) g += as_is.g[p][i] * w[i];
      for (int i = 0; i < n; ++i) b += as_is.b[p][i] * d[i], c += other.b[p][i] * d[i];
      y += as_is.a[t][p] * g * b;
      back += other.a[t][p] * g * c;
    }
    BOOST_TEST(std::abs(y - (d[t] * w[0] + d[t + 1] * w[1] + d[t + 2] * w[2])) < 1e-12);
    BOOST_TEST(std::abs(back - (d[t] * w[2] + d[t + 1] * w[1] + d[t + 2] * w[0])) < 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(matrices_are_those_of_sums_of_three_taps_in_either_order) {
  check_matrices<2>();
  check_matrices<4>();
}

/// What is written out in winograd_tiles.cpp: the transform of one number at each place of a tile.
template <int m>
void check_tiles() {
  constexpr int n = m + 2;
  constexpr WinogradMatrices<m> by;
  const std::vector<float> nothing(1, 0), one(1, 1);
  for (int at = 0; at < n * n; ++at) {
    std::vector<const float*> pixels(n * n, nothing.data());
    pixels[static_cast<std::size_t>(at)] = one.data();
    constexpr int step = 64;  // a vector's length, at most
    std::vector<float> points(static_cast<std::size_t>(n * n * step)), y(m * m);
    cpu::winograd_tiles<float, float>(m).input(pixels.data(), 1, step, points.data(), nullptr, nullptr);
    for (int p = 0; p < n * n; ++p)
      BOOST_TEST(points[static_cast<std::size_t>(p * step)] == by.b[p / n][at / n] * by.b[p % n][at % n]);
    std::vector<float> sums(static_cast<std::size_t>(n * n * step));
    sums[static_cast<std::size_t>(at * step)] = 1;
    std::vector<float*> to;
    for (auto& e : y) to.push_back(&e);
    cpu::winograd_tiles<float, float>(m).output(sums.data(), step, nullptr, nullptr, nothing.data(), nullptr, 1,
                                                to.data());
    for (int t = 0; t < m * m; ++t)
      BOOST_TEST(y[static_cast<std::size_t>(t)] == by.a[t / m][at / n] * by.a[t % m][at % n]);
  }
}

BOOST_AUTO_TEST_CASE(tiles_are_transformed_by_these_matrices) {
  check_tiles<2>();
  check_tiles<4>();
}

void check_bits(DType dtype) {
  const Restore restore;
  for (const auto& c : all) {
    const Tensor x = noise(c.x(), 4, dtype), w = noise(c.weight(), 5, dtype), g = noise(c.y(), 6, dtype);
    for (const int m : {2, 4}) {
      set_thread_count(1);
      const Results one = run(c, m, x, w, g);
      for (int threads = 2; threads <= 4; ++threads) {
        set_thread_count(threads);
        const Results r = run(c, m, x, w, g);
        BOOST_TEST((same_bits(r.y, one.y) && same_bits(r.dx, one.dx)));
      }
      const Results last = run(c, m, x.rows(c.n - 1, 1), w, g.rows(c.n - 1, 1));
      BOOST_TEST(same_bits(last.y, one.y.rows(c.n - 1, 1)));
      BOOST_TEST(same_bits(last.dx, one.dx.rows(c.n - 1, 1)));
    }
  }
}

BOOST_AUTO_TEST_CASE(bits_depend_on_one_image_alone) {
  check_bits(DType::f32);
  check_bits(DType::bf16);
  const WithoutPairs elsewhere;
  check_bits(DType::bf16);
}

BOOST_AUTO_TEST_CASE(run_where_they_pay_and_never_when_switched_off) {
  const Restore restore;
  set_conv_algorithm(ConvAlgorithm::own);
  BOOST_TEST(cpu::winograd_outputs(32, 32, 128) == 4);
  BOOST_TEST(cpu::winograd_outputs(8, 8, 256) == 2);
  BOOST_TEST(cpu::winograd_outputs(4, 4, 256) == 0);  // too few tiles
  BOOST_TEST(cpu::winograd_outputs(16, 16, 512) == 4);
  BOOST_TEST(cpu::winograd_outputs(16, 16, 1280) == 2);  // too few for weights that long
  BOOST_TEST(cpu::winograd_outputs(8, 8, 1280) == 0);
  BOOST_TEST(cpu::winograd_outputs(1, 40, 64) == 0);  // most of a tile hangs over
  BOOST_TEST(cpu::winograd_outputs(32, 32, 3) == 0);  // transforms would cost more than the products
  const Convolved c{1, 16, 16, 16, 16, 1, 1};
  const Tensor x = noise(c.x(), 7), w = noise(c.weight(), 8);
  Tensor fast = Tensor::empty(c.y(), DType::f32), direct = Tensor::empty(c.y(), DType::f32);
  cpu::conv2d(c.geometry(), x, w, {}, {}, fast);
  BOOST_TEST(same_bits(fast, run(c, 4, x, w, fast).y));
  set_conv_algorithm(ConvAlgorithm::direct);
  BOOST_TEST(cpu::winograd_outputs(32, 32, 128) == 0);
  cpu::conv2d(c.geometry(), x, w, {}, {}, direct);
  BOOST_TEST(!same_bits(fast, direct));
}

BOOST_AUTO_TEST_CASE(another_slice_of_the_weights_is_another_transform) {
  const Convolved c{1, 8, 8, 16, 16, 1, 1};
  const Tensor both = noise({2, 3, 3, 16, 16}, 9), x = noise(c.x(), 10), g = noise(c.y(), 11);
  const Tensor w = both.rows(1, 1).reshaped(c.weight());
  static_cast<void>(run(c, 4, x, both.rows(0, 1).reshaped(c.weight()), g));
  const Tensor copy = Tensor::from(w.to_vector(), c.weight(), DType::f32);
  BOOST_TEST(same_bits(run(c, 4, x, w, g).y, run(c, 4, x, copy, g).y));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
