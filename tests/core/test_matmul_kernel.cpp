// The matrix product kernel against plain f64 loops over sizes, transposes and batches, and its promises about bits.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/kernels/matmul.h"
#include "core/parallel.h"
#include "tests/core/pairs.h"

namespace costate {
namespace {

struct Case {
  std::int64_t batch, b_batch, m, k, n;
};

const std::vector<Case> cases = {
    {1, 1, 1, 1, 1},    {1, 1, 1, 128, 512},  {1, 1, 7, 16, 17},   {3, 3, 1, 40, 100}, {3, 3, 5, 17, 64},
    {3, 3, 13, 9, 130}, {2, 1, 6, 100, 3},    {4, 1, 1, 33, 65},   {2, 2, 64, 64, 64}, {1, 1, 100, 5, 1},
    {5, 5, 2, 1, 1},    {1, 1, 20, 1700, 70}, {2, 2, 9, 1537, 20}, {2, 2, 3, 0, 4},    {0, 1, 3, 4, 5},
};

template <class T>
Tensor noise(const Shape& shape, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> v(static_cast<std::size_t>(shape.size()));
  for (auto& e : v) e = uniform(engine);
  return Tensor::from(v, shape, dtype_of<T>());
}

struct Operands {
  bool ta, tb;
  Tensor a, b;
};

template <class T>
Operands operands(const Case& c, bool ta, bool tb) {
  return {ta, tb, noise<T>(ta ? Shape{c.batch, c.k, c.m} : Shape{c.batch, c.m, c.k}, 1),
          noise<T>(tb ? Shape{c.b_batch, c.n, c.k} : Shape{c.b_batch, c.k, c.n}, 2)};
}

Tensor product(const Case& c, const Operands& o) {
  Tensor out = Tensor::empty({c.batch, c.m, c.n}, o.a.dtype());
  cpu::matmul(o.ta, o.tb, o.a, o.b, {}, {}, out);
  return out;
}

/// Largest error over c * eps * sqrt(k) times the size of such a sum, sqrt(k) / 3 for factors uniform in [-1, 1].
double error(const Case& c, const Operands& o, const Tensor& got) {
  const auto a = o.a.to_vector(), b = o.b.to_vector(), v = got.to_vector();
  double worst = 0;
  for (std::int64_t i = 0; i < c.batch * c.m * c.n; ++i) {
    const std::int64_t item = i / (c.m * c.n), row = i / c.n % c.m, column = i % c.n;
    const std::int64_t from = (c.b_batch == 1 ? 0 : item) * c.k * c.n;
    double sum = 0;
    for (std::int64_t k = 0; k < c.k; ++k)
      sum += a[static_cast<std::size_t>(item * c.m * c.k + (o.ta ? k * c.m + row : row * c.k + k))] *
             b[static_cast<std::size_t>(from + (o.tb ? column * c.k + k : k * c.n + column))];
    worst = std::max(worst, std::abs(sum - v[static_cast<std::size_t>(i)]));
    if (!std::isfinite(v[static_cast<std::size_t>(i)])) return INFINITY;
  }
  return worst / (4 * epsilon_of(got.dtype()) * static_cast<double>(std::max<std::int64_t>(c.k, 1)) / 3);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.bytes_data(), b.bytes_data(), a.bytes()) == 0;
}

template <class F>
void each(F&& f) {
  for (const auto& c : cases)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true})
        BOOST_TEST_CONTEXT("batch " << c.batch << " b " << c.b_batch << " m " << c.m << " k " << c.k << " n " << c.n
                                    << " " << ta << tb)
  f(c, ta, tb);
}

struct ThreadCount {
  int before = thread_count();
  ~ThreadCount() { set_thread_count(before); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(matmul_kernels)

BOOST_AUTO_TEST_CASE(agrees_with_plain_loops) {
  each([](const Case& c, bool ta, bool tb) {
    const auto single = operands<float>(c, ta, tb);
    const auto twice = operands<double>(c, ta, tb);
    BOOST_TEST(error(c, single, product(c, single)) < 1);
    BOOST_TEST(error(c, twice, product(c, twice)) < 1);
  });
}

/// Factors of bf16: the largest difference is one rounding, and what sums in f32 lose.
void check_rounded_once() {
  each([](const Case& c, bool ta, bool tb) {
    const auto o = operands<bf16>(c, ta, tb);
    BOOST_TEST(badly_rounded(product(c, o), product(c, {ta, tb, in_f32(o.a), in_f32(o.b)}), c.k) == 0);
  });
}

BOOST_AUTO_TEST_CASE(of_bf16_round_once) {
  check_rounded_once();
  const WithoutPairs elsewhere;
  check_rounded_once();
}

BOOST_AUTO_TEST_CASE(of_bf16_sum_in_the_order_of_pairs, *boost::unit_test::precondition(machine_has_pairs)) {
  each([](const Case& c, bool ta, bool tb) {
    const auto o = operands<bf16>(c, ta, tb);
    const Tensor got = product(c, o);
    const bf16 *a = o.a.data<bf16>(), *b = o.b.data<bf16>();
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < got.size(); ++i) {
      const std::int64_t item = i / (c.m * c.n), row = i / c.n % c.m, column = i % c.n;
      const bf16 *left = a + item * c.m * c.k, *right = b + (c.b_batch == 1 ? 0 : item) * c.k * c.n;
      const float sum = pair_chain(
          0, c.k, [&](auto k) { return left[ta ? k * c.m + row : row * c.k + k]; },
          [&](auto k) { return right[tb ? column * c.k + k : k * c.n + column]; });
      wrong += got.data<bf16>()[i].bits != bf16(sum).bits ? 1 : 0;
    }
    BOOST_TEST(wrong == 0);
  });
}

template <class T>
void check_bits() {
  const ThreadCount restore;
  each([](const Case& c, bool ta, bool tb) {
    const auto o = operands<T>(c, ta, tb);
    set_thread_count(1);
    const Tensor one = product(c, o);
    for (int threads = 1; threads <= 4; ++threads) {
      set_thread_count(threads);
      BOOST_TEST(same_bits(product(c, o), one));
    }
    if (c.batch == 0) return;
    Case item = c;
    item.batch = item.b_batch = 1;
    const Tensor b = c.b_batch == 1 ? o.b : o.b.rows(c.batch - 1, 1);
    BOOST_TEST(same_bits(product(item, {ta, tb, o.a.rows(c.batch - 1, 1), b}), one.rows(c.batch - 1, 1)));
  });
}

BOOST_AUTO_TEST_CASE(bits_depend_on_the_work_alone) {
  check_bits<float>();
  check_bits<bf16>();
  const WithoutPairs elsewhere;
  check_bits<bf16>();
}

BOOST_AUTO_TEST_CASE(rows_do_not_depend_on_their_neighbours) {
  const Case tall{1, 1, 100, 300, 70}, flat{1, 1, 1, 300, 70};
  const auto o = operands<float>(tall, false, false);
  const Tensor all = product(tall, o).reshaped({100, 70});
  for (const std::int64_t row : {0, 5, 41, 99}) {
    const Tensor a = o.a.reshaped({100, 300}).rows(row, 1).reshaped({1, 1, 300});
    BOOST_TEST(same_bits(product(flat, {false, false, a, o.b}).reshaped({1, 70}), all.rows(row, 1)));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
