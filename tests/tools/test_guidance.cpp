// Classifier-free guidance on the bundled network: the prediction of one step of known levels, against the formulas.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "autodiff/ops/add.h"
#include "core/random.h"
#include "io/hdf5.h"
#include "tests/tools/command.h"
#include "tools/model/conditioned.h"

using namespace costate;
using costate::test::Folder;
using costate::test::Outcome;
using costate::test::run;

namespace {

constexpr double alpha = 0.6, sigma = 0.8;

/// One step of DDIM on two samples from (alpha, sigma) to the clean end.
class OneStep {
 public:
  OneStep() {
    Hdf5Writer grid(path("grid.h5"));
    grid.write("grid", Tensor::from({500, alpha, sigma, 0, 1, 0}, {2, 3}, DType::f64));
    grid.finish();
    start_at(x_T());
  }
  void start_at(const Tensor& x) const {
    Hdf5Writer start(path("start.h5"));
    start.write("x_T", x);
    start.finish();
  }
  [[nodiscard]] Outcome ask(const std::string& command, const std::vector<std::string>& more) const {
    std::vector<std::string> words{command,   "fashion-unet",  "--start", path("start.h5"),
                                   "--grid",  path("grid.h5"), "--class", "3,8",
                                   "--dtype", "f64",           "--out",   path("out.h5")};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  /// eps = (x_T - alpha x) / sigma
  [[nodiscard]] std::vector<double> eps(const std::vector<std::string>& more) const {
    const auto o = ask("sample", more);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    const auto x = Hdf5Reader(path("out.h5")).read("x").to_vector();
    auto eps = x_T().to_vector();
    BOOST_REQUIRE(eps.size() == x.size());
    for (std::size_t i = 0; i < x.size(); ++i) eps[i] = (eps[i] - alpha * x[i]) / sigma;
    return eps;
  }
  [[nodiscard]] std::string path(const std::string& leaf) const { return (folder_ / leaf).string(); }

  static Tensor x_T() { return normal_noise(5, 0, 2, 0, {28, 28, 1}, DType::f64); }

 private:
  Folder folder_;
};

double deviation(const double* v, std::size_t n) {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) sum += v[i];
  for (std::size_t i = 0; i < n; ++i) squares += std::pow(v[i] - sum / static_cast<double>(n), 2);
  return std::sqrt(squares / static_cast<double>(n));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(guidance)

BOOST_AUTO_TEST_CASE(rescaled_to_the_deviation_of_the_conditional_prediction) {
  const OneStep step;
  const auto conditional = step.eps({"--guidance", "1"}), guided = step.eps({"--guidance", "4"});
  const std::size_t row = guided.size() / 2;
  for (const double share : {0.7, 1.0}) {
    const auto rescaled = step.eps({"--guidance", "4", "--guidance-rescale", std::to_string(share)});
    double off = 0, change = 0;
    for (std::size_t n = 0; n < 2; ++n) {
      const double ratio = deviation(&conditional[n * row], row) / deviation(&guided[n * row], row);
      for (std::size_t i = n * row; i < (n + 1) * row; ++i) {
        off = std::max(off, std::abs(rescaled[i] - (1 - share + share * ratio) * guided[i]));
        change = std::max(change, std::abs(rescaled[i] - guided[i]));
      }
    }
    BOOST_TEST(off < 1e-12, share << ": off by " << off);
    BOOST_TEST(change > 1e-3, share << ": nothing was rescaled");
  }
}

BOOST_AUTO_TEST_CASE(rescaling_is_differentiated) {
  const OneStep step;
  const Tensor way = normal_noise(6, 0, 2, 0, {28, 28, 1}, DType::f64);
  const auto at = [&](double h) {
    step.start_at(lincomb(1, OneStep::x_T(), h, way));
    const auto o = step.ask("grad", {"--guidance", "4", "--guidance-rescale", "0.7", "--wrt", "x_T"});
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(step.path("out.h5"));
  };
  const auto loss = [&](double h) { return at(h).read("loss").item(); };
  const double h = 1e-3, quotient = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h);
  const auto g = at(0).read("g_x_T").to_vector(), d = way.to_vector();
  double slope = 0;
  for (std::size_t i = 0; i < g.size(); ++i) slope += g[i] * d[i];
  BOOST_TEST(std::abs(quotient / slope - 1) < 1e-6, quotient << " and " << slope);
}

BOOST_AUTO_TEST_CASE(a_network_without_its_parameters_says_so) {
  const Model model = load_model("fashion-unet");
  Condition sneaker;
  sneaker.classes = repeat_labels({7}, 0, 1);
  const Conditioned net = make_conditioned(model, sneaker, 1);
  const Level at{500, alpha, sigma};
  const Tensor x = Tensor::zeros({1, 28, 28, 1}, DType::f32);
  const auto asks_for_p = [](const Error& e) { return std::string(e.what()).find("takes the p") != std::string::npos; };
  BOOST_CHECK_EXCEPTION(net.denoiser.net(x, at, {}), Error, asks_for_p);
}

BOOST_AUTO_TEST_CASE(rescaling_wants_guidance_and_a_share) {
  const OneStep step;
  const auto alone = step.ask("sample", {"--guidance-rescale", "0.5"});
  BOOST_TEST((alone.code == 2 && alone.err.find("no guidance to rescale") != std::string::npos), alone.err);
  for (const auto& [share, part] :
       {std::pair{"1.5", "between 0 and 1"}, {"-0.5", "between 0 and 1"}, {"nan", "finite"}}) {
    const auto o = step.ask("sample", {"--guidance", "2", "--guidance-rescale", share});
    BOOST_TEST((o.code == 2 && o.err.find(part) != std::string::npos), share << ": " << o.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
