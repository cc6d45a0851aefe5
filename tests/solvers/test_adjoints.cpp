// Adjoints: regression values, agreement with each other and with differences, stiffness, memory and refusals.
#include <algorithm>

#include "autodiff/ops/cast.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/tanh.h"
#include "autodiff/transform.h"
#include "core/memory.h"
#include "core/random.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

Gradient gradient_of(const std::string& adjoint, const Sampler& sampler, const ExactProblem& problem,
                     const Tensor& x_T = start_of_mixture(), const Loss& loss = half_square_distance) {
  return make_adjoint(adjoint).gradient({.sampler = sampler,
                                         .x_T = x_T,
                                         .p = problem.p,
                                         .wrt_x_T = true,
                                         .wrt_p = Wanted(problem.p.size(), true),
                                         .loss = loss,
                                         .progress = {}});
}

Sampler on_mixture(const ExactProblem& problem, const std::string& stepper, const std::string& grid, int steps,
                   double t_min = 1e-2) {
  return sampler_of(problem, stepper, make_grid(grid, *vp_linear(t_min), steps));
}

/// What options make of steppers, where it is other code.
constexpr std::pair<const char*, const char*> variants[] = {
    {"analytic-ddim", R"({"ms_eps": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]})"},
    {"bdia", R"({"gamma": 0.8})"},
    {"consistency", R"({"gamma": 0.4})"},
    {"ddim", R"({"eta": 0.7})"},
    {"ddpm", R"({"variance": "large"})"},
    {"deis-3", R"({"polynomial": "lambda", "starter": "heun"})"},
    {"dpm-2", R"({"inner": "t", "weights": "exact"})"},
    {"dpm-3", R"({"eta": 0.5})"},
    {"dpm-3", R"({"inner": "quadratic"})"},
    {"dpm-stages-3", R"({"form": "noise", "inner": "published", "third_term": "diffusers"})"},
    {"dpm-stages-3", R"({"eta": 1})"},
    {"dpmpp-2m", R"({"form": "noise", "euler_at_final": true})"},
    {"dpmpp-3m", R"({"weights": "exact", "starter": "heun", "starter_steps": 3})"},
    {"edict", R"({"p": 0.8})"},
    {"edm", R"({"S_churn": 3})"},
    {"edm", R"({"S_churn": 3, "kind": "midpoint"})"},
    {"edm", R"({"S_churn": 3, "kind": "euler", "noise_before_network": false})"},
    {"euler", R"({"clock": "t"})"},
    {"euler-maruyama", R"({"discretization": "score_sde"})"},
    {"ge", R"({"mu": 0.4})"},
    {"heun", R"({"clock": "t", "alpha": 0.5})"},
    {"langevin", R"({"size": "langevin", "times": 2})"},
    {"langevin", R"({"size": "fixed", "curvature": 0.2})"},
    {"langevin", R"({"flow_by": "blob"})"},
    {"pc", R"({"corrector": "ald"})"},
    {"pc", R"({"norms": "batch", "predictor": "heun"})"},
    {"pndm", R"({"kind": "s"})"},
    {"reverse-diffusion", R"({"flow": true})"},
    {"rex", R"({"sde": "euler"})"},
    {"rex", R"({"sde": "shark"})"},
    {"rex", R"({"form": "noise", "tableau": "rk4"})"},
    {"rk4", R"({"middle": "t"})"},
    {"rk4", R"({"rule": "3/8"})"},
    {"sa", R"({"form": "noise", "tau": 0.5, "weights": "exact"})"},
    {"sde-dpm-2m", R"({"kind": "heun"})"},
    {"sde-dpmpp-2m", R"({"kind": "heun", "eta": 0.5})"},
    {"sde-dpmpp-2s", R"({"eta": 0.5, "r": 0.3, "S_noise": 1.1})"},
    {"sde-dpmpp-3m", R"({"second_step": "midpoint", "weights": "diffusers"})"},
    {"unipc-2", R"({"form": "noise", "variant": "vary_coeff"})"},
    {"unipc-3", R"({"states": "predicted"})"}};

/// Samplers of every kind on the mixture: with memory, with noise, with a last step to s = 0.
std::vector<Sampler> samplers_on(const ExactProblem& problem) {
  std::vector<Sampler> all;
  for (const auto& name : sampler_names()) {
    if (make_stepper(name).evaluations == 0) continue;  // its own steps are constants to a tape
    all.push_back(on_mixture(problem, name, "lambda", 9));
    all.push_back(sampler_of(problem, name, make_grid("karras", *vp_linear(), 7)));
  }
  for (const auto& [name, options] : variants) {
    all.push_back(on_mixture(problem, name, "lambda", 9));
    all.back().stepper = stepper_of(name, options);
  }
  for (auto& sampler : all) sampler.noise = fresh_noise(3, 0);
  return all;
}

/// Gradient factor dx(t_min)/dx(1) of a sampler of N(0, variance), t from 1 to 1e-3.
double factor(const std::string& adjoint, double variance, const std::string& grid, int steps) {
  const auto problem = normal(variance);
  return gradient_of(adjoint, on_mixture(problem, "ddim", grid, steps, 1e-3), problem, row_of({0.7}), sum).x_T.item();
}

/// AdjointDEIS-1 as published, in x and h (methods: "errata" in solvers/README.md). Returns {a_x, a_z, a_theta}.
Tensors published_adjointdeis_1(const Sampler& sampler, const ExactProblem& problem) {
  std::vector<Tensor> x;
  const Tensor x_0 =
      sample(sampler, start_of_mixture(), problem.p, {}, [&](int, const Tensor& at) { x.push_back(at); });
  Tensor a = x_0 - row_of({0.1, 0.2});
  Tensor a_z = Tensor::zeros({1, 2}, DType::f64), a_theta = Tensor::zeros({1}, DType::f64);
  for (std::size_t i = x.size() - 1; i > 0; --i) {
    const Level &t = sampler.grid[i], &s = sampler.grid[i - 1];
    const double growth = std::expm1(s.lambda() - t.lambda());
    const Tensors J = vjp(
                          [&](const Tensors& in) {
                            return Tensors{problem.net(in[0], t, {in[1], in[2]})};
                          },
                          {x[i], problem.p[0], problem.p[1]})
                          .pull({a});
    a = (t.alpha / s.alpha) * a + (s.sigma / (s.alpha * s.alpha) * growth * t.alpha * t.alpha) * J[0];
    a_z = a_z + (s.sigma / s.alpha * growth * t.alpha) * J[1];
    a_theta = a_theta + (s.sigma / s.alpha * growth * t.alpha) * J[2];
  }
  return {a, a_z, a_theta};
}

/// A network of twelve pointwise layers with 64 hidden channels on (n, h, w, 8), as ops.
Net layered_net() {
  const auto weight = [](std::uint64_t seed, std::int64_t in, std::int64_t out) {
    return normal_noise(seed, 0, in, 0, {out}) * (1 / std::sqrt(static_cast<double>(in)));
  };
  return [first = weight(1, 8, 64), middle = weight(2, 64, 64), last = weight(3, 64, 8)](const Tensor& x, const Level&,
                                                                                         const Tensors&) {
    Tensor h = tanh(linear(x, first));
    for (int layer = 0; layer < 10; ++layer) h = tanh(linear(h, middle));
    return linear(h, last);
  };
}

BOOST_AUTO_TEST_SUITE(adjoints_of_samplers)

BOOST_AUTO_TEST_CASE(regression_values) {
  const auto problem = mixture();
  const Sampler lambda = on_mixture(problem, "ddim", "lambda", 20), t = on_mixture(problem, "ddim", "t", 20);
  for (const char* exact : {"direct", "checkpointed"}) {
    const Gradient g = gradient_of(exact, lambda, problem);
    check_near(g.x_T, {0.213223026874, 0.095056224612}, 1e-12);
    check_near(g.p[0], {0.840125397845, -0.18308860627}, 1e-12);
    check_near(g.p[1], {0.122293168753}, 1e-12);
    check_near(gradient_of(exact, t, problem).x_T, {0.209793435723, 0.143101260693}, 1e-12);
  }
  const Gradient g = gradient_of("adjointdeis-1", lambda, problem);
  check_near(g.x_T, {0.006288912323, 0.006539013648}, 1e-12);
  check_near(g.p[0], {0.841485283278, -0.182506907762}, 1e-12);
  check_near(g.p[1], {0.098768221309}, 1e-12);
  check_near(gradient_of("adjointdeis-1", t, problem).x_T, {0.00967231445, 0.008213057478}, 1e-12);
}

BOOST_AUTO_TEST_CASE(checkpointed_is_direct_bit_for_bit) {
  const auto problem = mixture();
  for (const auto& sampler : samplers_on(problem)) {
    const Gradient one = gradient_of("direct", sampler, problem), other = gradient_of("checkpointed", sampler, problem);
    const auto same_bits = [](const Tensor& a, const Tensor& b) {
      return a.shape() == b.shape() && a.dtype() == b.dtype() &&
             std::equal(a.data<double>(), a.data<double>() + a.size(), b.data<double>(),
                        [](double u, double v) { return u == v && std::signbit(u) == std::signbit(v); });
    };
    BOOST_TEST(same_bits(one.x_0, other.x_0), sampler.stepper.name);
    BOOST_TEST(same_bits(one.x_T, other.x_T), sampler.stepper.name);
    for (std::size_t i = 0; i < problem.p.size(); ++i)
      BOOST_TEST(same_bits(one.p[i], other.p[i]), sampler.stepper.name);
    BOOST_TEST(one.loss == other.loss);
  }
}

BOOST_AUTO_TEST_CASE(against_central_differences) {
  const auto problem = mixture();
  const Tensor x_T = start_of_mixture(), dx = row_of({0.3, -0.5}), dz = row_of({0.4, 0.2}),
               dtheta = Tensor::from({-0.6}, {1});
  for (const auto& sampler : samplers_on(problem)) {
    const auto loss_at = [&](double c) {
      return half_square_distance(sample(sampler, x_T + c * dx, {problem.p[0] + c * dz, problem.p[1] + c * dtheta}))
          .item();
    };
    const double h = 1e-3;
    const double slope = (45 * (loss_at(h) - loss_at(-h)) - 9 * (loss_at(2 * h) - loss_at(-2 * h)) +
                          (loss_at(3 * h) - loss_at(-3 * h))) /
                         (60 * h);
    const Gradient g = gradient_of("checkpointed", sampler, problem);
    const double found = inner(g.x_T, dx).item() + inner(g.p[0], dz).item() + inner(g.p[1], dtheta).item();
    BOOST_TEST_MESSAGE(sampler.stepper.name << ": gradient against differences off by " << std::abs(found - slope));
    BOOST_TEST(std::abs(found - slope) <= 1e-8 * std::max(1.0, std::abs(slope)),
               sampler.stepper.name << ": " << found << " against " << slope);
  }
}

/// Steps that a tolerance chose are constants to the tape, so that gradient and differences agree to about the tolerance.
BOOST_AUTO_TEST_CASE(adaptive_samplers_against_central_differences) {
  const auto problem = mixture();
  const Tensor x_T = start_of_mixture(), dx = row_of({0.3, -0.5});
  int seen = 0;
  for (const auto& name : sampler_names()) {
    if (make_stepper(name).evaluations > 0) continue;
    Sampler sampler = on_mixture(problem, name, "lambda", 2);
    sampler.stepper = stepper_of(name, R"({"rtol": 1e-6, "atol": 1e-6})");
    const auto loss_at = [&](double c) {
      return half_square_distance(sample(sampler, x_T + c * dx, problem.p)).item();
    };
    const double h = 0.02, slope = (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) / (12 * h);
    const double found = inner(gradient_of("checkpointed", sampler, problem).x_T, dx).item();
    BOOST_TEST_MESSAGE(name << ": gradient " << found << " against differences " << slope);
    BOOST_TEST(std::abs(found - slope) <= 2e-3 * std::max(0.1, std::abs(slope)),
               name << ": " << found << " against " << slope);
    ++seen;
  }
  BOOST_TEST(seen == 4);
}

BOOST_AUTO_TEST_CASE(adjointdeis_1_as_published) {
  const auto problem = mixture();
  for (const char* grid : {"lambda", "t"}) {
    const Sampler sampler = on_mixture(problem, "ddim", grid, 20);
    const Gradient g = gradient_of("adjointdeis-1", sampler, problem);
    const Tensors published = published_adjointdeis_1(sampler, problem);
    check_near(g.x_T, published[0].to_vector(), 1e-14);
    check_near(g.p[0], published[1].to_vector(), 1e-13);
    check_near(g.p[1], published[2].to_vector(), 1e-13);
  }
}

BOOST_AUTO_TEST_CASE(stiffness_on_gaussian_data) {
  // The two columns of "direct" hold five digits.
  struct Row {
    double variance, adjointdeis_t, direct_t, adjointdeis_lambda, direct_lambda;
  };
  const Row table[] = {{0, -0.0082844, 0.010486, 7.9e-7, 0.010486},
                       {0.01, 0.002388, 0.056337, 1.83e-4, 0.089309},
                       {0.25, 0.025981, 0.433940, 0.004494, 0.443660},
                       {1, 0.065029, 0.912770, 0.017855, 0.887130}};
  for (const auto& row : table) {
    BOOST_TEST(std::abs(factor("adjointdeis-1", row.variance, "t", 20) - row.adjointdeis_t) < 5.1e-7);
    BOOST_TEST(std::abs(factor("checkpointed", row.variance, "t", 20) - row.direct_t) < 5.1e-6);
    BOOST_TEST(std::abs(factor("adjointdeis-1", row.variance, "lambda", 20) - row.adjointdeis_lambda) < 5.1e-7);
    BOOST_TEST(std::abs(factor("checkpointed", row.variance, "lambda", 20) - row.direct_lambda) < 5.1e-6);
  }
  BOOST_TEST(std::abs(factor("adjointdeis-1", 1, "t", 50) - 0.4718) < 5.1e-5);
  BOOST_TEST(std::abs(factor("checkpointed", 1, "t", 50) - 0.9642) < 5.1e-5);
}

BOOST_AUTO_TEST_CASE(orders_against_the_exact_continuous_gradient) {
  const auto problem = mixture();
  const Tensor exact[] = {row_of({0.22711281971, 0.095455966582}), row_of({0.866516073206, -0.175395588058}),
                          Tensor::from({0.116114955819}, {1})};
  const auto errors = [&](const char* adjoint, const char* stepper, int steps) {
    const Gradient g = gradient_of(adjoint, on_mixture(problem, stepper, "lambda", steps), problem);
    const auto distance = [](const Tensor& a, const Tensor& b) { return std::sqrt(inner(a - b, a - b).item()); };
    return std::vector<double>{distance(g.x_T, exact[0]), distance(g.p[0], exact[1]), distance(g.p[1], exact[2])};
  };
  struct Case {
    const char *adjoint, *stepper;
    double order;
  };
  // Heun's states stand in for the exact trajectory of AdjointDEIS-1: their error is of second order.
  for (const Case& c : {Case{"checkpointed", "ddim", 1}, {"checkpointed", "heun", 2}, {"adjointdeis-1", "heun", 1}}) {
    const auto coarse = errors(c.adjoint, c.stepper, 160), fine = errors(c.adjoint, c.stepper, 320);
    for (std::size_t i = 0; i < 3; ++i) {
      const double order = std::log2(coarse[i] / fine[i]);
      BOOST_TEST_MESSAGE(c.adjoint << " of " << c.stepper << ", "
                                   << (i == 0   ? "x_T"
                                       : i == 1 ? "z"
                                                : "theta")
                                   << ": order " << order);
      BOOST_TEST(order >= c.order - 0.15, c.adjoint << " of " << c.stepper << ": order " << order);
    }
  }
}

BOOST_AUTO_TEST_CASE(adaptive_samplers_at_a_tight_tolerance) {
  const auto problem = mixture();
  for (const auto& [name, options] : {std::pair{"rk45", R"({"rtol": 1e-9, "atol": 1e-9})"},
                                      {"tsit5", R"({"rtol": 1e-9, "atol": 1e-9})"},
                                      {"rk45", R"({"rtol": 1e-9, "atol": 1e-9, "dense": true})"},
                                      {"tsit5", R"({"rtol": 1e-9, "atol": 1e-9, "dense": true})"}}) {
    Sampler sampler = on_mixture(problem, name, "lambda", 3);
    sampler.stepper = stepper_of(name, options);
    const Gradient g = gradient_of("checkpointed", sampler, problem), direct = gradient_of("direct", sampler, problem);
    check_near(g.x_T, {0.22711281971, 0.095455966582}, 1e-7);
    check_near(g.p[0], {0.866516073206, -0.175395588058}, 1e-7);
    check_near(direct.x_T, g.x_T.to_vector(), 0);
  }
}

BOOST_AUTO_TEST_CASE(only_what_is_asked_for) {
  const auto problem = mixture();
  Sampler sampler = on_mixture(problem, "euler", "lambda", 8);
  sampler.schedule = vp_linear(1e-2);
  for (const auto& type : adjoints()) {
    if (type.name == "reversible") continue;  // test_adjoint_methods.cpp
    const Adjoint adjoint = make_adjoint(type.name);
    GradientProblem some{.sampler = sampler, .x_T = start_of_mixture(), .p = problem.p, .loss = half_square_distance};
    const Tensor x_T = adjoint.gradient(some).x_T;
    some.wrt_x_T = false;
    check_throws([&] { return adjoint.gradient(some); }, {"nothing"});
    if (type.name == "endpoint-fisher") continue;
    const Gradient all = gradient_of(type.name, sampler, problem);
    BOOST_TEST(x_T.to_vector() == all.x_T.to_vector());
    some.wrt_p = {false, true};
    const Gradient theta = adjoint.gradient(some);
    BOOST_TEST((!theta.x_T.defined() && !theta.p[0].defined()));
    BOOST_TEST(theta.p[1].item() == all.p[1].item());
  }
}

BOOST_AUTO_TEST_CASE(evaluations_are_counted) {
  const auto problem = mixture();
  const Sampler sampler = on_mixture(problem, "heun", "lambda", 10);
  const Gradient direct = gradient_of("direct", sampler, problem),
                 checkpointed = gradient_of("checkpointed", sampler, problem),
                 continuous = gradient_of("adjointdeis-1", sampler, problem);
  BOOST_TEST((direct.nfe == 20 && direct.vjps == 20));
  BOOST_TEST((checkpointed.nfe == 40 && checkpointed.vjps == 20));
  BOOST_TEST((continuous.nfe == 30 && continuous.vjps == 10));
}

BOOST_AUTO_TEST_CASE(single_precision_networks) {
  auto problem = mixture();
  Sampler sampler = on_mixture(problem, "ddim", "lambda", 20);
  const Gradient exact = gradient_of("checkpointed", sampler, problem);
  sampler.denoiser.dtype = DType::f32;
  check_near(gradient_of("checkpointed", sampler, problem).x_T, exact.x_T.to_vector(), 1e-4);
}

BOOST_AUTO_TEST_CASE(sampler_differentiates_twice) {
  const auto problem = mixture();
  const Tensor x_T = start_of_mixture(), v = row_of({0.7, 0.4});
  for (const char* stepper : {"ddim", "heun", "dpmpp-2m"}) {
    const Sampler sampler = on_mixture(problem, stepper, "lambda", 8);
    const auto loss = [&](const Tensors& in) { return half_square_distance(sample(sampler, in[0], problem.p)); };
    const auto gradient_at = [&](double c) { return gradient_of("checkpointed", sampler, problem, x_T + c * v).x_T; };
    const double h = 1e-3;
    const Tensor slope =
        (8.0 * (gradient_at(h) - gradient_at(-h)) - (gradient_at(2 * h) - gradient_at(-2 * h))) / (12 * h);
    const auto expected = slope.to_vector();
    check_near(hvp(loss, {x_T}, {v})[0], expected, 1e-7);
    for (const char* adjoint : {"direct", "checkpointed"}) {
      const auto outer = jvp(
          [&](const Tensors& in) { return Tensors{gradient_of(adjoint, sampler, problem, in[0]).x_T}; }, {x_T}, {v});
      check_near(outer.second[0], expected, 1e-7);
    }
  }
}

BOOST_AUTO_TEST_CASE(checkpointed_needs_a_twentieth_of_the_memory) {
  const Sampler sampler{.denoiser = {.net = layered_net(), .prediction = Prediction::epsilon, .dtype = DType::f64},
                        .grid = make_grid("lambda", *vp_linear(), 50),
                        .stepper = make_stepper("ddim")};
  const Tensor x_T = normal_noise(9, 0, 2, 0, {16, 16, 8});
  const auto peak_of = [&](const char* adjoint) {
    const auto before = memory_use().live;
    reset_peak();
    const Gradient g = make_adjoint(adjoint).gradient(
        {.sampler = sampler, .x_T = x_T, .p = {}, .wrt_x_T = true, .wrt_p = {}, .loss = sum, .progress = {}});
    BOOST_TEST(g.x_T.defined());
    return memory_use().peak - before;
  };
  const auto direct = peak_of("direct"), checkpointed = peak_of("checkpointed");
  BOOST_TEST_MESSAGE("peak bytes: direct " << direct << ", checkpointed " << checkpointed << ", ratio "
                                           << static_cast<double>(direct) / static_cast<double>(checkpointed));
  BOOST_TEST(20 * checkpointed <= direct);
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  const auto problem = mixture();
  Sampler sampler = sampler_of(problem, "ddim", make_grid("karras", *vp_linear(), 5));
  check_throws([] { make_adjoint("checkpoint"); }, {"adjoint", "checkpointed"});
  sampler.denoiser.prediction = Prediction::sample;
  check_throws([&] { gradient_of("adjointdeis-1", sampler, problem); },
               {"sigma = 0", "does not determine eps", "another level"});
  sampler.denoiser.prediction = Prediction::epsilon;
  sampler.stepper = stepper_of("ddim", R"({"eta": 0.5})");
  check_throws([&] { return gradient_of("interpolated", sampler, problem); }, {"eta = 0.5", "adjointdeis-1"});
  sampler.stepper = make_stepper("ddim");
  check_throws([&] { gradient_of("direct", sampler, problem, start_of_mixture(), [](const Tensor& x) { return x; }); },
               {"scalar"});
  check_throws([&] { gradient_of("checkpointed", sampler, problem, start_of_mixture(), {}); }, {"no loss"});
  GradientProblem flags{.sampler = sampler,
                        .x_T = start_of_mixture(),
                        .p = problem.p,
                        .wrt_x_T = true,
                        .wrt_p = {true},
                        .loss = half_square_distance,
                        .progress = {}};
  check_throws([&] { return make_adjoint("direct").gradient(flags); }, {"1 flags", "2 parameters"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
