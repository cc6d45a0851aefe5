// Every adjoint on every sampler: either its gradient, within what it states to be consistent with, or one sentence that
// says what would fit. Forward mode against reverse mode on every sampler.
#include <algorithm>
#include <cmath>

#include "autodiff/transform.h"
#include "core/random.h"
#include "solvers/encode.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

struct Method {
  std::string name, options;
};

/// Every sampler without options, and options that make another kind of it.
std::vector<Method> methods() {
  std::vector<Method> all;
  for (const auto& name : sampler_names()) all.push_back({name, "{}"});
  const Method more[] = {{"ddim", R"({"eta": 1})"},
                         {"ddim", R"({"eta": 0.6})"},
                         {"sde-dpmpp-1", R"({"eta": 0.5})"},
                         {"sde-dpmpp-2m", R"({"eta": 0.5})"},
                         {"sde-dpmpp-2s", R"({"eta": 0.5})"},
                         {"ge", R"({"mu": 0.4})"},
                         {"ddpm", R"({"variance": "large"})"},
                         {"dpm-2", R"({"eta": 0.7})"},
                         {"edm", R"({"S_churn": 5})"},
                         {"reverse-diffusion", R"({"flow": true})"},
                         {"rex", R"({"form": "noise", "tableau": "rk4"})"},
                         {"rex", R"({"sde": "euler"})"},
                         {"rex", R"({"sde": "shark"})"}};
  all.insert(all.end(), std::begin(more), std::end(more));
  return all;
}

constexpr int rows = 4;
constexpr double t_0 = 1e-2;

Sampler on_mixture(const ExactProblem& problem, const Method& method, int steps) {
  Sampler sampler =
      sampler_of(problem, method.name, make_grid("lambda", *vp_linear(t_0), steps), method.options, vp_linear(t_0));
  sampler.noise = fresh_noise(11, 0);
  return sampler;
}

/// Four samples: errors of one path of an SDE scatter.
GradientProblem problem_of(const Sampler& sampler, const ExactProblem& problem, bool wrt_p = true) {
  return {.sampler = sampler,
          .x_T = normal_noise(5, 0, rows, 0, {2}),
          .p = problem.p,
          .wrt_p = Wanted(problem.p.size(), wrt_p),
          .loss = [](const Tensor& x) {
            const Tensor off = x - broadcast_to(row_of({0.1, 0.2}), x.shape());
            return (0.5 / rows) * inner(off, off);
          }};
}

double norm(const Tensor& t) { return std::sqrt(inner(t, t).item()); }

/// Relative distances in x_T, z and theta.
std::vector<double> distances(const Gradient& found, const Gradient& expected) {
  std::vector<double> all{norm(found.x_T - expected.x_T) / norm(expected.x_T)};
  for (std::size_t i = 0; i < expected.p.size(); ++i)
    if (found.p[i].defined()) all.push_back(norm(found.p[i] - expected.p[i]) / norm(expected.p[i]));
  return all;
}

/// A method on so many steps, and the gradient that all adjoints are compared with.
struct Compared {
  Method method;
  Sampler sampler;
  Gradient direct;
};
std::vector<Compared> compared(const ExactProblem& problem, int steps) {
  std::vector<Compared> all;
  for (const auto& method : methods()) {
    const Sampler sampler = on_mixture(problem, method, steps);
    all.push_back({method, sampler, make_adjoint("direct").gradient(problem_of(sampler, problem))});
  }
  return all;
}

/// The distances, or none where the adjoint refuses the sampler, in one sentence that says what would fit.
std::vector<double> distances(const std::string& adjoint, const Compared& c, const ExactProblem& problem) {
  try {
    return distances(make_adjoint(adjoint).gradient(problem_of(c.sampler, problem)), c.direct);
  } catch (const Error& e) {
    const std::string what = e.what();
    BOOST_TEST(what.rfind(adjoint + ": ", 0) == 0U, what);
    BOOST_TEST(what.find("; take ") != std::string::npos, what);
    BOOST_TEST((what.find(". ") == std::string::npos && what.find('\n') == std::string::npos),
               "one sentence: " << what);
    return {};
  }
}

BOOST_AUTO_TEST_SUITE(adjoint_matrix)

BOOST_AUTO_TEST_CASE(the_share_of_noise_is_the_one_that_continuous_adjoints_are_told) {
  // One short step from y: the mean moves by (1 + eta^2) eps ds, the deviation is eta sqrt(2 s |ds|).
  const auto problem = normal(0.3);
  const auto schedule = vp_linear(t_0);
  const double lambda = 0.3, h = 1e-6;
  const auto level = [&](double l) { return schedule->level(schedule->t_of_lambda(l)); };
  for (const auto& method : methods()) {
    Sampler sampler = sampler_of(problem, method.name, {level(lambda), level(lambda + h), level(lambda + 2)},
                                 method.options, schedule);
    const Stepper& stepper = sampler.stepper;
    if (stepper.eta == 0 || !stepper.solves_sde) continue;
    const Tensor y = row_of({0.8});
    const auto after = [&](double z) {
      sampler.noise = [z](const Draw& draw, const Tensor& like) {
        return Tensor::full(like.shape(), draw.area ? 0 : z, like.dtype());
      };
      return sampler.step(0, {y, {}}, problem.p).y.item();
    };
    const double s = sampler.grid[0].s(), ds = sampler.grid[1].s() - s, k = 1 + stepper.eta * stepper.eta;
    const double eps = sampler.denoiser.eps(y, sampler.grid[0], problem.p).item();
    BOOST_TEST(std::abs((after(0) - y.item()) / (k * eps * ds) - 1) < 1e-3, method.name << method.options);
    BOOST_TEST(std::abs((after(1) - after(0)) / std::sqrt(-2 * s * ds) - stepper.eta) < 1e-2,
               method.name << method.options);
  }
}

BOOST_AUTO_TEST_CASE(exact_adjoints_give_the_samplers_own_gradient_or_say_what_would_fit) {
  const auto problem = mixture();
  const auto all = compared(problem, 12);
  int given = 0, refused = 0;
  for (const auto& type : adjoints()) {
    if (!make_adjoint(type.name).exact) continue;
    for (const auto& c : all) {
      const auto errors = distances(type.name, c, problem);
      ++(errors.empty() ? refused : given);
      for (const double error : errors)
        BOOST_TEST(error < (type.name == "reversible" ? 1e-9 : 1e-13),
                   type.name << " of " << c.method.name << ": " << error);
    }
  }
  BOOST_TEST_MESSAGE(given << " gradients, " << refused << " refusals");
  BOOST_TEST((given > 2 * static_cast<int>(all.size()) && refused > 50));
}

BOOST_AUTO_TEST_CASE(continuous_adjoints_tend_to_the_samplers_gradient_or_say_what_would_fit) {
  const auto problem = mixture();
  const auto coarse = compared(problem, 30), fine = compared(problem, 120);
  int given = 0, refused = 0;
  for (const auto& type : adjoints()) {
    if (make_adjoint(type.name).exact || type.name == "endpoint-fisher") continue;
    for (std::size_t i = 0; i < coarse.size(); ++i) {
      const auto before = distances(type.name, coarse[i], problem);
      ++(before.empty() ? refused : given);
      if (before.empty()) continue;
      const auto after = distances(type.name, fine[i], problem);
      const std::string what = type.name + " of " + coarse[i].method.name + coarse[i].method.options;
      BOOST_TEST_MESSAGE(what << ": x_T " << before[0] << " to " << after[0] << ", z " << before[1] << " to "
                              << after[1] << ", theta " << before[2] << " to " << after[2]);
      // Nearer than before, or near: errors that change their sign fall irregularly. Paths of the SDE, and its x_T, which it
      // forgets, scatter more.
      const bool sde = coarse[i].sampler.stepper.eta > 0;
      const auto nearer = [&](std::size_t k, double ratio, double near) {
        BOOST_TEST(after[k] < std::max(ratio * before[k], near), what << ": " << before[k] << " to " << after[k]);
      };
      nearer(0, sde ? 0.9 : 0.6, sde ? 0.3 : 0.2);
      nearer(1, 0.6, 0.1);
      nearer(2, 0.6, sde ? 0.7 : 0.15);
    }
  }
  BOOST_TEST_MESSAGE(given << " gradients, " << refused << " refusals");
  BOOST_TEST((given > 4 * static_cast<int>(coarse.size()) && refused > 20));
}

BOOST_AUTO_TEST_CASE(endpoint_fisher_is_for_deterministic_samplers_and_x_T) {
  const auto problem = mixture();
  for (const auto& method : methods()) {
    const Sampler sampler = on_mixture(problem, method, 12);
    const auto gradient = [&] { return make_adjoint("endpoint-fisher").gradient(problem_of(sampler, problem, false)); };
    if (sampler.stepper.eta == 0)
      BOOST_TEST(first_non_finite(gradient().x_T) < 0, method.name);
    else
      check_throws(gradient, {"endpoint-fisher", "; take "});
  }
}

BOOST_AUTO_TEST_CASE(forward_mode_agrees_with_reverse_mode) {
  const auto problem = mixture();
  for (const auto& method : methods()) {
    const Sampler sampler = on_mixture(problem, method, 10);
    const GradientProblem whole = problem_of(sampler, problem);
    const Gradient g = make_adjoint("checkpointed").gradient(whole);
    const Tensor v = normal_noise(6, 0, rows, 0, {2}), v_z = row_of({0.3, -0.8}), v_theta = Tensor::from({0.7}, {1});
    const auto loss = [&](const Tensors& in) { return Tensors{whole.loss(sample(sampler, in[0], {in[1], in[2]}))}; };
    const double slope = jvp(loss, {whole.x_T, problem.p[0], problem.p[1]}, {v, v_z, v_theta}).second[0].item();
    const double expected = inner(g.x_T, v).item() + inner(g.p[0], v_z).item() + inner(g.p[1], v_theta).item();
    BOOST_TEST(std::abs(slope - expected) < 1e-11 * std::max(1.0, std::abs(expected)),
               method.name << method.options << ": " << slope << " against " << expected);
  }
}

BOOST_AUTO_TEST_CASE(the_sde_adjoint_on_states_made_from_x_0) {
  // Cycle-SDE: states from x_0, the noise that leads through them, and the gradient on that noise; both ways of making the
  // states, cached and solved again.
  const auto problem = mixture();
  const Tensor x_0 = Tensor::from({0.97, 0.12, -0.6, 0.8, 0.1, -1.0, 1.1, 0.4}, {rows, 2});
  for (const Way way : {Way::posterior, Way::independent}) {
    const auto errors = [&](int steps, const char* options) {
      Sampler sampler = on_mixture(problem, {"ddim", R"({"eta": 1})"}, steps);
      const auto states = states_to(sampler, x_0, way, fresh_noise(3, 0));
      sampler.noise = recorded_noise(recover_noise(sampler, states, problem.p));
      GradientProblem replay = problem_of(sampler, problem);
      replay.x_T = states.front();
      const Gradient own = make_adjoint("checkpointed").gradient(replay),
                     found = make_adjoint("adjointdeis-1", Config::parse(options, "test")).gradient(replay);
      BOOST_TEST(norm(own.x_0 - x_0) < 1e-12);
      return distances(found, own);
    };
    for (const char* options : {"{}", R"({"states": "resolved"})"}) {
      const auto coarse = errors(100, options), fine = errors(800, options);
      BOOST_TEST_MESSAGE((way == Way::posterior ? "posterior " : "independent ")
                         << options << ": z " << coarse[1] << " to " << fine[1] << ", theta " << coarse[2] << " to "
                         << fine[2]);
      BOOST_TEST(fine[1] < 0.05);
    }
  }
}

BOOST_AUTO_TEST_CASE(states_with_noise_are_solved_again_on_one_draw_a_step) {
  const auto problem = mixture();
  const Adjoint resolved = make_adjoint("adjointdeis-1", Config::parse(R"({"states": "resolved"})", "test"));
  const auto gradient = [&](const Method& method) {
    return resolved.gradient(problem_of(on_mixture(problem, method, 6), problem));
  };
  check_throws([&] { return gradient({"sde-dpmpp-2s", "{}"}); }, {"sde-dpmpp-2s", "cached"});
  BOOST_TEST(first_non_finite(gradient({"sde-dpm-2m", "{}"}).p[0]) < 0);
}

BOOST_AUTO_TEST_CASE(an_inverse_that_has_lost_its_digits_is_an_error) {
  const auto problem = mixture();
  const Sampler sampler = on_mixture(problem, {"edict", R"({"p": 0.8})"}, 300);
  check_throws([&] { return make_adjoint("reversible").gradient(problem_of(sampler, problem)); },
               {"edict", "x_T", "t = ", "norm", "checkpointed", "o-belm"});
}

BOOST_AUTO_TEST_CASE(progress_of_every_method_goes_to_its_end) {
  const auto problem = mixture();
  for (const auto& type : adjoints()) {
    for (const char* states : {"", R"({"states": "resolved"})"}) {
      const std::string options = states;
      if (!options.empty() && std::count(type.options.begin(), type.options.end(), "states") == 0) continue;
      const Sampler sampler = on_mixture(problem, {type.name == "reversible" ? "o-belm" : "ddim", "{}"}, 6);
      GradientProblem watched = problem_of(sampler, problem, type.name != "endpoint-fisher");
      std::vector<std::int64_t> seen{0};
      std::int64_t all = 0;
      watched.progress = [&](std::int64_t done, std::int64_t number) { seen.push_back(done), all = number; };
      static_cast<void>(
          make_adjoint(type.name, Config::parse(options.empty() ? "{}" : options, "test")).gradient(watched));
      BOOST_TEST_CONTEXT(type.name << " " << options) {
        BOOST_TEST(std::is_sorted(seen.begin(), seen.end()));
        BOOST_TEST(seen.size() > 6);
        BOOST_TEST(seen.back() == all);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(divergence_is_an_error_for_every_method) {
  // Its derivative overflows on the way back; the run forward is harmless.
  const auto problem = mixture();
  for (const auto& type : adjoints()) {
    if (type.name == "endpoint-fisher") continue;  // takes no derivative: below
    Sampler sampler = on_mixture(problem, {type.name == "reversible" ? "o-belm" : "ddim", "{}"}, 6);
    sampler.denoiser.net = [&](const Tensor& x, const Level&, const Tensors&) {
      return custom_derivative(
          "steep", [](const Tensors& in) { return Tensors{1.0 * in[0]}; },
          [](const Tensors&, const Tensors&, const Tensors& g) { return Tensors{1e300 * g[0]}; }, {x})[0];
    };
    check_throws([&] { return make_adjoint(type.name).gradient(problem_of(sampler, problem)); },
                 {type.name, "step", "t = ", "the norm of the state"});
    // along an SDE, where it takes one
    const Sampler own = sampler;
    if (type.name.rfind("adjointdeis", 0) == 0 || type.name == "checkpointed" || type.name == "direct") {
      sampler.stepper = stepper_of("ddim", R"({"eta": 1})");
      check_throws([&] { return make_adjoint(type.name).gradient(problem_of(sampler, problem)); },
                   {type.name, "step", "t = ", "the norm of the state"});
      sampler = own;
    }
    // and forward
    sampler.denoiser.net = [](const Tensor& x, const Level& at, const Tensors&) { return at.s() < 1 ? x * 1e300 : x; };
    check_throws([&] { return make_adjoint(type.name).gradient(problem_of(sampler, problem)); },
                 {"step", "t = ", "the norm of the state"});
  }
  // States of 1e160 are numbers, the squares in the product with F are not.
  Sampler sampler = on_mixture(problem, {"ddim", "{}"}, 6);
  sampler.denoiser.net = [](const Tensor& x, const Level&, const Tensors&) { return 1e160 * x; };
  sampler.grid.resize(2);
  const GradientProblem large = problem_of(sampler, problem, false);
  check_throws([&] { return make_adjoint("endpoint-fisher").gradient(large); },
               {"endpoint-fisher", "step", "t = ", "norm of the state"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
