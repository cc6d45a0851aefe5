// The Brownian tree: its law, its addresses, and paths that do not change with the number of steps.
#include <algorithm>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/random.h"
#include "solvers/brownian_tree.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

/// W and H over [a, b] of lambda, of every element.
struct Path {
  std::vector<double> W, H;
};

Path over(const Noise& noise, double a, double b, const Shape& shape = {1, 4000}) {
  const Tensor like = Tensor::zeros(shape, DType::f64);
  Draw draw{.from = std::exp(-a), .to = std::exp(-b)};
  Path path{noise(draw, like).to_vector(), {}};
  draw.area = true;
  path.H = noise(draw, like).to_vector();
  for (double& w : path.W) w *= std::sqrt(b - a);
  for (double& h : path.H) h *= std::sqrt((b - a) / 12);
  return path;
}

double moment(const std::vector<double>& u, const std::vector<double>& v) {
  double sum = 0;
  for (std::size_t i = 0; i < u.size(); ++i) sum += u[i] * v[i];
  return sum / static_cast<double>(u.size());
}

/// Between two results, element by element: the root mean square, or the median, which trajectories that part at a saddle
/// do not decide.
double distance(const Tensor& a, const Tensor& b, bool median) {
  const Tensor off = a - b;
  if (!median) return std::sqrt(inner(off, off).item() / static_cast<double>(off.size()));
  auto sizes = off.to_vector();
  for (double& v : sizes) v = std::abs(v);
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return *middle;
}

/// 32 samples along the paths of seed 5.
Tensor along_paths(const ExactProblem& problem, const std::string& stepper, int steps,
                   const std::string& options = "{}") {
  Sampler sampler = sampler_of(problem, stepper, make_grid("lambda", *vp_linear(1e-2), steps), options);
  sampler.noise = tree_noise(5, 0);
  return sample(sampler, normal_noise(1, 0, 32, 0, {problem.dimension}), problem.p);
}

BOOST_AUTO_TEST_SUITE(brownian_tree)

BOOST_AUTO_TEST_CASE(law_of_increments_and_areas) {
  const Noise noise = tree_noise(1, 0);
  // Intervals that end at nodes and between them, within one unit interval and across several.
  for (const auto& [a, b] : {std::pair{0.0, 1.0}, {0.5, 0.75}, {-0.3, 0.1}, {0.123, 0.124}, {-2.7, 3.9}}) {
    const Path p = over(noise, a, b);
    const double h = b - a;
    BOOST_TEST(std::abs(moment(p.W, p.W) / h - 1) < 0.1, "W over " << a << ", " << b);
    BOOST_TEST(std::abs(moment(p.H, p.H) / (h / 12) - 1) < 0.1, "H over " << a << ", " << b);
    BOOST_TEST(std::abs(moment(p.W, p.H)) < 0.06 * h / std::sqrt(12));
  }
  const Path left = over(noise, 0.1, 0.4), right = over(noise, 0.4, 1.3);
  BOOST_TEST(std::abs(moment(left.W, right.W)) < 0.06 * std::sqrt(0.3 * 0.9));
  BOOST_TEST(std::abs(moment(left.H, right.H)) < 0.06 * std::sqrt(0.3 * 0.9) / 12);
}

BOOST_AUTO_TEST_CASE(an_interval_is_the_sum_of_its_parts) {
  const Noise noise = tree_noise(1, 0);
  const double a = -1.25, b = 0.3125, c = 2.5;  // dyadic, so that no rounding of the levels shows
  const Path left = over(noise, a, b), right = over(noise, b, c), all = over(noise, a, c);
  for (std::size_t i = 0; i < all.W.size(); i += 371) {
    const double h1 = b - a, h2 = c - b;
    BOOST_TEST(std::abs(left.W[i] + right.W[i] - all.W[i]) < 1e-14);
    const double H = (h1 * left.H[i] + h2 * right.H[i] + (h2 * left.W[i] - h1 * right.W[i]) / 2) / (h1 + h2);
    BOOST_TEST(std::abs(H - all.H[i]) < 1e-14);
  }
}

BOOST_AUTO_TEST_CASE(bits_depend_on_seed_sample_and_time_alone) {
  const Path three = over(tree_noise(9, 4), 0.2, 0.7, {3, 5}), second = over(tree_noise(9, 5), 0.2, 0.7, {1, 5});
  BOOST_TEST(std::vector<double>(three.W.begin() + 5, three.W.begin() + 10) == second.W);
  BOOST_TEST(std::vector<double>(three.H.begin() + 5, three.H.begin() + 10) == second.H);
  const int before = thread_count();
  set_thread_count(1);
  BOOST_TEST(over(tree_noise(9, 4), 0.2, 0.7, {3, 500}).W == [&] {
    set_thread_count(3);
    return over(tree_noise(9, 4), 0.2, 0.7, {3, 500}).W;
  }());
  set_thread_count(before);
  BOOST_TEST(over(tree_noise(8, 4), 0.2, 0.7, {3, 5}).W != three.W);
}

BOOST_AUTO_TEST_CASE(any_number_of_draws_in_the_same_memory) {
  const auto peak_of = [](int steps) {
    reset_peak();
    const std::int64_t before = memory_use().live;
    static_cast<void>(along_paths(normal(0.25), "sde-dpmpp-1", steps));
    return memory_use().peak - before;
  };
  const std::int64_t few = peak_of(10);
  BOOST_TEST(peak_of(300) == few);
}

struct Follower {
  std::string stepper, options;
  double order;
  int steps = 32;  ///< and four times as many
};

/// Every sampler whose noise is that of an SDE. The steps of dpm-stages are groups of two or three levels.
std::vector<Follower> followers() {
  std::vector<Follower> all = {{"rex", R"({"sde": "euler"})", 1},
                               {"rex", R"({"sde": "shark"})", 1.5},
                               {"ddim", R"({"eta": 1})", 1},
                               {"ge", R"({"mu": 0.5})", 1},
                               {"dpm-2", R"({"eta": 1})", 1},
                               {"dpm-3", R"({"eta": 1})", 1},
                               {"dpm-stages-2", R"({"eta": 1})", 1, 96},
                               {"dpm-stages-3", R"({"eta": 1})", 1, 96}};
  for (const auto& name : sampler_names())
    if (const Stepper s = make_stepper(name); s.eta > 0 && s.solves_sde)
      all.push_back({name, "{}", name == "shark" ? 1.5 : 1.0});
  return all;
}

/// Strong convergence: distance on the same paths from the solution with many steps.
BOOST_AUTO_TEST_CASE(the_path_stays_when_the_steps_change) {
  const auto all = followers();
  BOOST_TEST(all.size() > 20U);
  for (const auto& problem : {normal(0.25), mixture()}) {
    const Tensor fine = along_paths(problem, "shark", 1024);
    const bool median = problem.dimension > 1;
    for (const auto& [stepper, options, nominal, steps] : all) {
      const double coarse = distance(along_paths(problem, stepper, steps, options), fine, median),
                   dense = distance(along_paths(problem, stepper, 4 * steps, options), fine, median);
      const double order = std::log2(coarse / dense) / 2;
      BOOST_TEST_MESSAGE(stepper << " " << options << ": " << coarse << " and " << dense << ", strong order " << order);
      BOOST_TEST(order >= nominal - 0.15, stepper << " " << options << " has strong order " << order);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  check_throws([] { return over(tree_noise(0, 0), 1, 1 + 1e-10); }, {"Brownian tree", "fewer steps"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
