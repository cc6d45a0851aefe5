// Classifiers of other ranges and schedules than what they judge. Needs shared/, but for the ranges themselves.
#include "tools/model/classifier.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <iostream>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/softmax.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/random.h"
#include "io/hdf5.h"
#include "tests/tools/command.h"
#include "tools/model/conditioned.h"

using namespace costate;
namespace fs = std::filesystem;
using costate::test::largest_difference;

namespace {

const fs::path weights = shared_dir() / "weights";
const std::string digits = (weights / "mnist-unet-ln/model_unet_res.pth").string(),
                  noisy = (weights / "mnist-time-classifier/classifier_checkpoint_vp.pth").string(),
                  clean = (weights / "mnist-classifier/mnist.safetensors").string();

bool available() {
  if (!fs::exists(weights)) std::cerr << "SKIPPED: classifiers: no " << weights.string() << " (set COSTATE_SHARED)\n";
  return fs::exists(weights);
}

Tensor log_p(const Tensor& logits, std::int64_t label) {
  std::vector<double> chosen(10, 0);
  chosen[static_cast<std::size_t>(label)] = 1;
  return sum(logits * Tensor::from(chosen, {1, 10})) - sum(log_sum_exp(logits));
}

/// A digit model that a classifier guides, and one x at a level.
struct Guided {
  Model model = load_model(digits, {.dtype = DType::f64});
  Conditioned net = make_conditioned(model, {}, 1);
  Tensor x = normal_noise(3, 0, 1, 0, {28, 28, 1}) * 0.5;

  [[nodiscard]] Tensor by(const Classifier& c, const Tensor& at_x, const Level& at) const {
    return c.guide(net.denoiser, Tensor::from({7}, {1}, DType::i32))(at_x, at, net.p);
  }
  [[nodiscard]] Tensor alone(const Level& at) const { return net.denoiser.net(x, at, net.p); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(classifiers)

BOOST_AUTO_TEST_CASE(ranges_are_converted_channel_by_channel) {
  const auto range = [](const std::string& json) {
    return ValueRange::from(Config::parse("{\"range\": " + json + "}", "config.json"), "range");
  };
  BOOST_TEST((ValueRange::from(Config(), "range") == ValueRange{}));
  const ValueRange two = range("[[0, -2], [4, 2]]"), one = range("[0, 1]");
  const Tensor x = Tensor::from({0, 0, 0.25, 0.5}, {2, 2});
  BOOST_TEST(largest_difference(one.convert(x, two), Tensor::from({0, -2, 1, 0}, {2, 2})) == 0);
  BOOST_TEST(largest_difference(two.convert(one.convert(x, two), one), x) == 0);
  BOOST_TEST(one.gain(two) == 4);
  BOOST_TEST(one.gain(range("[[0, 0], [1, 2]]")) == 0);
  for (const char* wrong : {"[1, 1]", "[1]", "[[1, 2]]", "[[0, 1], [1, 2], [2, 3]]"})
    BOOST_CHECK_THROW(range(wrong), Error);
}

BOOST_AUTO_TEST_CASE(a_noisy_image_is_shown_at_the_classifiers_own_level) {
  if (!available()) return;
  const Guided g;
  const Classifier classifier(load_model(noisy, {.dtype = DType::f64}), 2.5, g.model);
  const Level at = g.model.schedule->level(300);
  const Schedule& own = *classifier.model.schedule;
  const double t = own.t_of_lambda(std::log(at.alpha / at.sigma)), ratio = own.alpha(t) / at.alpha;
  const auto judged = [&](const Tensors& p) {
    Inputs in;
    in.x = p[0];
    in.t = {t};
    return log_p((*classifier.model.network)(in), 7);
  };
  const Tensor slope = value_and_grad(judged, {g.x * ratio}).second[0];
  BOOST_TEST(largest_difference(g.by(classifier, g.x, at), g.alone(at) - slope * (2.5 * at.sigma * ratio)) <= 1e-12);
  BOOST_TEST(largest_difference(g.by(classifier, g.x, at), g.alone(at)) > 1e-6);
  const Level noisier = g.model.schedule->level(999);  // beyond what the classifier was trained on
  BOOST_TEST(largest_difference(g.by(classifier, g.x, noisier), g.alone(noisier)) == 0);
}

BOOST_AUTO_TEST_CASE(a_classifier_without_a_time_judges_the_clean_image) {
  if (!available()) return;
  const Guided g;
  const Classifier classifier(load_model(clean, {.dtype = DType::f64}), 1, g.model);
  const Level at = g.model.schedule->level(200);
  const auto judged = [&](const Tensor& x) {
    Inputs in;
    in.x = (g.net.denoiser.x0(x / at.alpha, at, g.net.p) - 0.1307) / 0.3081;
    return log_p((*classifier.model.network)(in), 7).item();
  };
  const Tensor v = normal_noise(4, 0, 1, 0, {28, 28, 1});
  const double h = 1e-6, difference = (judged(g.x + v * h) - judged(g.x - v * h)) / (2 * h);
  const double slope = inner(g.alone(at) - g.by(classifier, g.x, at), v).item() / at.sigma;
  BOOST_TEST(std::abs(slope - difference) <= 1e-4 * std::abs(difference), slope << " against " << difference);
}

BOOST_AUTO_TEST_CASE(whatever_a_network_predicts_it_is_guided_alike) {
  if (!available()) return;
  const Guided g;
  const Level at = g.model.schedule->level(300);
  const Denoiser& plain = g.net.denoiser;
  const auto saying = [&](const std::string& what) {  // the same eps and x_0, said so
    Denoiser d = plain;
    d.prediction = prediction_from(what);
    d.net = [&plain, what, like = d](const Tensor& x, const Level& l, const Tensors& p) {
      const Tensor y = x * (1 / like.input_scale(l));
      const auto [x_0, eps] = plain.both(y, l, p);
      const double m = std::hypot(l.s(), like.sigma_data);
      if (what == "sample") return x_0;
      if (what == "v_prediction") return eps * l.alpha - x_0 * l.sigma;  // alpha^2 + sigma^2 = 1 here
      if (what == "noise") return eps * l.sigma;
      if (what == "score") return eps * (-1 / l.sigma);
      if (what == "flow") return eps - x_0;
      const double sign = what == "edm" ? 1 : -1;
      return (x_0 - y * std::pow(like.sigma_data / m, 2)) * (sign * m / (like.sigma_data * l.s()));
    };
    return d;
  };
  for (const auto& file : {noisy, clean}) {
    const Classifier classifier(load_model(file, {.dtype = DType::f64}), 2.5, g.model);
    const auto guided = [&](Denoiser d) {
      d.net = classifier.guide(d, Tensor::from({7}, {1}, DType::i32));
      return d.x0(g.x / at.alpha, at, g.net.p);
    };
    const Tensor want = guided(plain);
    for (const char* what : {"sample", "v_prediction", "noise", "score", "flow", "edm", "edm_v"})
      BOOST_TEST(largest_difference(guided(saying(what)), want) <= 1e-10, file << ", " << what);
    BOOST_TEST(largest_difference(want, plain.x0(g.x / at.alpha, at, g.net.p)) > 1e-6, file);
  }
}

BOOST_AUTO_TEST_CASE(a_state_over_alpha_is_guided_alike) {
  if (!available()) return;
  const Guided g;
  for (const double t : {300.0, 700.0}) {
    const Level at = g.model.schedule->level(t), exploding{at.t, 1, at.s()};
    Denoiser of = g.net.denoiser;
    of.net = [&](const Tensor& x, const Level&, const Tensors& p) { return g.net.denoiser.net(x * at.alpha, at, p); };
    const Classifier classifier(load_model(noisy, {.dtype = DType::f64}), 2.5, g.model);
    const Net guided = classifier.guide(of, Tensor::from({7}, {1}, DType::i32));
    BOOST_TEST(largest_difference(guided(g.x / at.alpha, exploding, g.net.p), g.by(classifier, g.x, at)) <= 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(a_classifier_of_scaled_input_is_told_so) {
  if (!available()) return;
  const Guided g;
  const Level at = g.model.schedule->level(300);
  Classifier classifier(load_model(noisy, {.dtype = DType::f64}), 2.5, g.model);
  const Tensor want = g.by(classifier, g.x, at);
  // The classifier's levels as those of x / alpha, which it is given scaled back: at variance-preserving levels, the same.
  class Exploding final : public Schedule {
   public:
    explicit Exploding(SchedulePtr of) : of_(std::move(of)) { t_min = of_->t_min, t_max = of_->t_max; }
    [[nodiscard]] double log_alpha(double) const override { return 0; }
    [[nodiscard]] double sigma(double t) const override { return of_->level(t).s(); }
    [[nodiscard]] double t_of_lambda(double lambda) const override { return of_->t_of_lambda(lambda); }
    [[nodiscard]] Config config() const override { return of_->config(); }

   private:
    SchedulePtr of_;
  };
  classifier.model.schedule = std::make_shared<const Exploding>(classifier.model.schedule);
  classifier.model.unit_input = true;
  BOOST_TEST(largest_difference(g.by(classifier, g.x, at), want) <= 1e-12);
}

BOOST_AUTO_TEST_CASE(losses_show_the_classifier_its_own_range) {
  if (!available()) return;
  const test::Folder folder;
  const std::string out = (folder / "g.h5").string();
  const auto o = test::run({"grad", digits, "-n", "2", "--steps", "2", "--dtype", "f64", "--loss", "class:7",
                            "--loss-classifier", clean, "--wrt", "x_T", "--out", out});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const Hdf5Reader written(out);
  const Model classifier = load_model(clean, {.dtype = DType::f64});
  const Tensor x = written.read("x_0");
  double want = 0;
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    Inputs in;
    in.x = (slice(x, 0, i, 1) - 0.1307) / 0.3081;
    want -= log_p((*classifier.network)(in), 7).item() / static_cast<double>(x.dim(0));
  }
  BOOST_TEST(std::abs(written.read("loss").item() - want) <= 1e-12 * std::abs(want));
}

BOOST_AUTO_TEST_SUITE_END()
