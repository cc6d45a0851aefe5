// costate eval: one evaluation of the network itself, its vector-Jacobian product, and their times.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/ops/cast.h"
#include "autodiff/transform.h"
#include "core/random.h"
#include "tools/gradients_file.h"
#include "tools/model/conditioned.h"
#include "tools/result.h"

namespace costate {
namespace {

struct Options {
  Common common;
  std::string in, wrt;
  std::int64_t repeat = 0, batch = 1;
  bool vjp = false;
};

/// The problem of one evaluation: leaves {x, condition..., weights...} and the function of them.
struct Problem {
  Condition condition;
  Conditioned conditioned;
  Tensor x, g;
  std::vector<double> t, alpha, sigma;

  /// `leaves` are x followed by the parameters of `conditioned`.
  [[nodiscard]] Tensor evaluate(const Model& model, const Tensors& leaves) const {
    const auto theta = leaves.begin() + 1 + static_cast<std::ptrdiff_t>(conditioned.first_theta);
    Inputs in{.x = leaves[0],
              .t = t,
              .classes = {},
              .z = conditioned.first_theta > 0 ? leaves[1] : Tensor(),
              .extra = {},
              .alpha = alpha,
              .sigma = sigma};
    return (*model.network->with(Tensors(theta, leaves.end())))(in);
  }
};

/// From --in; without it (timing) seeded noise of the model's usual size at a middle time.
Problem make_problem(const Options& o, const Model& model) {
  Problem p;
  const Signature s = model.network->signature();
  if (o.in.empty()) {
    p.x = normal_noise(o.common.seed, 0, o.batch, 0, s.input);
    p.g = normal_noise(o.common.seed, 0, o.batch, 1, s.input.with(-1, s.out_channels));
    p.t.assign(static_cast<std::size_t>(o.batch), model.schedule->t_max / 2);
    if (s.classes > 0)
      p.condition.classes = repeat_labels({0}, 0, o.batch);
    else if (s.z.rank() > 0)
      p.condition.z = normal_noise(o.common.seed, 0, o.batch, 2, s.z);
  } else {
    const Hdf5Reader file(o.in);
    require(file.contains("x"), "{}: holds no x (n, ...)", o.in);
    p.x = file.read("x");
    if (file.contains("t")) p.t = file.read("t").to_vector();
    if (file.contains("alpha")) p.alpha = file.read("alpha").to_vector();
    if (file.contains("sigma")) p.sigma = file.read("sigma").to_vector();
    if (file.contains("g")) p.g = file.read("g");
    if (file.contains("z"))
      p.condition.z = file.read("z");
    else if (file.contains("class"))
      p.condition.classes = file.read("class");
    require(!o.vjp || p.g.defined(), "{}: --vjp needs the cotangent g in the input", o.in);
  }
  const auto n = p.x.dim(0);
  require(p.x.rank() == s.input.rank() + 1 && p.x.dim(-1) == s.input[-1],
          "{}: x has shape {}; the network wants (n, ...) of {}", o.in.empty() ? model.name : o.in, p.x.shape(),
          s.input);
  require(!s.takes_time || static_cast<std::int64_t>(p.t.size()) == n,
          "{}: the network takes a time t (n), one a row; found {} for {} rows", o.in, p.t.size(), n);
  if (!s.takes_time && p.alpha.empty() && p.sigma.empty()) {  // for a network that is told the level, not the time
    for (const double t : p.t) p.alpha.push_back(model.schedule->alpha(t)), p.sigma.push_back(model.schedule->sigma(t));
  }
  require_finite(p.x, "eval, x");
  p.conditioned = make_conditioned(model, p.condition, n);
  p.x = cast(p.x, model.dtype);
  if (p.g.defined()) p.g = cast(p.g, model.dtype);
  return p;
}

struct Asked {
  bool x = true, z = true, theta = true;
};

Asked parse_wrt(const std::string& text) {
  if (text.empty()) return {};
  Asked a{false, false, false};
  for (const auto& word : word_list(text)) {
    if (word == "x")
      a.x = true;
    else if (word == "z")
      a.z = true;
    else if (word == "theta")
      a.theta = true;
    else
      throw UsageError("--wrt " + word + ": there are x, z and theta");
  }
  return a;
}

struct Outcome {
  Tensor y, g_x;
  Tensors g_p;
};

Outcome compute(const Problem& p, const Model& model, bool with_vjp, const Asked& asked) {
  Tensors leaves{p.x};
  leaves.insert(leaves.end(), p.conditioned.p.begin(), p.conditioned.p.end());
  const auto f = [&](const Tensors& l) { return Tensors{p.evaluate(model, l)}; };
  if (!with_vjp) return {f(leaves)[0], {}, {}};
  Wanted wanted = p.conditioned.wanted(asked.z || asked.theta, asked.theta);
  wanted.insert(wanted.begin(), asked.x);
  const Vjp at = vjp(f, leaves, wanted);
  require_same("eval (g against y)", p.g, at.value[0]);
  Tensors back = at.pull_once({p.g});
  Outcome out{at.value[0], back[0], Tensors(back.begin() + 1, back.end())};
  return out;
}

void write_result(const Options& o, const Problem& p, const Model& model, const Asked& asked, const Outcome& r) {
  for (const auto& file : o.common.outputs(".h5")) {
    Hdf5Writer out = result_file(file, o.common);
    out.write("y", r.y);
    if (o.vjp) {
      if (r.g_x.defined()) out.write("g_x", r.g_x);
      if (asked.z && p.conditioned.first_theta > 0) out.write("g_z", r.g_p[0]);
      if (asked.theta)
        write_theta_gradients(out, model, total_theta_gradient(model, p.condition, p.conditioned, r.g_p));
    }
    out.finish();
  }
}

/// Minimum and median of `repeat` runs after three warm-ups, in ms, and the peak bytes that one run adds.
template <class Work>
nlohmann::ordered_json time_it(std::int64_t repeat, std::int64_t& peak, const Work& work) {
  for (int i = 0; i < 3; ++i) work();
  const std::int64_t before = memory_use().live;
  reset_peak();
  std::vector<double> ms;
  for (std::int64_t i = 0; i < repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  peak = memory_use().peak - before;
  std::sort(ms.begin(), ms.end());
  return {{"min", ms.front()}, {"median", ms[ms.size() / 2]}};
}

void run_timing(const Options& o, const Problem& p, const Model& model, const Asked& asked) {
  std::int64_t forward_peak = 0, vjp_peak = 0;
  nlohmann::ordered_json j;
  j["forward_ms"] = time_it(o.repeat, forward_peak, [&] { static_cast<void>(compute(p, model, false, asked)); });
  if (o.vjp) j["vjp_ms"] = time_it(o.repeat, vjp_peak, [&] { static_cast<void>(compute(p, model, true, asked)); });
  j["peak_bytes"] = {{"forward", forward_peak}};
  if (o.vjp) j["peak_bytes"]["vjp"] = vjp_peak;
  j["isa"] = instruction_set();
  j["conv"] = "direct";
  if (o.common.json) {
    std::cout << j.dump(2) << "\n";
    return;
  }
  const auto row = [&](const char* name, const char* key, std::int64_t peak) {
    return std::vector<std::string>{name, fmt::format("{:.2f}", j[key]["min"].get<double>()),
                                    fmt::format("{:.2f}", j[key]["median"].get<double>()), format_bytes(peak)};
  };
  std::vector<std::vector<std::string>> rows{{"", "min ms", "median ms", "peak"},
                                             row("forward", "forward_ms", forward_peak)};
  if (o.vjp) rows.push_back(row("vjp", "vjp_ms", vjp_peak));
  std::cout << text_table(rows);
}

void run_eval(const Options& o) {
  o.common.apply({".h5"});
  if (o.in.empty() && o.repeat < 1) throw UsageError("eval: give --in FILE.h5, or --repeat N to time it on noise");
  if (o.repeat < 0 || o.batch < 1) throw UsageError("eval: --repeat and --batch want positive numbers");
  const Asked asked = parse_wrt(o.wrt);
  const Model model = o.common.load();
  require(!model.is_exact(), "eval: {} is an exact problem, not a network", model.name);
  const Problem p = make_problem(o, model);
  if (o.repeat > 0) run_timing(o, p, model, asked);
  if (o.common.out.empty() && o.repeat > 0) return;
  const Outcome r = compute(p, model, o.vjp, asked);
  require_finite(r.y, "eval, y");
  if (r.g_x.defined()) require_finite(r.g_x, "eval, g_x");
  write_result(o, p, model, asked, r);
  if (o.repeat > 0) return;
  Norms norms;
  norms.add(r.y);
  nlohmann::ordered_json j{{"model", model.name},
                           {"y", std::vector<std::int64_t>(r.y.shape().begin(), r.y.shape().end())},
                           {"y_norm", std::sqrt(norms.squares)},
                           {"y_largest", norms.largest},
                           {"out", o.common.out}};
  if (o.common.json) {
    std::cout << j.dump(2) << "\n";
    return;
  }
  std::cout << fmt::format("y {}: norm {:.6g}, largest {:.6g}\n", r.y.shape(), std::sqrt(norms.squares), norms.largest);
  for (const auto& file : o.common.out) std::cout << "wrote " << file << "\n";
}

}  // namespace

Command eval_command() {
  return {"eval", "evaluate the network once: output, vector-Jacobian product, time",
          "  costate eval fashion-unet --repeat 20 --vjp\n"
          "  costate eval fashion-unet --repeat 20 --vjp --wrt x --batch 16 --json\n"
          "  costate eval MODEL --in in.h5 --out out.h5 --vjp --wrt x,theta --dtype f64",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a);
            a.option("--in", o->in, "x, and as the network takes them t, class or z; g for --vjp", "FILE.h5");
            a.flag("--vjp", o->vjp, "also the gradients of <g, y>");
            a.option("--wrt", o->wrt, "gradients in x, z, theta [all there are]", "LIST");
            a.option("--repeat", o->repeat, "time N evaluations after 3 warm-ups");
            a.option("--batch", o->batch, "rows when timing without --in [1]");
            return [o] { run_eval(*o); };
          }};
}

}  // namespace costate
