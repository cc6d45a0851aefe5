// Accuracy of the vectorised functions, in units in the last place of f32.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/kernels/erf.h"
#include "core/kernels/silu.h"
#include "core/kernels/softmax.h"

using namespace costate;

namespace {

double ulps(float found, double wanted) {
  const float w = std::abs(static_cast<float>(wanted));
  return std::abs(static_cast<double>(found) - wanted) /
         static_cast<double>(std::nextafter(w, std::numeric_limits<float>::infinity()) - w);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(vector_functions)

BOOST_AUTO_TEST_CASE(silu_is_within_two_ulps) {
  std::vector<double> v;
  for (double x = -80; x < 30; x += 0.0037) v.push_back(static_cast<double>(static_cast<float>(x)));
  const Tensor x = Tensor::from(v, {static_cast<std::int64_t>(v.size())}, DType::f32);
  Tensor y = Tensor::empty(x.shape(), DType::f32);
  cpu::silu(x, y);
  double worst = 0;
  for (std::size_t i = 0; i < v.size(); ++i)
    worst = std::max(worst, ulps(y.data<float>()[i], v[i] / (1 + std::exp(-v[i]))));
  BOOST_TEST(worst <= 2);
}

// The exponential, the sum and the quotient round once each: 2.5 at most here. Arguments are multiples of 1/64, so that
// x - max is exact: what is measured is the function, not its argument's rounding.
BOOST_AUTO_TEST_CASE(softmax_is_within_three_ulps) {
  for (const std::int64_t width : {5, 77, 256}) {
    std::vector<double> v;
    for (std::int64_t i = 0; i < 20 * width; ++i)
      v.push_back(std::round(640 * std::sin(static_cast<double>(i * i))) / 64);
    const Tensor x = Tensor::from(v, {20, width}, DType::f32);
    Tensor y = Tensor::empty(x.shape(), DType::f32);
    cpu::softmax(x, y);
    double worst = 0;
    for (std::int64_t r = 0; r < 20; ++r) {
      const double* row = v.data() + r * width;
      const double top = *std::max_element(row, row + width);
      double sum = 0;
      for (std::int64_t i = 0; i < width; ++i) sum += std::exp(row[i] - top);
      for (std::int64_t i = 0; i < width; ++i)
        worst = std::max(worst, ulps(y.data<float>()[r * width + i], std::exp(row[i] - top) / sum));
    }
    BOOST_TEST(worst <= 3);
  }
}

BOOST_AUTO_TEST_CASE(erf_is_within_one_ulp) {
  std::vector<double> v{0, 1e-30, -4.5, 80, 1e30};
  for (double x = -6; x < 6; x += 0.00037) v.push_back(static_cast<double>(static_cast<float>(x)));
  Tensor y = Tensor::empty({static_cast<std::int64_t>(v.size())}, DType::f32);
  cpu::erf(Tensor::from(v, y.shape(), DType::f32), y);
  double worst = 0;
  for (std::size_t i = 0; i < v.size(); ++i) worst = std::max(worst, ulps(y.data<float>()[i], std::erf(v[i])));
  BOOST_TEST(worst <= 1);
  Tensor none = Tensor::empty({1}, DType::f32);
  cpu::erf(Tensor::from({std::nan("")}, {1}, DType::f32), none);
  BOOST_TEST(std::isnan(none.item()));
}

BOOST_AUTO_TEST_SUITE_END()
