// Every option of every sampler: it does something, and leaves the method of the order that it says.
#include <map>
#include <nlohmann/json.hpp>

#include "solvers/convergence.h"
#include "solvers/runge_kutta.h"
#include "tests/solvers/sampled_variance.h"

namespace costate {
namespace {

using Json = nlohmann::json;

/// What an option is set to, with what it needs beside it. A JSON of many values is taken one by one.
struct Try {
  const char* values;
  const char* with = "{}";
  bool solves = true;  ///< false: no order is promised then, and what comes out is looked at elsewhere
};

/// By SAMPLER.OPTION, or by OPTION for all samplers that have no line of their own.
const std::map<std::string, Try>& settings() {
  static const std::map<std::string, Try> all = {
      {"starter", {R"(["dpm-3", "rk4"])"}},
      {"starter_steps", {"[5]", R"({"starter": "rk4"})"}},
      {"lower_order_final", {"[true]"}},
      {"euler_at_final", {"[true]"}},
      {"form", {R"(["noise", "data"])"}},
      {"weights", {R"(["published", "exact"])"}},
      {"eta", {"[0.3, 0.8]"}},
      {"kind", {R"(["midpoint", "heun"])"}},
      {"clock", {R"(["t", "flow"])"}},
      {"discretization", {R"(["score_sde"])", "{}", false}},
      {"rtol", {"[1e-2]", "{}", false}},
      {"atol", {"[1e-2]", "{}", false}},
      {"h_init", {"[0.3]", "{}", false}},
      {"controller", {R"(["original"])", "{}", false}},
      {"pcoeff", {"[0.2]", "{}", false}},
      {"icoeff", {"[0.7]", "{}", false}},
      {"dcoeff", {"[0.1]", "{}", false}},
      {"dense", {"[true]", "{}", false}},
      {"inner", {R"(["t", "quadratic"])"}},
      {"r1", {"[0.3, 0.6]"}},
      {"r2", {"[0.5, 0.9]", R"({"order": 3})"}},
      {"dpmpp-3s.r2", {"[0.5]"}},
      {"budget", {"[59]", "{}", false}},
      {"dpmpp-3s.budget", {"[87, 88, 89]", "{}", false}},
      {"bdia.gamma", {"[0.9]", "{}", false}},
      {"consistency.gamma", {"[0, 0.5]", "{}", false}},
      {"consistency.boundary", {"[0.5]", "{}", false}},
      {"ddpm.variance", {R"(["large"])"}},
      {"ddpm.discretization", {R"(["score_sde"])", R"({"variance": "large"})", false}},
      {"ddpm.final_noise", {"[true]", R"({"variance": "large"})", false}},
      {"deis.polynomial", {R"(["lambda"])"}},
      {"dpm-stages.eta", {"[1]"}},
      {"dpm-stages.inner", {R"(["published"])", R"({"order": 3})"}},
      {"dpm-stages.third_term", {R"(["diffusers"])", R"({"order": 3, "eta": 1, "weights": "exact"})", false}},
      {"dpmpp-3m.second_step", {R"(["published"])"}},
      {"edict.p", {"[0.9, 1]", "{}", false}},
      {"edm.S_churn", {"[5]", "{}", false}},
      {"edm.S_min", {"[0.5]", R"({"S_churn": 5})", false}},
      {"edm.S_max", {"[5]", R"({"S_churn": 5})", false}},
      {"edm.S_noise", {"[1.01]", R"({"S_churn": 5})", false}},
      {"edm.noise_before_network", {"[false]", R"({"S_churn": 5, "kind": "euler"})", false}},
      {"edm.kind", {R"(["euler", "midpoint"])"}},
      {"ge.gamma", {"[1.5]"}},
      {"ge.mu", {"[0.1]"}},
      {"heun.alpha", {"[0.5, 0.7]"}},
      {"langevin.size", {R"(["fixed"])", "{}", false}},
      {"langevin.step", {"[0.05]", R"({"size": "fixed"})", false}},
      {"langevin.curvature", {"[0.5]", "{}", false}},
      {"langevin.flow_by", {R"(["svgd"])", R"({"size": "fixed"})", false}},
      {"langevin.bandwidth", {"[2]", R"({"size": "fixed", "flow_by": "svgd"})", false}},
      {"snr", {"[0.1]", "{}", false}},
      {"times", {"[2]", "{}", false}},
      {"norms", {R"(["batch"])", "{}", false}},
      {"langevin.norms", {R"(["batch"])", R"({"size": "langevin"})", false}},
      {"pc.predictor", {R"(["ddpm", "heun"])", "{}", false}},
      {"pc.corrector", {R"(["ald"])", "{}", false}},
      {"pc.variance", {R"(["large"])", R"({"predictor": "ddpm"})", false}},
      {"pc.eta", {"[0.5]", R"({"predictor": "ddim"})", false}},
      {"flow", {"[true]", "{}", false}},
      {"plms.pure_noise", {R"(["diffusers"])", "{}", false}},
      {"values", {R"(["v"])", "{}", false}},
      {"plms.stride", {"[30]", "{}", false}},
      {"pndm.stride", {"[40]", "{}", false}},
      {"pndm.kind", {R"(["s"])"}},
      {"rk4.middle", {R"(["t"])"}},
      {"rk4.rule", {R"(["3/8"])"}},
      {"rk4.stride", {"[40]", R"({"middle": "t"})", false}},
      {"rex.tableau",
       {R"(["euler", "heun", "rk4"])", R"({"zeta": 0.5})"}},  // at 0.999 Euler's order shows from 10 000 steps on
      {"rex.zeta", {"[0.99]"}},
      {"rex.sde", {R"(["euler", "shark"])"}},
      {"sa.predictor", {"[1, 3]"}},
      {"sa.corrector", {"[1, 3]"}},
      {"sa.tau", {"[0, 0.5]"}},
      {"sa.t_from", {"[0.3]"}},
      {"sa.t_to", {"[0.5]"}},
      {"sde-dpmpp-2s.r", {"[0.3]"}},
      {"sde-dpmpp-2s.S_noise", {"[1.01]", "{}", false}},
      {"sde-dpmpp-3m.second_step", {R"(["midpoint"])"}},
      {"sde-dpmpp-3m.weights", {R"(["diffusers"])"}},
      {"unipc.variant", {R"(["bh1", "bh2"])"}},
      {"unipc.corrector", {R"(["none"])"}},
      {"unipc.disable_corrector", {"[[0, 1]]"}},
      {"unipc.states", {R"(["predicted"])"}},
  };
  return all;
}

/// Variances that are fitted to a network's errors, not to options of the solver: test_analytic.cpp.
bool stands_apart(const std::string& sampler) { return sampler.rfind("analytic", 0) == 0; }

/// Three samples on three courses: down to a level, to the clean end of a table, and from pure noise.
Tensors outcomes(const std::string& sampler, const std::string& options) {
  struct Course {
    const char* schedule;
    Prediction prediction;
    bool clean;
  };
  Tensors all;
  for (const Course& course :
       {Course{R"({"type": "vp_linear"})", Prediction::epsilon, false},
        Course{R"({"type": "ddpm"})", Prediction::epsilon, true}, Course{R"({"type": "flow"})", Prediction::v, true}}) {
    const auto problem = mixture();
    const auto schedule = schedule_of(course.schedule);
    Sampler s{.denoiser = as(problem, course.prediction),
              .grid = make_grid("t", *schedule, 30, course.clean ? FinalLevel::zero : FinalLevel::first),
              .stepper = stepper_of(sampler, options),
              .noise = fresh_noise(7, 0),
              .schedule = schedule};
    try {
      all.push_back(sample(s, Tensor::from({0.6, -0.9, 1.3, 0.2, -0.4, 0.8}, {3, 2}), problem.p));
    } catch (const Error& e) {
      BOOST_TEST_MESSAGE(sampler << " " << options << " on " << course.schedule << ": " << e.what());
      all.emplace_back();
    }
  }
  return all;
}

bool differ(const Tensors& a, const Tensors& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].defined() && b[i].defined() && a[i].to_vector() != b[i].to_vector()) return true;
  return false;
}

void check_solves(const std::string& sampler, const std::string& options) {
  const Stepper stepper = stepper_of(sampler, options);
  if (stepper.eta > 0) {
    const double truth = 0.2500824579668, coarse = sampled_variance(sampler, 100, options) - truth,
                 fine = sampled_variance(sampler, 200, options) - truth;
    BOOST_TEST(std::abs(fine) <= 0.56 * std::abs(coarse) + 1e-9,
               sampler << " " << options << ": variance off by " << coarse << ", then " << fine);
    return;
  }
  const auto schedule = vp_linear();
  static const Flow flow = [&] {
    const Level first = schedule->level(1), last = schedule->level(1e-3);
    return solve_flow(mixture(), start_of_mixture() / first.alpha, first.s(), last.s());
  }();
  const double order = converge({mixture(), schedule, Prediction::epsilon}, flow, stepper, 40, 1280).slope;
  BOOST_TEST(order >= stepper.order - 0.15,
             sampler << " " << options << ": order " << order << ", not " << stepper.order);
}

BOOST_AUTO_TEST_SUITE(options_of_samplers)

// It counts levels, which a continuous schedule has none of.
BOOST_AUTO_TEST_CASE(a_stride_is_of_discrete_schedules) {
  const auto run = [](const std::string& sampler, const SchedulePtr& schedule, std::int64_t stride) {
    Json options{{"stride", stride}};
    if (sampler == "rk4") options["middle"] = "t";
    const Sampler s{.denoiser = as(mixture(), Prediction::epsilon),
                    .grid = make_grid("t", *schedule, 5),
                    .stepper = stepper_of(sampler, options.dump()),
                    .schedule = schedule};
    return sample(s, Tensor::from({0.6, -0.9}, {1, 2}), mixture().p);
  };
  const auto says = [](const char* text) {
    return [text](const Error& e) { return std::string(e.what()).find(text) != std::string::npos; };
  };
  for (const char* sampler : {"plms", "pndm", "rk4"}) {
    BOOST_CHECK_EXCEPTION(run(sampler, vp_linear(), 50), Error, says("stride counts levels of a discrete schedule"));
    const auto table = schedule_of(R"({"type": "ddpm"})");
    BOOST_CHECK_EXCEPTION(run(sampler, table, 5000), Error, says("of a schedule that has 1000"));
    BOOST_CHECK_NO_THROW(run(sampler, table, 100));
  }
}

BOOST_AUTO_TEST_CASE(each_does_something_and_keeps_the_order) {
  std::map<std::string, int> used;
  for (const auto& type : steppers()) {
    if (stands_apart(type.name)) continue;
    for (const auto& option : type.options) {
      const auto& all = settings();
      auto found = all.find(type.name + "." + option);
      if (found == all.end()) found = all.find(option);
      if (option == "order") continue;  // sampler_names()
      BOOST_TEST_REQUIRE((found != all.end()), type.name << " has an option " << option << " that is tried nowhere");
      ++used[found->first];
      const Json with = Json::parse(found->second.with);
      const Tensors before = outcomes(type.name, with.dump());
      bool acts = false;
      for (const Json& value : Json::parse(found->second.values)) {
        Json options = with;
        options[option] = value;
        acts = differ(outcomes(type.name, options.dump()), before) || acts;
        if (found->second.solves) check_solves(type.name, options.dump());
      }
      BOOST_TEST(acts, type.name << ": " << option << " = " << found->second.values << " changes nothing");
    }
  }
  for (const auto& [name, setting] : settings()) BOOST_TEST(used[name] > 0, name << " is an option of no sampler");
}

// Symplectic adjoints go by the table that a stepper says it is.
BOOST_AUTO_TEST_CASE(a_table_is_the_step_that_it_stands_for) {
  const auto problem = mixture();
  const auto schedule = vp_linear();
  int seen = 0;
  for (const auto& [name, options] : {std::pair{"ddim", "{}"},
                                      {"ddim", R"({"eta": 0.5})"},
                                      {"euler", "{}"},
                                      {"euler", R"({"clock": "t"})"},
                                      {"heun", "{}"},
                                      {"heun", R"({"alpha": 0.5})"},
                                      {"heun", R"({"clock": "t"})"},
                                      {"heun", R"({"clock": "flow"})"},
                                      {"rk4", "{}"},
                                      {"rk4", R"({"rule": "3/8"})"},
                                      {"rk4", R"({"middle": "t"})"}}) {
    const Sampler sampler = sampler_of(problem, name, {schedule->level(0.6), schedule->level(0.4)}, options);
    const Tableau* const table = sampler.stepper.tableau;
    if (table == nullptr) continue;
    const double from = sampler.grid[0].s(), to = sampler.grid[1].s();
    const OdeField field = [&](double s, const Tensors& y) {
      const Level at = s == from ? sampler.grid[0]
                       : s == to ? sampler.grid[1]
                                 : schedule->level(schedule->t_of_lambda(-std::log(s)));
      return Tensors{sampler.denoiser.eps(y[0], at, problem.p)};
    };
    const Tensor y = row_of({0.7, -1.2}), stepped = sampler.step(0, {y, {}}, problem.p).y;
    check_near(stepped, rk_step(*table, field, from, to, {y})[0].to_vector(), 1e-12);
    ++seen;
  }
  BOOST_TEST(seen >= 4);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
