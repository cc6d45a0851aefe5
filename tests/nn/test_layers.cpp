// Layers and conversions by themselves, against their definitions.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/arithmetic.h"
#include "nn/activation.h"
#include "nn/conv2d.h"
#include "nn/network.h"
#include "nn/resampling.h"
#include "nn/time_embedding.h"
#include "small_networks.h"

namespace {

using namespace costate;
using small::waves;

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  BOOST_REQUIRE_EQUAL(a.size(), b.size());
  double m = 0;
  for (std::size_t i = 0; i < a.size(); ++i) m = std::max(m, std::abs(a[i] - b[i]));
  return m;
}

/// One channel of one image; zero outside.
struct Image {
  std::int64_t h, w;
  std::vector<double> values;
  [[nodiscard]] double at(std::int64_t i, std::int64_t j) const {
    return i < 0 || j < 0 || i >= h || j >= w ? 0 : values[static_cast<std::size_t>(i * w + j)];
  }
};

constexpr double fir[] = {0.125, 0.375, 0.375, 0.125};

/// out(i, j) = sum_ab k_a k_b in(i + a - before, j + b - before), times gain.
Image filtered(const Image& in, std::int64_t h, std::int64_t w, std::int64_t step, std::int64_t before, double gain) {
  Image out{h, w, {}};
  for (std::int64_t i = 0; i < h; ++i)
    for (std::int64_t j = 0; j < w; ++j) {
      double sum = 0;
      for (std::int64_t a = 0; a < 4; ++a)
        for (std::int64_t b = 0; b < 4; ++b)
          sum += fir[a] * fir[b] * in.at(step * i + a - before, step * j + b - before);
      out.values.push_back(gain * sum);
    }
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_layers)

BOOST_AUTO_TEST_CASE(layouts_go_to_files_and_back) {
  const Tensor conv = waves({3, 1, 4, 5}, DType::f32, 1), matrix = waves({4, 6}, DType::f32, 2);
  BOOST_TEST((file_shape(conv.shape(), Layout::conv) == Shape{5, 4, 3, 1}));
  BOOST_TEST((file_shape(matrix.shape(), Layout::either) == Shape{6, 4}));
  const Tensor oihw = to_file_layout(conv, Layout::conv, {});
  BOOST_TEST((oihw.shape() == Shape{5, 4, 3, 1}));
  // w[a, b, ci, co] = oihw[co, ci, a, b]
  BOOST_TEST(oihw.to_vector()[static_cast<std::size_t>((2 * 4 + 3) * 3 + 1)] ==
             conv.to_vector()[static_cast<std::size_t>((1 * 4 + 3) * 5 + 2)]);
  BOOST_TEST((from_file_layout(oihw, Layout::conv).to_vector() == conv.to_vector()));
  for (const Shape& like : {Shape{6, 4}, Shape{6, 4, 1}, Shape{6, 4, 1, 1}}) {
    const Tensor file = to_file_layout(matrix, Layout::either, like);
    BOOST_TEST((file.shape() == like));
    BOOST_TEST((from_file_layout(file, Layout::either).to_vector() == matrix.to_vector()));
  }
  BOOST_CHECK_THROW(from_file_layout(waves({6, 4, 3, 3}, DType::f32, 0), Layout::either), Error);
  BOOST_CHECK_THROW(from_file_layout(waves({6, 4, 1, 1}, DType::f32, 0), Layout::linear), Error);
}

BOOST_AUTO_TEST_CASE(mish_is_exact_far_out) {
  const std::vector<double> at = {-700, -100, -30, -5, -1, -1e-3, 0, 1e-3, 0.5, 3, 20, 100, 700};
  const auto count = static_cast<std::int64_t>(at.size());
  const std::vector<double> f64 = mish(Tensor::from(at, {count})).to_vector();
  const std::vector<double> f32 = mish(Tensor::from(at, {count}, DType::f32)).to_vector();
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double want = at[i] * std::tanh(std::log1p(std::exp(at[i])));
    const double exact = at[i] > 600 ? at[i] : want;
    BOOST_TEST(std::abs(f64[i] - exact) <= 4e-16 * std::abs(exact) * 4);
    BOOST_TEST(std::abs(f32[i] - exact) <= 1e-6 * std::abs(exact) + 1e-35);
  }
}

BOOST_AUTO_TEST_CASE(fir_resampling_is_its_definition) {
  const Image in{6, 4, waves({6, 4}, DType::f64, 3).to_vector()};
  const Tensor x = Tensor::from(in.values, {1, 6, 4, 1});
  BOOST_TEST(largest_difference(resample(Resampling::fir_down, x).to_vector(), filtered(in, 3, 2, 2, 1, 1).values) <
             1e-15);
  Image spread{12, 8, std::vector<double>(96, 0.0)};  // zeros put between
  for (std::int64_t i = 0; i < 6; ++i)
    for (std::int64_t j = 0; j < 4; ++j) spread.values[static_cast<std::size_t>(2 * i * 8 + 2 * j)] = in.at(i, j);
  BOOST_TEST(largest_difference(resample(Resampling::fir_up, x).to_vector(), filtered(spread, 12, 8, 1, 2, 4).values) <
             1e-15);
  BOOST_CHECK_THROW(resample(Resampling::fir_down, waves({1, 5, 4, 2}, DType::f64, 0)), Error);
}

BOOST_AUTO_TEST_CASE(fir_resampling_keeps_channels_apart) {
  const Tensor x = waves({2, 4, 6, 3}, DType::f64, 4);
  for (const auto how : {Resampling::fir_down, Resampling::fir_up}) {
    const Tensor y = resample(how, x);
    for (std::size_t c = 0; c < 3; ++c) {
      std::vector<double> one, want;
      for (std::size_t i = c; i < static_cast<std::size_t>(x.size()); i += 3) one.push_back(x.to_vector()[i]);
      for (std::size_t i = c; i < static_cast<std::size_t>(y.size()); i += 3) want.push_back(y.to_vector()[i]);
      BOOST_TEST(largest_difference(resample(how, Tensor::from(one, {2, 4, 6, 1})).to_vector(), want) == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(sinusoids_follow_the_flags) {
  const double t = 977.25;
  const auto angle = [&](double k, double half, double shift) {
    return t * std::exp(-std::log(10000.0) * k / (half - shift));
  };
  const std::vector<double> sin_first = sinusoids({0, t}, 5, false, 1, DType::f64).to_vector();
  BOOST_TEST((std::vector<double>(sin_first.begin(), sin_first.begin() + 5) == std::vector<double>{0, 0, 1, 1, 0}));
  BOOST_TEST(sin_first[6] == std::sin(angle(1, 2, 1)));
  BOOST_TEST(sin_first[8] == std::cos(angle(1, 2, 1)));
  const std::vector<double> cos_first = sinusoids({t}, 8, true, 0, DType::f64).to_vector();
  BOOST_TEST(cos_first[3] == std::cos(angle(3, 4, 0)));
  BOOST_TEST(cos_first[7] == std::sin(angle(3, 4, 0)));
  BOOST_CHECK_THROW(sinusoids({t}, 2, true, 1, DType::f64), Error);
}

BOOST_AUTO_TEST_CASE(convolution_takes_a_vector_a_sample) {
  Conv2d layer(2, 3, 3);
  layer = with_leaves(layer, {waves({3, 3, 2, 3}, DType::f64, 1), waves({3}, DType::f64, 2)});
  const Tensor x = waves({2, 4, 4, 2}, DType::f64, 3), shift = waves({2, 3}, DType::f64, 4);
  const Tensor apart = layer(x) + reshape(shift, {2, 1, 1, 3});
  BOOST_TEST(largest_difference(layer(x, shift).to_vector(), apart.to_vector()) < 1e-14);
}

BOOST_AUTO_TEST_CASE(a_layer_without_weights_says_so) {
  const Conv2d layer(2, 3, 3);
  BOOST_CHECK_EXCEPTION(layer(waves({2, 4, 4, 2}, DType::f32, 3)), Error, [](const Error& e) {
    return std::string(e.what()).find("a parameter has no values") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
