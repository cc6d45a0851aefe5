// costate eval: one evaluation of the network itself, its vector-Jacobian product, and their times.
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/ops/cast.h"
#include "autodiff/transform.h"
#include "core/kernels/memory.h"
#include "core/random.h"
#include "core/spec.h"
#include "tools/gradients_file.h"
#include "tools/model/inputs.h"
#include "tools/profile.h"
#include "tools/result.h"

namespace costate {
namespace {

struct Options {
  Common common;
  std::string in, wrt, part;
  std::optional<std::int64_t> repeat, batch;
  bool vjp = false, raw = false, profile = false;
};

struct Problem {
  Evaluation at;
  Tensor g;

  [[nodiscard]] Evaluation::Outcome run(const Network& network, bool with_vjp) const {
    return at.run(network, with_vjp ? g : Tensor());
  }
};

/// From --in; without it (timing) seeded noise of the model's usual size at a middle time.
Problem make_problem(const Options& o, const Model& model) {
  Inputs in;
  Tensor g;
  if (o.in.empty()) {
    const std::int64_t rows = o.batch.value_or(1);
    in = noise_inputs(model, o.common.seed, rows);
    if (o.vjp) {
      const Tensor y = (*model.network)(in);
      g = normal_noise(o.common.seed, 0, rows, 1 << 20, Shape(y.shape().begin() + 1, y.shape().end()),
                       {DType::f64, model.device});
    }
  } else {
    const Hdf5Reader file(o.in);
    in = read_inputs(file, model);
    if (file.contains("g")) g = file.read("g");
    require(!o.vjp || g.defined(), "{}: --vjp needs the cotangent g in the input", o.in);
  }
  const auto words = words_of("--wrt", o.wrt);
  as_usage([&] { check_wrt(words, differentiable_inputs(in, model.network->signature())); });
  return {Evaluation(in, model, words), g.defined() ? as_real(g, model) : g};
}

/// Writing gradients needs shapes only: the weights of a large network, and what kernels hung on them, make room for the file.
void drop_weights(Model& model, Problem& p) {
  Tensors ghosts;
  for (const auto& parameter : model.network->parameters()) ghosts.push_back(parameter.value.ghost());
  model.network = model.network->with(ghosts);
  p.at.leaves.clear();
}

void write_result(const Options& o, const Problem& p, const Model& model, const Evaluation::Outcome& r) {
  const auto inputs = static_cast<std::ptrdiff_t>(p.at.names.size());
  const Tensors theta = o.vjp ? Tensors(r.g.begin() + inputs, r.g.end()) : Tensors();
  for (const auto& file : o.common.outputs(".safetensors")) write_theta_gradients(file, o.common, model, theta);
  for (const auto& file : o.common.outputs(".h5")) {
    Hdf5Writer out = result_file(file, o.common);
    out.write("y", r.y);
    if (o.vjp) {
      for (std::size_t i = 0; i < p.at.names.size(); ++i)
        if (r.g[i].defined()) out.write("g_" + p.at.names[i], r.g[i]);
      write_theta_gradients(out, model, theta);
    }
    out.finish();
  }
}

/// One kind of work that is timed: milliseconds of its runs, and the peak bytes that a run adds.
struct Timing {
  std::function<void()> work;
  std::vector<double> ms = {};
  std::int64_t peak = 0;

  [[nodiscard]] nlohmann::ordered_json summary() const {
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    return {{"min", sorted.front()}, {"median", sorted[sorted.size() / 2]}};
  }
};

/// Runs them in turn, so that a machine which slows down does so for all, `repeat` times after three warm-ups.
void time_all(const Options& o, std::vector<Timing>& timings) {
  const Device device = o.common.place();
  const std::int64_t at_first = memory_use(device).live;
  for (const Timing& t : timings)
    for (int i = 0; i < 3; ++i) t.work();
  // What a device keeps to repeat the work counts; what the host has made of the weights once does not.
  const std::int64_t before = device == Device::cpu ? memory_use(device).live : at_first;
  for (std::int64_t i = 0; i < *o.repeat; ++i)
    for (Timing& t : timings) {
      reset_peak(device);
      const auto start = std::chrono::steady_clock::now();
      t.work();
      t.ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
      t.peak = std::max(t.peak, memory_use(device).peak - before);
    }
}

/// Calls of each way a convolution ran in one run of `work`: {"F(4,3)": 30, "direct": 12}.
template <class Work>
nlohmann::ordered_json convolutions_of(const Work& work) {
  const Profile profile;
  work();
  nlohmann::ordered_json calls = nlohmann::ordered_json::object();
  for (const std::string how : {"F(4,3)", "F(2,3)", "direct", "cudnn"})
    for (const auto& row : profile.rows())
      if (row.name.starts_with("conv2d ") && row.name.ends_with(" " + how))
        calls[how] = calls.value(how, std::int64_t{0}) + row.calls;
  return calls;
}

/// Where the time of the runs goes.
template <class Work>
void print_profile(const Options& o, const char* what, const Work& work) {
  const Profile profile;
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < *o.repeat; ++i) work();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << "\n"
            << what << " on " << o.common.device << "\n"
            << profile_table(profile, *o.repeat, took.count(), o.common.place());
}

void run_timing(const Options& o, const Problem& p, const Network& network) {
  nlohmann::ordered_json j;
  const auto finished = [&](bool vjp) {  // a device's work is queued, and done later
    static_cast<void>(p.run(network, vjp));
    finish_kernel.always(o.common.place());
  };
  const auto forward = [&] { finished(false); };
  const auto with_vjp = [&] { finished(true); };
  std::vector<Timing> timings{{forward}};
  if (o.vjp) timings.push_back({with_vjp});
  time_all(o, timings);
  j["forward_ms"] = timings.front().summary();
  if (o.vjp) j["vjp_ms"] = timings.back().summary();
  j["peak_bytes"] = {{"forward", timings.front().peak}};
  if (o.vjp) j["peak_bytes"]["vjp"] = timings.back().peak;
  j["device"] = o.common.device;
  j["isa"] = instruction_set();
  j["out"] = o.common.out;
  j["conv_calls"] = convolutions_of(forward);
  const auto ran = [&](const char* how) { return j["conv_calls"].contains(how); };
  const bool winograd = ran("F(4,3)") || ran("F(2,3)"), own = winograd || ran("direct");
  j["conv"] = ran("cudnn") ? own ? "cudnn, own where it has no plan" : "cudnn" : winograd ? "winograd" : "direct";
  if (o.common.json) {
    std::cout << j.dump(2) << "\n";
    return;
  }
  const auto row = [](const char* name, const Timing& t) {
    return std::vector<std::string>{name, fmt::format("{:.2f}", t.summary()["min"].get<double>()),
                                    fmt::format("{:.2f}", t.summary()["median"].get<double>()), format_bytes(t.peak)};
  };
  std::vector<std::vector<std::string>> rows{{"", "min ms", "median ms", "peak"}, row("forward", timings.front())};
  if (o.vjp) rows.push_back(row("vjp", timings.back()));
  std::cout << text_table(rows);
  if (!o.profile) return;
  print_profile(o, "forward", forward);
  if (o.vjp) print_profile(o, "vjp", with_vjp);
}

void run_eval(const Options& o) {
  o.common.apply();
  if (!o.common.outputs(".safetensors").empty() && !o.vjp)
    throw UsageError("--out FILE.safetensors holds the gradients in the weights: add --vjp");
  if (!o.wrt.empty() && !o.vjp) throw UsageError("--wrt " + o.wrt + ": names gradients, which --vjp asks for: add it");
  if (o.in.empty() && !o.repeat) throw UsageError("eval: give --in FILE.h5, or --repeat N to time it on noise");
  if (o.profile && (!o.repeat || o.common.json))
    throw UsageError("--profile prints a table of timed runs: give --repeat N, and no --json");
  for (const auto& [option, count] : {std::pair{"--repeat", o.repeat}, {"--batch", o.batch}})
    if (count && *count < 1) throw UsageError(fmt::format("{} {}: give at least one", option, *count));
  if (o.batch && !o.in.empty())
    throw UsageError(fmt::format("--batch {}: {} says how many rows there are; leave one of them out", *o.batch, o.in));
  Model model = o.common.load();
  require(!model.is_exact(), "eval: {} is an exact problem, not a network", model.name);
  if (o.raw && !o.part.empty()) throw UsageError("eval: --raw is a part of its own; leave --part out");
  if (o.raw) model.network = model.network->part("raw");
  if (!o.part.empty()) model.network = model.network->part(o.part);
  Problem p = make_problem(o, model);
  if (o.repeat) run_timing(o, p, *model.network);
  if (o.common.out.empty() && o.repeat) return;
  const Evaluation::Outcome r = p.run(*model.network, o.vjp);
  require_finite(r.y, "eval, y");
  if (o.vjp && r.g[0].defined()) require_finite(r.g[0], "eval, g_x");
  drop_weights(model, p);
  write_result(o, p, model, r);
  if (o.repeat) return;
  Norms norms;
  norms.add(r.y);
  nlohmann::ordered_json j{{"model", model.name},
                           {"y", std::vector<std::int64_t>(r.y.shape().begin(), r.y.shape().end())},
                           {"y_norm", std::sqrt(norms.squares)},
                           {"y_largest", norms.largest},
                           {"device", o.common.device},
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
          "  costate eval fashion-unet --repeat 5 --profile",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, {".h5", ".safetensors"});
            a.option(
                "--in", o->in,
                "x (n,...), and as the network takes them t, class, z ...; for --vjp g, of the shape of the output y",
                "FILE.h5");
            a.flag("--vjp", o->vjp, "also the vector-Jacobian product: gradients of <g, y>");
            a.option("--wrt", o->wrt, "gradients in x, theta and further inputs by name [all there are]", "LIST");
            a.flag("--raw", o->raw, "of a model with EDM preconditioning: the bare network inside, told its own time");
            a.option("--part", o->part, "which function of an autoencoder: encode, sample, decode", "NAME");
            a.flag("--profile", o->profile, "with --repeat: time and rate by kind of work");
            a.option("--repeat", o->repeat, "time N evaluations after 3 warm-ups");
            a.option("--batch", o->batch, "samples at once when timing without --in [1]");
            return [o] { run_eval(*o); };
          }};
}

}  // namespace costate
