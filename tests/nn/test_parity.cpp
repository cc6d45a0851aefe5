// Networks against reference evaluations in f64: outputs and every gradient, in f64 and f32.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <nlohmann/json.hpp>

#include "core/kernels/conv2d.h"
#include "parity.h"
#include "parity_cases.h"
#include "tests/support/convolutions_by.h"

namespace {

using namespace costate;
using parity::Case;

/// Networks of ReLU whose reference passes so near a kink that Winograd's rounding falls on its other side: y is right, the gradient
/// is another piece's. They are compared with direct convolutions, whose rounding is PyTorch's.
const std::set<std::string> at_a_kink = {"taef2-autoencoder/decoder"};

Model load(const Case& c, DType dtype) {
  Model model = load_model(c.model.string(), {.dtype = dtype, .config = c.config});
  if (!c.part.empty()) model.network = model.network->part(c.part);
  return model;
}

/// Three times PyTorch's own f32 error of a quantity, or 2e-5 if that is more.
double f32_bound(const Case& c, const std::string& quantity) {
  const auto text = Hdf5Reader(c.ref).text("", "torch_float32_error");
  const auto errors = nlohmann::json::parse(text.value_or("{}"));
  double largest = 0;
  for (const auto& [name, value] : errors.items())
    if (name.rfind(quantity, 0) == 0 && value.is_number()) largest = std::max(largest, value.get<double>());
  return std::max(2e-5, 3 * largest);
}

void check(const Case& c, DType dtype) {
  const bool kink = dtype == DType::f32 && at_a_kink.count(c.name) != 0;
  if (kink) BOOST_TEST(parity::compare(load(c, dtype), c.in, c.ref).y <= f32_bound(c, "y"));
  const ConvolutionsBy how(kink ? ConvAlgorithm::direct : conv_algorithm());
  const auto e = parity::compare(load(c, dtype), c.in, c.ref);
  BOOST_TEST_MESSAGE(fmt::format("{} {}: y {:.1e} g_inputs {:.1e} g_theta {:.1e} check {:.1e}", c.name, name_of(dtype),
                                 e.y, e.g_inputs, e.g_theta, e.g_theta_check));
  const bool f64 = dtype == DType::f64;
  const double theta = f64 ? 1e-12 : f32_bound(c, "g_theta");
  BOOST_TEST(e.y <= (f64 ? 1e-12 : f32_bound(c, "y")));
  BOOST_TEST(e.g_inputs <= (f64 ? 1e-12 : f32_bound(c, "g_")));
  BOOST_TEST(e.g_theta <= theta + e.g_theta_rounding);
  BOOST_TEST(e.g_theta_check <= (f64 ? theta : 10 * theta));  // see check_sums
}

/// A sum over a whole gradient gathers the rounding of all its elements: direct convolutions hold it to twice the bound of the
/// elements; Winograd, whose rounding is 3 to 10 times theirs (core/README.md), is held to ten times.
void check_sums(const Case& c) {
  const double theta = f32_bound(c, "g_theta");
  const ConvolutionsBy direct(ConvAlgorithm::direct);
  BOOST_TEST(parity::compare(load(c, DType::f32), c.in, c.ref).g_theta_check <= 2 * theta);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_parity)

BOOST_DATA_TEST_CASE(f64_reproduces_the_reference, boost::unit_test::data::make(parity::cases()), c) {
  check(c, DType::f64);
}

BOOST_DATA_TEST_CASE(f32_is_as_close_as_f32_allows, boost::unit_test::data::make(parity::cases()), c) {
  check(c, DType::f32);
}

BOOST_DATA_TEST_CASE(f32_sums_of_gradients, boost::unit_test::data::make(parity::cases()), c) { check_sums(c); }

BOOST_AUTO_TEST_CASE(folders_are_found) {
  if (!std::filesystem::exists(shared_dir()))
    std::cerr << "SKIPPED: most networks: " << shared_dir().string() << " is not there (set COSTATE_SHARED)\n";
  BOOST_TEST(parity::cases().size() >= (std::filesystem::exists(shared_dir()) ? 55U : 3U));
}

BOOST_AUTO_TEST_SUITE_END()
