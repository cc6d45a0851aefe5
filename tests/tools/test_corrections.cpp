// What every x_0 goes through, --correct: one step to the clean end shows it.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "io/hdf5.h"
#include "tests/tools/command.h"

using namespace costate;
using costate::test::Folder;
using costate::test::Outcome;
using costate::test::run;

namespace {

/// Three samples of a mixture whose x_0 lie on both sides of 1.
class Mixture {
 public:
  Mixture() {
    test::spill(folder_ / "mix.json", R"({"family": "gaussian_mixture", "weights": [0.5, 0.5],
      "means": [[3, -1], [-2, 0.5]], "covariances": [[[0.3, 0], [0, 0.2]], [[0.1, 0], [0, 0.4]]]})");
    test::spill(
        folder_ / "clips.json",
        R"({"_class_name": "DDIMScheduler", "clip_sample": true, "num_train_timesteps": 2, "trained_betas": [0.5, 0.5],
      "clip_sample_range": 0.25})");
    Hdf5Writer start(folder_ / "start.h5");
    start.write("x_T", Tensor::from({2.5, -0.4, -2.5, 0.2, 0.1, 0.1}, {3, 2}, DType::f64));
    start.finish();
  }
  [[nodiscard]] Outcome step(const std::vector<std::string>& more) const {
    std::vector<std::string> words{"sample",         path("mix.json"), "--scheduler", path("clips.json"), "--start",
                                   path("start.h5"), "--dtype",        "f64",         "--steps",          "1",
                                   "--out",          path("out.h5")};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  [[nodiscard]] std::vector<double> x(const std::vector<std::string>& more) const {
    const auto o = step(more);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(path("out.h5")).read("x").to_vector();
  }

 private:
  [[nodiscard]] std::string path(const std::string& leaf) const { return (folder_ / leaf).string(); }
  Folder folder_;
};

void check_near(const std::vector<double>& a, const std::vector<double>& b) {
  BOOST_REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST(std::abs(a[i] - b[i]) < 1e-12, a[i] << " and " << b[i]);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(corrections)

BOOST_AUTO_TEST_CASE(clipping_in_place_of_the_schedulers_own) {
  const Mixture mixture;
  const auto free = mixture.x({"--correct", "none"});
  const auto clipped = [&](double range) {
    auto x = free;
    for (double& v : x) v = std::clamp(v, -range, range);
    return x;
  };
  BOOST_TEST(std::abs(free[0]) > 1);  // there is something to clip, and something to leave
  BOOST_TEST(std::abs(free[1]) < 1);
  check_near(mixture.x({}), clipped(0.25));  // the scheduler's
  check_near(mixture.x({"--correct", "clip"}), clipped(1));
  check_near(mixture.x({"--correct", "clip:range=0.5"}), clipped(0.5));
}

BOOST_AUTO_TEST_CASE(thresholds_are_each_samples_own) {
  const Mixture mixture;
  const auto free = mixture.x({"--correct", "none"});
  const auto divided = [&](double most) {
    auto x = free;
    for (std::size_t i = 0; i < x.size(); i += 2) {
      const double s = std::clamp(std::max(std::abs(x[i]), std::abs(x[i + 1])), 1.0, most);
      for (double* v : {&x[i], &x[i + 1]}) *v = std::clamp(*v / s, -1.0, 1.0);
    }
    return x;
  };
  check_near(mixture.x({"--correct", "threshold:ratio=1"}), divided(1e300));
  check_near(mixture.x({"--correct", "threshold:ratio=1:most=1.25"}), divided(1.25));
}

BOOST_AUTO_TEST_CASE(what_is_no_correction_is_named) {
  const Mixture mixture;
  struct Wrong {
    const char *asked, *says;
  };
  for (const Wrong& w : {Wrong{"clamp", "clamp"}, Wrong{"clip:ratio=1", "ratio"}, Wrong{"none:range=1", "range"},
                         Wrong{"clip:range", "KEY=VALUE"}, Wrong{"clip:range=0", "range"}}) {
    const auto o = mixture.step({"--correct", w.asked});
    BOOST_TEST((o.code == 2 && o.err.find(w.says) != std::string::npos), w.asked << ": " << o.code << " " << o.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
