// Each adjoint method on the mixture: regression values and orders of the continuous ones, options of the exact ones,
// sample() with an adjoint, running costs, scheduled parameters, warnings and refusals.
#include <algorithm>

#include "autodiff/ops/reshape.h"
#include "autodiff/ops/slice.h"
#include "autodiff/transform.h"
#include "solvers/adjoint_equation.h"
#include "tests/solvers/gradients.h"

namespace costate {
namespace {

/// Visits the exact trajectory: rk45 with tight tolerance between the grid's levels.
Stepper exact_stepper() {
  return {.name = "exact", .order = 5, .advance = [](const Step& step, const State& state) {
            const auto field = [&](double u, const Tensors& y) {
              const double s = std::exp(u);
              return Tensors{s * step.denoiser.eps(y[0], step.at_lambda(-u), step.p)};
            };
            const double from = std::log(step.from().s()), to = std::log(step.to().s());
            const Tensors y = rk_adaptive(find_tableau("tsit5"), field, from, to, {state.y},
                                          {.relative = 1e-12, .absolute = 1e-12}, 1);
            return State{y[0], {}};
          }};
}

/// Observed orders of x_T, z, theta against the exact continuous gradient, from N = `steps` to twice that.
std::vector<double> orders(const std::string& adjoint, const Stepper& stepper, const std::string& options = "{}",
                           const std::string& grid = "lambda", int steps = 160) {
  const auto problem = mixture();
  const Tensor exact[] = {row_of({0.22711281971, 0.095455966582}), row_of({0.866516073206, -0.175395588058}),
                          Tensor::from({0.116114955819}, {1})};
  const auto errors = [&](int n) {
    Sampler sampler = on_mixture(problem, "ddim", n, grid);
    sampler.stepper = stepper;
    const Gradient g = gradient_of(adjoint, sampler, problem, options);
    const auto off = [](const Tensor& a, const Tensor& b) { return std::sqrt(inner(a - b, a - b).item()); };
    return std::vector<double>{off(g.x_T, exact[0]), off(g.p[0], exact[1]), off(g.p[1], exact[2])};
  };
  const auto coarse = errors(steps), fine = errors(2 * steps);
  std::vector<double> found;
  for (std::size_t i = 0; i < 3; ++i) found.push_back(std::log2(coarse[i] / fine[i]));
  BOOST_TEST_MESSAGE(adjoint << " " << options << " on " << stepper.name << ", grid " << grid << ": orders " << found[0]
                             << " " << found[1] << " " << found[2]);
  return found;
}

void check_orders(const std::vector<double>& found, const std::vector<double>& stated) {
  for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(std::abs(found[i] - stated[i]) <= 0.15);
}

BOOST_AUTO_TEST_SUITE(adjoint_methods)

// A cubic Hermite piece is any cubic that has its values and slopes, a parabola where slopes are of three neighbours.
BOOST_AUTO_TEST_CASE(dense_states_are_cubics_between_levels) {
  const std::vector<double> s = {5, 3.5, 3, 1.2, 0.4};
  Grid grid;
  for (const double at : s) grid.push_back({.t = at, .alpha = 1, .sigma = at});
  const auto cubic = [](double k, double at) { return k * at * at * at - at * at + 2 * at - 3; };
  const auto states = [&](double k) {
    std::vector<Tensor> all;
    for (const double at : s) all.push_back(row_of({cubic(k, at)}));
    return all;
  };
  std::vector<Tensor> slopes;
  for (const double at : s) slopes.push_back(row_of({3 * 0.7 * at * at - 2 * at + 2}));
  const DenseStates with_slopes(grid, states(0.7), slopes), without(grid, states(0));
  for (const double at : {5.0, 4.9, 3.6, 3.5, 3.2, 3.0, 2.0, 1.3, 1.2, 1.0, 0.5, 0.4}) {
    BOOST_TEST(std::abs(with_slopes.at(at).item() - cubic(0.7, at)) < 1e-12, "at " << at);
    BOOST_TEST(std::abs(without.at(at).item() - cubic(0, at)) < 1e-12, "at " << at);
  }
  const DenseStates two({grid[0], grid[1]}, {row_of({1}), row_of({4})});  // a chord
  BOOST_TEST(std::abs(two.at(4.5).item() - 2) < 1e-14);
}

BOOST_AUTO_TEST_CASE(regression_values_of_2m) {
  const auto problem = mixture();
  const Gradient g = gradient_of("adjointdeis-2m", on_mixture(problem, "ddim", 20), problem);
  check_near(g.x_T, {0.902282678281, 0.211728391268}, 1e-12);
  check_near(g.p[0], {0.835597182746, -0.183855327505}, 1e-12);
  check_near(g.p[1], {0.141756774036}, 1e-12);
  check_near(gradient_of("adjointdeis-2m", on_mixture(problem, "ddim", 20, "t"), problem).x_T,
             {0.706923709454, 0.293910656298}, 1e-12);
  Sampler exact = on_mixture(problem, "ddim", 160);
  exact.stepper = exact_stepper();
  check_near(gradient_of("adjointdeis-2m", exact, problem).x_T, {0.231631823765, 0.09668976989}, 1e-10);
}

/// The orders in x_T, z and theta of methods.md 3.5, in its table's sequence; then those of what it does not list.
BOOST_AUTO_TEST_CASE(orders_as_stated) {
  const Stepper exact = exact_stepper(), ddim = make_stepper("ddim"), dpm_2 = make_stepper("dpm-2");
  check_orders(orders("adjointdeis-1", exact), {0.93, 0.93, 1.02});
  check_orders(orders("adjointdeis-2m", exact), {2.05, 2.05, 1.98});
  const auto cached = orders("adjointdeis-2m", ddim);
  BOOST_TEST((cached[0] > 0.85 && cached[0] < 1.65));  // on its way from 1.5 to 1
  check_orders({1, cached[1], cached[2]}, {1, 1, 1});
  check_orders(orders("adjointdeis-2m", dpm_2), {2, 2, 2});
  check_orders(orders("adjointdeis-2m", exact, R"({"states": "resolved"})", "t", 320), {1, 1, 1});
  check_orders(orders("adjointdeis-2m", exact, R"({"states": "resolved", "resolver": "dpm-2"})"), {2, 2, 2});
  check_orders(orders("checkpointed", ddim), {1, 1, 1});
  check_orders(orders("checkpointed", dpm_2), {1.97, 1.97, 1.97});
  check_orders(orders("costate-data-1", exact), {1, 1, 1});
  check_orders(orders("costate-vp-1", exact), {1, 1, 1});
  check_orders(orders("adjointdpm", make_stepper("heun")), {2, 2, 2});
  check_orders(orders("interpolated", exact, R"({"method": "midpoint"})"), {2, 2, 2});
  check_orders(orders("backsolve", make_stepper("heun"), R"({"method": "heun"})", "lambda", 320), {2, 2, 2});
}

BOOST_AUTO_TEST_CASE(stiffness_on_gaussian_data) {
  struct Row {
    double variance, two_m;
  };
  for (const Row& row : {Row{0, -4.324}, {0.01, 0.451}, {0.25, 1.556}, {1, 2.7796}}) {
    const auto problem = normal(row.variance);
    Sampler sampler = sampler_of(problem, "ddim", make_grid("t", *vp_linear(1e-3), 20));
    const auto factor = [&](const std::string& adjoint, const std::string& options) {
      return make_adjoint(adjoint, Config::parse(options, "test"))
          .gradient({.sampler = sampler, .x_T = row_of({0.7}), .p = problem.p, .loss = sum})
          .x_T.item();
    };
    BOOST_TEST(std::abs(factor("adjointdeis-2m", "{}") - row.two_m) < 5.1e-4);
    if (row.variance == 1) {
      BOOST_TEST(std::abs(factor("costate-vp-1", "{}") - 1.103) < 5.1e-4);
      BOOST_TEST(std::abs(factor("adjointdeis-1", R"({"skip_last": true})") - 0.064147) < 5.1e-7);
      sampler.grid = make_grid("t", *vp_linear(1e-3), 50);
      BOOST_TEST(std::abs(factor("adjointdeis-2m", "{}") - 1.181) < 5.1e-4);
    }
    if (row.variance == 0) BOOST_TEST(std::abs(factor("costate-vp-1", "{}") + 0.283) < 5.1e-4);
  }
}

BOOST_AUTO_TEST_CASE(sde_needs_the_factor_two) {
  // On the sampler's own path of the SDE the continuous adjoint tends to the sampler's gradient, in theta as in z.
  const auto problem = mixture();
  const auto error = [&](int steps, double factor) {
    Sampler sampler = on_mixture(problem, "ddim", steps, "lambda", R"({"eta": 1})");
    const double own = gradient_of("checkpointed", sampler, problem).p[1].item();
    sampler.stepper.eta = factor;  // what the adjoint is told; the steps stay
    return std::abs(gradient_of("adjointdeis-1", sampler, problem).p[1].item() - own) / std::abs(own);
  };
  const double coarse = error(100, 1), fine = error(800, 1), wrong = error(800, 0);
  BOOST_TEST_MESSAGE("SDE, theta: " << coarse << " at 100, " << fine << " at 800 steps; without the factor " << wrong);
  BOOST_TEST((fine < 0.25 * coarse && wrong > 10 * fine));
}

BOOST_AUTO_TEST_CASE(options_of_checkpointed_change_no_bit) {
  const auto problem = mixture();
  for (const char* stepper : {"ddim", "heun", "dpmpp-2m"}) {
    const Sampler sampler = on_mixture(problem, stepper, 23);
    const auto direct = flat(gradient_of("direct", sampler, problem));
    for (const char* options : {R"({"every": 4})", R"({"every": 100})", R"({"snapshots": 1})", R"({"snapshots": 3})",
                                R"({"snapshots": 40})", R"({"memory": 0.0005})"})
      BOOST_TEST(flat(gradient_of("checkpointed", sampler, problem, options)) == direct, stepper << options);
  }
  // Griewank and Walther: C(c + r, c) steps with c states take r n - C(c + r, c + 1) steps again; c = 3, r = 3, n = 20.
  const Gradient g = gradient_of("checkpointed", on_mixture(problem, "ddim", 20), problem, R"({"snapshots": 3})");
  BOOST_TEST(g.vjps == 20);
  BOOST_TEST(g.nfe <= 20 + (3 * 20 - 15) + 20);
}

BOOST_AUTO_TEST_CASE(general_ode_methods_agree_with_the_truth) {
  const auto problem = mixture();
  Sampler sampler = on_mixture(problem, "ddim", 400);
  sampler.stepper = exact_stepper();
  for (const char* method : {"rk45", "tsit5"}) {
    const std::string options = std::string(R"({"method": ")") + method + R"(", "rtol": 1e-9, "atol": 1e-9})";
    for (const char* adjoint : {"backsolve", "interpolated"}) {
      const Gradient g = gradient_of(adjoint, sampler, problem, options);
      const double bound = adjoint[0] == 'b' ? 1e-5 : 1e-6;
      check_near(g.x_T, {0.22711281971, 0.095455966582}, bound);
      check_near(g.p[0], {0.866516073206, -0.175395588058}, bound);
      check_near(g.p[1], {0.116114955819}, bound);
    }
  }
}

BOOST_AUTO_TEST_CASE(adjoint_steps_of_their_own) {
  const auto problem = mixture();
  Sampler sampler = on_mixture(problem, "ddim", 100);
  sampler.stepper = exact_stepper();
  GradientProblem own = problem_of(sampler, problem);
  own.adjoint_grid = make_grid("lambda", *vp_linear(t_0), 160);
  // The states between the sampler's are interpolated: close to those of 160 exact steps.
  check_near(make_adjoint("adjointdeis-2m").gradient(own).x_T, {0.231631823765, 0.09668976989}, 2e-4);
  check_throws([&] { return make_adjoint("checkpointed").gradient(own); }, {"checkpointed", "adjointdeis-1"});
  own.adjoint_grid = make_grid("lambda", *vp_linear(1e-3), 160);
  check_throws([&] { return make_adjoint("adjointdeis-1").gradient(own); }, {"ends"});
}

BOOST_AUTO_TEST_CASE(sample_with_an_adjoint_in_user_code) {
  const auto problem = mixture();
  const Tensor v = row_of({0.7, 0.4});
  for (const char* name : {"direct", "checkpointed", "symplectic", "adjointdeis-1"}) {
    const Sampler sampler = on_mixture(problem, "heun", 9);
    const Adjoint adjoint = make_adjoint(name);
    const auto loss = [&](const Tensors& in) {
      return half_square_distance(sample(sampler, in[0], {in[1], in[2]}, adjoint));
    };
    const auto found = value_and_grad(loss, {start_of_mixture(), problem.p[0], problem.p[1]}).second;
    const Gradient expected = adjoint.gradient(problem_of(sampler, problem));
    check_near(found[0], expected.x_T.to_vector(), 1e-15);
    check_near(found[1], expected.p[0].to_vector(), 1e-15);
    check_near(found[2], expected.p[1].to_vector(), 1e-15);
    const auto along = [&](const Tensors& in) { return Tensors{loss({in[0], problem.p[0], problem.p[1]})}; };
    if (!adjoint.exact) {
      check_throws([&] { return jvp(along, {start_of_mixture()}, {v}); }, {"reverse mode"});
      continue;
    }
    // Forward and reverse mode, and the second derivative, against plain ops.
    const double slope = jvp(along, {start_of_mixture()}, {v}).second[0].item();
    BOOST_TEST(std::abs(slope - inner(found[0], v).item()) < 1e-12);
    const auto scalar = [&](const Tensors& in) { return along(in)[0]; };
    const auto plain = [&](const Tensors& in) { return half_square_distance(sample(sampler, in[0], problem.p)); };
    const Tensor curved = hvp(scalar, {start_of_mixture()}, {v})[0];
    check_near(curved, hvp(plain, {start_of_mixture()}, {v})[0].to_vector(), 1e-12);
    const auto reverse_twice = [&](const Tensors& in) { return inner(value_and_grad(scalar, in).second[0], v); };
    check_near(value_and_grad(reverse_twice, {start_of_mixture()}).second[0], curved.to_vector(), 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(running_costs) {
  const auto problem = mixture();
  const Sampler sampler = on_mixture(problem, "ddim", 12);
  GradientProblem bolza = problem_of(sampler, problem);
  bolza.running = [](int index, const Tensor& x) { return 0.01 * (index + 1) * sum(x * x); };
  const Gradient direct = make_adjoint("direct").gradient(bolza);
  const auto plain = [&](const Tensors& in) {
    Tensor loss;
    walk(sampler, in[0], problem.p, {}, [&](int i, const State& state) {
      const Tensor x = sampler.x_at(i, state);
      const Tensor cost = i < 12 ? 0.01 * (i + 1) * sum(x * x) : half_square_distance(x);
      loss = loss.defined() ? loss + cost : cost;
    });
    return loss;
  };
  const auto [loss, g] = value_and_grad(plain, {start_of_mixture()});
  BOOST_TEST(std::abs(direct.loss - loss.item()) < 1e-13);
  check_near(direct.x_T, g[0].to_vector(), 1e-13);
  BOOST_TEST(flat(make_adjoint("checkpointed").gradient(bolza)) == flat(direct));
  BOOST_TEST(distance(make_adjoint("symplectic").gradient(bolza), direct) < 1e-13);
  // The continuous adjoint takes the same jumps; its z gradient is close to the sampler's at many steps.
  bolza.sampler = on_mixture(problem, "ddim", 400);
  const Gradient own = make_adjoint("direct").gradient(bolza);
  for (const char* name : {"adjointdeis-2m", "backsolve", "interpolated", "adjointdpm"}) {
    const Gradient near = make_adjoint(name).gradient(bolza);
    BOOST_TEST(std::abs(near.p[0].to_vector()[0] - own.p[0].to_vector()[0]) < 0.02 * std::abs(own.p[0].to_vector()[0]),
               name << " " << near.p[0].to_vector()[0] << " against " << own.p[0].to_vector()[0]);
  }
}

BOOST_AUTO_TEST_CASE(a_condition_scheduled_over_the_steps) {
  const auto problem = mixture();
  const int steps = 15;
  Sampler sampler = on_mixture(problem, "heun", steps);
  sampler.p_of_step = [](int index, const Tensors& p) {
    return Tensors{reshape(slice(p[0], 0, index, 1), {1, 2}), p[1]};
  };
  GradientProblem scheduled = problem_of(sampler, problem);
  scheduled.p[0] = Tensor::zeros({steps, 1, 2}, DType::f64);
  const Gradient direct = make_adjoint("direct").gradient(scheduled);
  const Gradient constant = gradient_of("direct", on_mixture(problem, "heun", steps), problem);
  const auto total = [](const Tensor& g) {
    std::vector<double> sum(2);
    const auto v = g.to_vector();
    for (std::size_t i = 0; i < v.size(); ++i) sum[i % 2] += v[i];
    return sum;
  };
  check_near(constant.p[0], total(direct.p[0]), 1e-13);
  for (const char* name : {"checkpointed", "symplectic"})
    BOOST_TEST(distance(make_adjoint(name).gradient(scheduled), direct) < 1e-13);
  // A continuous adjoint's shares of the steps sum to its gradient for a constant z.
  for (const char* name : {"adjointdeis-1", "adjointdeis-2m", "backsolve", "interpolated", "adjointdpm"}) {
    const auto shares = make_adjoint(name).gradient(scheduled).p[0];
    const auto whole = gradient_of(name, on_mixture(problem, "heun", steps), problem).p[0].to_vector();
    const auto sums = total(shares);
    for (std::size_t i = 0; i < 2; ++i)
      BOOST_TEST(std::abs(sums[i] - whole[i]) < 1e-4, name << sums[i] << " " << whole[i]);
  }
}

/// Each step's share of a scheduled z, against the sampler's own: of second order with adjointdeis-2m, as the sum is.
BOOST_AUTO_TEST_CASE(shares_of_a_scheduled_condition_have_the_methods_order) {
  const auto problem = mixture();
  const auto error = [&](const std::string& adjoint, int steps) {
    Sampler sampler = on_mixture(problem, "heun", steps);
    sampler.p_of_step = [](int index, const Tensors& p) {
      return Tensors{reshape(slice(p[0], 0, index, 1), {1, 2}), p[1]};
    };
    GradientProblem scheduled = problem_of(sampler, problem);
    scheduled.p[0] = Tensor::zeros({steps, 1, 2}, DType::f64);
    const Tensor own = make_adjoint("direct").gradient(scheduled).p[0],
                 off = make_adjoint(adjoint).gradient(scheduled).p[0] - own;
    return std::sqrt(inner(off, off).item() / inner(own, own).item());
  };
  for (const auto& [adjoint, order] : {std::pair{"adjointdeis-1", 1.0}, {"adjointdeis-2m", 2.0}}) {
    const double found = std::log2(error(adjoint, 400) / error(adjoint, 800));
    BOOST_TEST(std::abs(found - order) < 0.15, adjoint << ": order " << found);
  }
}

BOOST_AUTO_TEST_CASE(warnings_and_divergence) {
  const auto problem = mixture();
  const Gradient coarse = gradient_of("adjointdeis-1", on_mixture(problem, "ddim", 5, "t"), problem);
  for (const char* part : {"adjointdeis-1", "ln 2", "checkpointed", "lambda"})
    BOOST_TEST(coarse.warning.find(part) != std::string::npos, coarse.warning);
  BOOST_TEST(gradient_of("adjointdeis-1", on_mixture(problem, "ddim", 20), problem).warning.empty());
  BOOST_TEST(gradient_of("checkpointed", on_mixture(problem, "ddim", 5, "t"), problem).warning.empty());
  // Steps that a sampler chooses by its errors are numbers to a tape.
  for (const char* chooses : {"rk45", "tsit5", "dpm-adaptive-2"})
    for (const char* exact : {"direct", "checkpointed"}) {
      const Gradient g = gradient_of(exact, on_mixture(problem, chooses, 5, "t"), problem);
      for (const char* part : {exact, chooses, "chooses its steps", "rtol"})
        BOOST_TEST(g.warning.find(part) != std::string::npos, g.warning);
    }
  // A network whose derivative overflows: the cotangent does, the run forward does not.
  Sampler sampler = on_mixture(problem, "ddim", 6);
  sampler.denoiser.net = [&](const Tensor& x, const Level&, const Tensors&) {
    return custom_derivative(
        "steep", [](const Tensors& in) { return Tensors{1.0 * in[0]}; },
        [](const Tensors&, const Tensors&, const Tensors& g) { return Tensors{1e300 * g[0]}; }, {x})[0];
  };
  for (const char* name : {"adjointdeis-1", "adjointdeis-2m", "adjointdpm", "symplectic"})
    check_throws([&] { return gradient_of(name, sampler, problem); }, {name, "step", "t = ", "norm", "checkpointed"});
  check_throws([&] { return gradient_of("backsolve", sampler, problem); }, {"norm"});
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  const auto problem = mixture();
  const Sampler multistep = on_mixture(problem, "dpmpp-2m", 6),
                noisy = on_mixture(problem, "ddim", 6, "lambda", R"({"eta": 1})");
  check_throws([&] { return gradient_of("symplectic", multistep, problem); }, {"dpmpp-2m", "heun", "checkpointed"});
  check_throws([&] { return gradient_of("endpoint-fisher", multistep, problem); }, {"x_T only"});
  for (const char* name : {"backsolve", "interpolated", "adjointdpm", "costate-data-1"})
    check_throws([&] { return gradient_of(name, noisy, problem); }, {name, "eta = 1", "adjointdeis-1"});
  check_throws([] { return make_adjoint("direct", Config::parse(R"({"every": 2})", "test")); }, {"direct", "none"});
  check_throws([] { return make_adjoint("adjointdeis-1", Config::parse(R"({"state": 2})", "test")); },
               {"state", "states"});
  check_throws([] { return make_adjoint("checkpointed", Config::parse(R"({"every": 2, "snapshots": 3})", "test")); },
               {"exclude"});
  check_throws([] { return make_adjoint("backsolve", Config::parse(R"({"method": "rk5"})", "test")); },
               {"rk5", "rk45"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
