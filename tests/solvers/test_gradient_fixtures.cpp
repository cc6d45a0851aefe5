// Every case of shared/fixtures/gradients: an independent implementation (PyTorch, f64) of the sampler's own gradients, of
// the published adjoints, and of the packages they came with.
#include <filesystem>
#include <map>

#include "autodiff/ops/cast.h"
#include "io/hdf5.h"
#include "solvers/endpoint_fisher.h"
#include "tests/solvers/tiny_net.h"
#include "tests/support/paths.h"

namespace costate {
namespace {

constexpr double bound = 1e-10;

/// Visits stored states (levels, n, ...) of x, whatever the network says.
Stepper replay(const Tensor& x) {
  return {.name = "replay", .advance = [x](const Step& step, const State& state) {
            return State{x.rows(step.index + 1, 1).reshaped(state.y.shape()) / step.to().scale(), {}};
          }};
}

class Fixtures {
 public:
  explicit Fixtures(const std::string& kind)
      : folder_(shared_dir() / "fixtures/gradients"), kind_(kind), inputs_(path("inputs")), cases_(path(kind)) {
    const Hdf5Reader weights((source_dir() / "tests/data/solvers/gradients.h5").string());
    for (const char* name : weight_names)
      theta_.push_back(cast(weights.read(std::string("weights/") + name), DType::f64));
  }
  [[nodiscard]] Tensor read(const std::string& name, const std::string& key) const {
    return cases_.read(name + "/" + key);
  }
  [[nodiscard]] std::string settings(const std::string& name) const { return cases_.text(name, "settings").value(); }
  /// The names of all cases of the file.
  [[nodiscard]] std::vector<std::string> cases() const {
    std::vector<std::string> names;
    for (const auto& path : cases_.datasets())
      if (path.size() > 4 && path.compare(path.size() - 4, 4, "/g_x") == 0)
        names.push_back(path.substr(0, path.size() - 4));
    return names;
  }
  [[nodiscard]] Tensor input(const std::string& clock, const std::string& key) const {
    return inputs_.read(clock + "/" + key);
  }
  /// {z, theta}
  [[nodiscard]] Tensors parameters(const std::string& clock) const {
    Tensors p{input(clock, "z")};
    p.insert(p.end(), theta_.begin(), theta_.end());
    return p;
  }

  [[nodiscard]] Sampler sampler(const std::string& clock, const std::string& name, const Stepper& stepper) const {
    const auto t = read(name, "grid_t").to_vector(), a = read(name, "grid_alpha").to_vector(),
               g = read(name, "grid_sigma").to_vector();
    Sampler s{.denoiser = {.net = tiny_net, .prediction = Prediction::epsilon, .dtype = DType::f64},
              .grid = {},
              .stepper = stepper};
    for (std::size_t i = 0; i < t.size(); ++i) s.grid.push_back({t[i], a[i], g[i]});
    s.schedule = schedule_of(clock == "ve"    ? R"({"type": "ve", "sigma_min": 0.01, "sigma_max": 50})"
                             : clock == "edm" ? R"({"type": "edm"})"
                                              : R"({"type": "vp_linear", "t_min": 0.001})");
    if (cases_.contains(name + "/noise")) s.noise = recorded_noise(read(name, "noise"));
    return s;
  }
  [[nodiscard]] Gradient gradient(const std::string& clock, const Sampler& sampler, const std::string& adjoint,
                                  const std::string& options, bool wrt_p = true) const {
    const Tensor w = input(clock, "w");
    const Tensors p = parameters(clock);
    return make_adjoint(adjoint, Config::parse(options, "test"))
        .gradient({.sampler = sampler,
                   .x_T = input(clock, "x_T"),
                   .p = p,
                   .wrt_p = Wanted(p.size(), wrt_p),
                   .loss = [w](const Tensor& x_0) { return inner(w, x_0); }});
  }
  void check(const std::string& name, const Gradient& g, double within = bound) const {
    const std::string what = kind_ + "/" + name;
    check_close(g.x_0, read(name, "x_0"), what + "/x_0", within);
    check_close(g.x_T, read(name, "g_x"), what + "/g_x", within);
    if (!g.p[0].defined()) return;
    Tensors flat;
    for (std::size_t i = 1; i < g.p.size(); ++i) flat.push_back(reshape(g.p[i], {g.p[i].size()}));
    check_close(g.p[0], read(name, "g_z"), what + "/g_z", within);
    check_close(concat(flat, 0), read(name, "g_theta"), what + "/g_theta", within);
  }

 private:
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / (name + ".h5")).string(); }
  std::filesystem::path folder_;
  std::string kind_;
  Hdf5Reader inputs_, cases_;
  Tensors theta_;
};

/// CLOCK-WHAT-nSTEPS, or -mSTEPS.
struct Name {
  std::string clock, what;
};
Name parse(const std::string& name) {
  for (const std::string clock : {"vp-t", "vp-lambda", "ve", "edm"}) {
    if (name == clock) return {clock, ""};
    if (name.rfind(clock + "-", 0) == 0)
      return {clock, name.substr(clock.size() + 1, name.rfind('-') - clock.size() - 1)};
  }
  return {};
}

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

// One function a file: checks a case, or returns false for one that it does not know.

bool check_direct(const Fixtures& f, const std::string& name) {
  const auto [clock, what] = parse(name);
  const std::map<std::string, Stepper> steppers = {{"ddim", make_stepper("ddim")},
                                                   {"dpmpp-2m", make_stepper("dpmpp-2m")},
                                                   {"heun", make_stepper("heun")},
                                                   {"sde-ddim-eta1", stepper_of("ddim", R"({"eta": 1})")},
                                                   {"sde-dpm-1", make_stepper("sde-dpm-1")}};
  if (steppers.count(what) == 0) return false;
  const Sampler sampler = f.sampler(clock, name, steppers.at(what));
  f.check(name, f.gradient(clock, sampler, "checkpointed", "{}"));
  f.check(name, f.gradient(clock, sampler, "direct", "{}"));
  if (sampler.stepper.tableau != nullptr) f.check(name, f.gradient(clock, sampler, "symplectic", "{}"));
  return true;
}

bool check_adjointdeis(const Fixtures& f, const std::string& name) {
  const auto [clock, what] = parse(name);
  if (what.size() < 3) return false;
  const std::string order = what.substr(what.size() - 2), kind = what.substr(0, what.size() - 3);
  const bool sde = kind == "sde-cached-sde-dpm-1" || kind == "sde-released";
  if (!sde && kind != "ode-cached-ddim" && kind != "ode-exact" && kind != "ode-resolved-ddim" && kind != "ode-released")
    return false;
  const Stepper stepper = sde                   ? make_stepper("sde-dpm-1")
                          : kind == "ode-exact" ? replay(f.read(name, "x"))
                                                : make_stepper("ddim");
  const std::string options = kind == "ode-resolved-ddim"                  ? R"({"states": "resolved"})"
                              : kind.find("released") != std::string::npos ? R"({"skip_last": true})"
                                                                           : "{}";
  f.check(name, f.gradient(clock, f.sampler(clock, name, stepper), order == "o1" ? "adjointdeis-1" : "adjointdeis-2m",
                           options));
  return order == "o1" || order == "o2";
}

/// The package's rk4 is the 3/8 rule.
bool check_adjointdpm(const Fixtures& f, const std::string& name) {
  const auto [clock, what] = parse(name);
  if (what != "euler" && what != "midpoint" && what != "rk4") return false;
  const Stepper stepper = what == "rk4" ? stepper_of("rk4", R"({"rule": "3/8"})") : make_stepper(what);
  f.check(name, f.gradient(clock, f.sampler(clock, name, stepper), "adjointdpm", "{}"));
  return true;
}

/// SAG's estimate from level `start` by Euler steps over `points` entries of linspace: type 1 in s, type 2 in 1 / s on
/// x / sigma, which is the same map. The guess is y of type 1 and x of type 2.
void check_sag(const Fixtures& f, const std::string& clock, const std::string& name) {
  const auto settings = Config::parse(f.settings(name), name);
  const auto start = settings.integer("start", 0), points = settings.integer("points", 0);
  const bool in_y = settings.integer("type", 0) == 1;
  Sampler sampler = f.sampler(clock, name, make_stepper("ddim"));
  const auto steps = sampler.steps();
  Grid own;
  for (std::int64_t k = 0; k < points; ++k)
    own.push_back(sampler.grid[static_cast<std::size_t>(start + (steps - start) * k / (points - 1))]);
  sampler.grid = own;
  const double unit = in_y ? own.back().alpha : 1;
  const Tensor w = f.input(clock, "w");
  const Gradient g = make_adjoint("symplectic")
                         .gradient({.sampler = sampler,
                                    .x_T = f.read(name, "x_start"),
                                    .p = f.parameters(clock),
                                    .loss = [&](auto& x) { return inner(w, x / unit); }});
  check_close(g.x_0 / unit, f.read(name, "guess"), name + "/guess", bound);
  check_close(g.x_T, f.read(name, "g_x"), name + "/g_x", bound);
}

bool check_symplectic(const Fixtures& f, const std::string& name) {
  const auto [clock, what] = parse(name);
  if (starts_with(what, "sag-type")) {
    check_sag(f, clock, name);
    return true;
  }
  if (what != "euler" && what != "midpoint" && what != "rk4") return false;
  f.check(name, f.gradient(clock, f.sampler(clock, name, make_stepper(what)), "symplectic", "{}"));
  return true;
}

bool check_endpoint_fisher(const Fixtures& f, const std::string& name) {
  const auto [clock, what] = parse(name);
  if (what != "clean" && what != "noisy") return false;
  const Sampler sampler = f.sampler(clock, name, make_stepper("ddim"));
  f.check(name, f.gradient(clock, sampler, "endpoint-fisher", R"({"end": ")" + what + "\"}", false));
  const Tensor x = f.read(name, "x"), expected = f.read(name, "fisher_w"), w = f.input(clock, "w");
  for (std::int64_t i = 0; i < x.dim(0); ++i) {
    const Level& at = sampler.grid[static_cast<std::size_t>(i)];
    const Tensor y = x.rows(i, 1).reshaped(w.shape()) / at.alpha;
    check_close(endpoint_fisher(sampler.denoiser, at, y, f.read(name, "x_0"), f.parameters(clock), w),
                expected.rows(i, 1).reshaped(w.shape()), name + "/fisher_w", bound);
  }
  return true;
}

/// The gradient of the exact ODE, from states and adjoint solved to tolerance.
bool check_truth(const Fixtures& f, const std::string& name) {
  Sampler sampler = f.sampler(name, name, stepper_of("tsit5", R"({"rtol": 1e-10, "atol": 1e-10})"));
  const Gradient g = f.gradient(name, sampler, "backsolve", R"({"method": "tsit5", "rtol": 1e-10, "atol": 1e-10})");
  f.check(name, g, 1e-6);
  return true;
}

const std::map<std::string, bool (*)(const Fixtures&, const std::string&)> checks = {
    {"direct", check_direct},         {"adjoint-deis", check_adjointdeis}, {"adjoint-dpm", check_adjointdpm},
    {"symplectic", check_symplectic}, {"df-ea", check_endpoint_fisher},    {"truth", check_truth}};

/// With the files of shared/, which a checkout of this repository alone has not.
bool skipped() {
  const bool missing = !std::filesystem::exists(shared_dir() / "fixtures/gradients/inputs.h5");
  if (missing) BOOST_TEST_MESSAGE("skipped: no " << (shared_dir() / "fixtures/gradients").string());
  return missing;
}

BOOST_AUTO_TEST_SUITE(gradient_fixtures)

BOOST_AUTO_TEST_CASE(every_case_of_every_file) {
  if (skipped()) return;
  for (const auto& entry : std::filesystem::directory_iterator(shared_dir() / "fixtures/gradients")) {
    const std::string kind = entry.path().stem().string();
    if (entry.path().extension() != ".h5" || kind == "inputs") continue;
    BOOST_REQUIRE_MESSAGE(checks.count(kind) != 0, entry.path() << " is not covered");
    const Fixtures f(kind);
    BOOST_TEST(!f.cases().empty());
    for (const auto& name : f.cases()) BOOST_TEST(checks.at(kind)(f, name), kind << "/" << name << " is not covered");
    BOOST_TEST_MESSAGE(kind << ": " << f.cases().size() << " cases");
  }
}

/// On grids finer than the files', where the orders have settled; Heun's states are of second order.
BOOST_AUTO_TEST_CASE(continuous_truth_at_the_stated_order) {
  if (skipped()) return;
  const Fixtures truth("truth");
  const Tensor expected = truth.read("vp-lambda", "g_x");
  for (const auto& [adjoint, order] : {std::pair{"adjointdeis-1", 1.0}, {"adjointdeis-2m", 2.0}}) {
    const auto error = [&](int steps) {
      Sampler sampler = truth.sampler("vp-lambda", "vp-lambda", make_stepper("heun"));
      sampler.grid = make_grid("lambda", *sampler.schedule, steps);
      const Tensor off = truth.gradient("vp-lambda", sampler, adjoint, "{}", false).x_T - expected;
      return std::sqrt(inner(off, off).item());
    };
    const double coarse = error(400), fine = error(800), found = std::log2(coarse / fine);
    BOOST_TEST_MESSAGE(adjoint << ": order " << found << ", error " << fine << " at 800 steps");
    BOOST_TEST(std::abs(found - order) < 0.15, adjoint << ": order " << found);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
