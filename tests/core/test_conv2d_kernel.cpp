// The convolution kernels against plain f64 loops over a table of geometries, and their promises about bits.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/kernels/conv2d.h"
#include "core/parallel.h"
#include "tests/core/pairs.h"
#include "tests/support/convolutions_by.h"

namespace costate {
namespace {

struct Case {
  std::int64_t n, h, w, in, out, kh, kw;
  ConvGeometry g;

  [[nodiscard]] std::int64_t oh() const {
    return (h + g.top + g.bottom - g.dilation_h * (kh - 1) - 1) / g.stride_h + 1;
  }
  [[nodiscard]] std::int64_t ow() const {
    return (w + g.left + g.right - g.dilation_w * (kw - 1) - 1) / g.stride_w + 1;
  }
  [[nodiscard]] Shape x() const { return {n, h, w, in}; }
  [[nodiscard]] Shape weight() const { return {kh, kw, in / g.groups, out}; }
  [[nodiscard]] Shape y() const { return {n, oh(), ow(), out}; }
};

std::ostream& operator<<(std::ostream& o, const Case& c) {
  return o << fmt::format("x {} w {} stride {} {} dilation {} {} padding {} {} {} {} groups {}", to_string(c.x()),
                          to_string(c.weight()), c.g.stride_h, c.g.stride_w, c.g.dilation_h, c.g.dilation_w, c.g.top,
                          c.g.bottom, c.g.left, c.g.right, c.g.groups);
}

ConvGeometry same(std::int64_t pad, std::int64_t stride = 1, std::int64_t groups = 1) {
  return {stride, stride, 1, 1, pad, pad, pad, pad, groups};
}

const std::vector<Case> cases = {
    {1, 1, 1, 1, 1, 1, 1, same(0)},
    {2, 9, 7, 16, 17, 3, 3, same(1)},
    {1, 8, 8, 64, 64, 3, 3, same(1)},
    {2, 5, 5, 100, 64, 3, 3, same(1)},
    {1, 4, 4, 64, 100, 3, 3, same(1)},
    {3, 7, 9, 3, 64, 3, 3, same(1)},
    {3, 7, 9, 64, 3, 3, 3, same(1)},
    {2, 6, 5, 1, 5, 5, 5, same(2)},
    {2, 9, 9, 5, 1, 7, 7, same(3)},
    {2, 3, 5, 17, 100, 1, 1, same(0)},
    {1, 8, 9, 16, 16, 2, 2, same(0, 2)},
    {2, 9, 9, 16, 17, 3, 3, same(1, 2)},
    {1, 9, 8, 5, 64, 3, 3, same(1, 3)},
    {1, 9, 9, 17, 5, 1, 1, same(0, 2)},                     // a stride that skips inputs: dx has empty phases
    {2, 7, 7, 3, 16, 5, 3, {2, 1, 1, 2, 2, 1, 0, 3, 1}},    // everything different on the two axes
    {1, 9, 9, 5, 16, 3, 3, {1, 1, 2, 2, 2, 2, 2, 2, 1}},    // dilation
    {1, 9, 8, 5, 16, 3, 2, {2, 3, 2, 3, 2, 1, 3, 0, 1}},    // dilation and stride
    {2, 6, 6, 16, 16, 3, 3, {2, 2, 1, 1, 0, 1, 0, 1, 1}},   // the asymmetric padding of diffusers' downsampling
    {2, 8, 9, 5, 17, 3, 3, {1, 1, 1, 1, -1, 2, 2, -2, 1}},  // negative padding crops
    {1, 9, 9, 16, 5, 2, 2, {2, 2, 1, 1, -3, -1, -1, 1, 1}},
    {1, 2, 2, 5, 5, 3, 3, same(3)},  // outputs that see nothing but padding
    {2, 6, 7, 16, 64, 3, 3, same(1, 1, 4)},
    {1, 6, 7, 34, 6, 3, 3, same(1, 2, 2)},
    {2, 5, 6, 17, 17, 3, 3, same(1, 1, 17)},  // depthwise
    {1, 5, 6, 5, 10, 3, 3, same(1, 1, 5)},
    {3, 2, 40, 3, 5, 1, 7, {1, 1, 1, 1, 0, 0, 3, 3, 1}},
    {2, 50, 33, 5, 5, 3, 3, same(1)},  // more pixels than one chunk of the weight gradient
};

template <class T>
Tensor noise(const Shape& shape, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> v(static_cast<std::size_t>(shape.size()));
  for (auto& e : v) e = uniform(engine);
  return Tensor::from(v, shape, dtype_of<T>());
}

/// Calls f(x index, w index, y index) for every product of the convolution.
template <class F>
void each_product(const Case& c, F&& f) {
  const std::int64_t in = c.in / c.g.groups, out = c.out / c.g.groups;
  for (std::int64_t n = 0; n < c.n; ++n)
    for (std::int64_t i = 0; i < c.oh(); ++i)
      for (std::int64_t j = 0; j < c.ow(); ++j)
        for (std::int64_t a = 0; a < c.kh; ++a)
          for (std::int64_t b = 0; b < c.kw; ++b) {
            const std::int64_t y = i * c.g.stride_h + a * c.g.dilation_h - c.g.top;
            const std::int64_t x = j * c.g.stride_w + b * c.g.dilation_w - c.g.left;
            if (y < 0 || y >= c.h || x < 0 || x >= c.w) continue;
            for (std::int64_t o = 0; o < c.out; ++o)
              for (std::int64_t ci = 0; ci < in; ++ci)
                f(((n * c.h + y) * c.w + x) * c.in + o / out * in + ci, ((a * c.kw + b) * in + ci) * c.out + o,
                  ((n * c.oh() + i) * c.ow() + j) * c.out + o);
          }
}

struct Results {
  Tensor y, dx, dw;
};

Results run(const Case& c, const Tensor& x, const Tensor& w, const Tensor& g) {
  Results r{Tensor::empty(c.y(), x.dtype()), Tensor::empty(c.x(), x.dtype()), Tensor::zeros(c.weight(), x.dtype())};
  cpu::conv2d(c.g, x, w, {}, {}, r.y);
  cpu::conv2d_dx(c.g, g, w, {}, r.dx);
  if (x.dtype() != DType::bf16) cpu::conv2d_dw(c.g, x, g, r.dw);  // which is in f32
  return r;
}

/// Largest error over c * eps * sqrt(length) times the size of such a sum, sqrt(length) / 3 for factors uniform in [-1,
/// 1].
double error(const Tensor& got, const std::vector<double>& want, std::int64_t length) {
  const auto v = got.to_vector();
  double worst = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (!std::isfinite(v[i])) return INFINITY;
    worst = std::max(worst, std::abs(v[i] - want[i]));
  }
  return worst / (4 * epsilon_of(got.dtype()) * static_cast<double>(length) / 3);
}

template <class T>
void check_values(const Case& c) {
  const Tensor x = noise<T>(c.x(), 1), w = noise<T>(c.weight(), 2), g = noise<T>(c.y(), 3);
  const Results r = run(c, x, w, g);
  const auto xv = x.to_vector(), wv = w.to_vector(), gv = g.to_vector();
  std::vector<double> y(gv.size()), dx(xv.size()), dw(wv.size());
  each_product(c, [&](auto xi, auto wi, auto yi) {
    const auto i = static_cast<std::size_t>(xi), j = static_cast<std::size_t>(wi), k = static_cast<std::size_t>(yi);
    y[k] += xv[i] * wv[j];
    dx[i] += gv[k] * wv[j];
    dw[j] += gv[k] * xv[i];
  });
  BOOST_TEST_CONTEXT(c << " " << name_of(x.dtype())) {
    BOOST_TEST(error(r.y, y, c.kh * c.kw * c.in / c.g.groups) < 1);
    BOOST_TEST(error(r.dx, dx, c.kh * c.kw * c.out / c.g.groups) < 1);
    BOOST_TEST(error(r.dw, dw, c.n * c.oh() * c.ow()) < 1);
  }
}

/// y and dx in bf16 as tiles of pairs sum them: tap after tap, a chain of pairs over the channels of each.
void check_pairs(const Case& c) {
  const Tensor x = noise<bf16>(c.x(), 1), w = noise<bf16>(c.weight(), 2), g = noise<bf16>(c.y(), 3);
  const Results r = run(c, x, w, g);
  const std::int64_t in = c.in / c.g.groups, out = c.out / c.g.groups;
  const auto *xs = x.data<bf16>(), *ws = w.data<bf16>(), *gs = g.data<bf16>();
  std::int64_t wrong = 0;
  for (std::int64_t at = 0; at < c.y().size(); ++at) {
    const std::int64_t o = at % c.out, j = at / c.out % c.ow(), i = at / c.out / c.ow() % c.oh(),
                       n = at / c.out / c.ow() / c.oh();
    float sum = 0;
    for (std::int64_t a = 0; a < c.kh; ++a)
      for (std::int64_t b = 0; b < c.kw; ++b) {
        const std::int64_t row = i * c.g.stride_h + a * c.g.dilation_h - c.g.top;
        const std::int64_t column = j * c.g.stride_w + b * c.g.dilation_w - c.g.left;
        if (row < 0 || row >= c.h || column < 0 || column >= c.w) continue;
        const bf16 *from = xs + ((n * c.h + row) * c.w + column) * c.in + o / out * in,
                   *tap = ws + (a * c.kw + b) * in * c.out + o;
        sum = pair_chain(
            sum, in, [&](auto k) { return from[k]; }, [&](auto k) { return tap[k * c.out]; });
      }
    wrong += r.y.data<bf16>()[at].bits != bf16(sum).bits ? 1 : 0;
  }
  for (std::int64_t at = 0; at < c.x().size(); ++at) {
    const std::int64_t ci = at % c.in, column = at / c.in % c.w, row = at / c.in / c.w % c.h, n = at / c.in / c.w / c.h;
    float sum = 0;
    for (std::int64_t a = c.kh - 1; a >= 0; --a)
      for (std::int64_t b = c.kw - 1; b >= 0; --b) {
        const std::int64_t i = row + c.g.top - a * c.g.dilation_h, j = column + c.g.left - b * c.g.dilation_w;
        if (i < 0 || j < 0 || i % c.g.stride_h != 0 || j % c.g.stride_w != 0 || i / c.g.stride_h >= c.oh() ||
            j / c.g.stride_w >= c.ow())
          continue;
        const bf16 *from = gs + ((n * c.oh() + i / c.g.stride_h) * c.ow() + j / c.g.stride_w) * c.out + ci / in * out,
                   *tap = ws + ((a * c.kw + b) * in + ci % in) * c.out + ci / in * out;
        sum = pair_chain(
            sum, out, [&](auto k) { return from[k]; }, [&](auto k) { return tap[k]; });
      }
    wrong += r.dx.data<bf16>()[at].bits != bf16(sum).bits ? 1 : 0;
  }
  BOOST_TEST_CONTEXT(c) BOOST_TEST(wrong == 0);
}

/// The largest difference is one rounding to bf16, and what sums in f32 lose.
void check_rounded_once(const Case& c) {
  const Tensor x = noise<bf16>(c.x(), 1), w = noise<bf16>(c.weight(), 2), g = noise<bf16>(c.y(), 3);
  const Results got = run(c, x, w, g), want = run(c, in_f32(x), in_f32(w), in_f32(g));
  BOOST_TEST_CONTEXT(c) {
    BOOST_TEST(badly_rounded(got.y, want.y, c.kh * c.kw * c.in / c.g.groups) == 0);
    BOOST_TEST(badly_rounded(got.dx, want.dx, c.kh * c.kw * c.out / c.g.groups) == 0);
  }
}

double dot(const Tensor& a, const Tensor& b) {
  const auto u = a.to_vector(), v = b.to_vector();
  double sum = 0;
  for (std::size_t i = 0; i < u.size(); ++i) sum += u[i] * v[i];
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.bytes_data(), b.bytes_data(), a.bytes()) == 0;
}

struct ThreadCount {
  int before = thread_count();
  ~ThreadCount() { set_thread_count(before); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(conv2d_kernels)

BOOST_AUTO_TEST_CASE(agrees_with_plain_loops) {
  for (const auto& c : cases) {
    check_values<float>(c);
    check_values<double>(c);
  }
}

BOOST_AUTO_TEST_CASE(of_bf16_round_once) {
  const ConvolutionsBy direct(ConvAlgorithm::direct);
  for (const auto& c : cases) check_rounded_once(c);
  const WithoutPairs elsewhere;
  for (const auto& c : cases) check_rounded_once(c);
}

BOOST_AUTO_TEST_CASE(of_bf16_sum_in_the_order_of_pairs, *boost::unit_test::precondition(machine_has_pairs)) {
  const ConvolutionsBy direct(ConvAlgorithm::direct);
  for (const auto& c : cases) check_pairs(c);
}

BOOST_AUTO_TEST_CASE(gradients_are_adjoint) {
  for (const auto& c : cases) {
    const Tensor x = noise<double>(c.x(), 4), w = noise<double>(c.weight(), 5), g = noise<double>(c.y(), 6);
    const Results r = run(c, x, w, g);
    const double want = dot(g, r.y);
    BOOST_TEST_CONTEXT(c) {
      BOOST_TEST(std::abs(dot(r.dx, x) - want) < 1e-12 * static_cast<double>(c.y().size()));
      BOOST_TEST(std::abs(dot(r.dw, w) - want) < 1e-12 * static_cast<double>(c.y().size()));
    }
  }
}

template <class T>
void check_bits() {
  const ThreadCount restore;
  auto wide = cases;
  wide.push_back({2, 16, 16, 64, 128, 3, 3, same(1)});  // enough work for many tasks
  for (const auto& c : wide) {
    const Tensor x = noise<T>(c.x(), 7), w = noise<T>(c.weight(), 8), g = noise<T>(c.y(), 9);
    set_thread_count(1);
    const Results one = run(c, x, w, g);
    BOOST_TEST_CONTEXT(c) {
      for (int threads = 1; threads <= 4; ++threads) {
        set_thread_count(threads);
        const Results r = run(c, x, w, g);
        BOOST_TEST((same_bits(r.y, one.y) && same_bits(r.dx, one.dx) && same_bits(r.dw, one.dw)));
      }
      Case row = c;
      row.n = 1;
      const Results last = run(row, x.rows(c.n - 1, 1), w, g.rows(c.n - 1, 1));
      BOOST_TEST(same_bits(last.y, one.y.rows(c.n - 1, 1)));
      BOOST_TEST(same_bits(last.dx, one.dx.rows(c.n - 1, 1)));
    }
  }
}

BOOST_AUTO_TEST_CASE(bits_depend_on_the_work_alone) {
  check_bits<float>();
  check_bits<bf16>();
  const WithoutPairs elsewhere;
  check_bits<bf16>();
}

BOOST_AUTO_TEST_CASE(packs_follow_the_weights_not_the_address) {
  const Case c{1, 5, 5, 16, 16, 3, 3, same(1)};
  const Tensor x = noise<double>(c.x(), 10), g = noise<double>(c.y(), 11);
  const Tensor both = noise<double>({2, 3, 3, 16, 16}, 12);
  const Results first = run(c, x, both.rows(0, 1).reshaped(c.weight()), g);
  const Results second = run(c, x, both.rows(1, 1).reshaped(c.weight()), g);
  Case strided = c;
  strided.g = same(1, 2);
  const Tensor small = noise<double>(strided.y(), 13);
  const Tensor w = both.rows(1, 1).reshaped(c.weight());
  const Results again = run(strided, x, w, small);
  const Tensor copy = Tensor::from(w.to_vector(), c.weight());
  BOOST_TEST(!same_bits(first.y, second.y));
  BOOST_TEST(same_bits(second.dx, run(c, x, copy, g).dx));
  BOOST_TEST(same_bits(again.dx, run(strided, x, Tensor::from(w.to_vector(), c.weight()), small).dx));
}

BOOST_AUTO_TEST_CASE(empty_batch) {
  const Case c{0, 5, 5, 3, 4, 3, 3, same(1)};
  const Results r = run(c, Tensor::zeros(c.x()), noise<float>(c.weight(), 14), Tensor::zeros(c.y()));
  BOOST_TEST(r.y.size() == 0);
  for (double v : r.dw.to_vector()) BOOST_TEST(v == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
