// costate sample: pictures and data from a model.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/reshape.h"
#include "io/atomic_file.h"
#include "io/png.h"
#include "solvers/encode.h"
#include "tools/model/finer.h"
#include "tools/model/latent.h"
#include "tools/result.h"
#include "tools/sampling.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  std::int64_t batch = 16, columns = 0, finer_steps = 40;
  std::vector<std::string> finer;
  std::string finer_sampler = "ddim";
  bool trajectory = false;
};

/// What lies behind the model's own samples: the autoencoder of a latent pipeline, the finer scales of a coarse model.
struct Beyond {
  std::optional<LatentSpace> space;
  std::optional<FinerScales> finer;
};

/// Counts the evaluations of the denoiser that go through it.
void count_evaluations(Denoiser& d, std::int64_t& count) {
  d.net = [inner = d.net, &count](const Tensor& x, const Level& at, const Tensors& p) {
    ++count;
    return inner(x, at, p);
  };
}

struct Samples {
  Tensor x_0;         // (n, ...); of a latent pipeline, the pixels; with finer scales, the finest
  Tensor latents;     // what they were decoded from
  Tensor coarse;      // what they were refined from
  Tensor trajectory;  // (levels, n, ...) if asked for
  std::int64_t nfe = 0;
};

/// The batches of coarse samples at the finest scale.
Tensor refined(const Options& o, const FinerScales& finer, Tensors batches) {
  const Progress progress = o.common.progress("refining");
  const auto all = static_cast<std::int64_t>(batches.size());
  std::int64_t first = 0, i = 0;
  for (auto& x : batches) {
    x = finer.refine(x, o.common.seed, first,
                     [&](std::int64_t done, std::int64_t each) { report(progress, i * each + done, all * each); });
    first += x.dim(0), ++i;
  }
  return concat(batches, 0);
}

Samples draw(const Options& o, const Model& model, const Run& run, const Beyond& beyond) {
  const std::int64_t n = run.count(), asked = batch_of(run.stepper().batching, n, o.batch),
                     batch = beyond.finer ? batch_of(beyond.finer->stepper.batching, n, asked) : asked,
                     levels = static_cast<std::int64_t>(run.grid().size());
  const Progress progress = o.common.progress("sampling");
  const std::int64_t steps_in_all = (n + batch - 1) / batch * (levels - 1);
  std::int64_t steps_before = 0;
  Tensors parts;
  std::vector<Tensors> states(o.trajectory ? static_cast<std::size_t>(levels) : 0);
  Samples result;
  for (std::int64_t first = 0; first < n; first += batch) {
    const std::int64_t rows = std::min(batch, n - first);
    const Conditioned c = make_conditioned(model, run.condition(first, rows), rows, run.grid());
    Sampler sampler = run.sampler(c, first, rows);
    result.nfe = 0;
    count_evaluations(sampler.denoiser, result.nfe);
    const auto keep = [&](int level, const Tensor& x) { states[static_cast<std::size_t>(level)].push_back(x); };
    const auto each = o.trajectory ? std::function<void(int, const Tensor&)>(keep) : nullptr;
    const auto report_all = [&](std::int64_t done, std::int64_t) {
      report(progress, steps_before + done, steps_in_all);
    };
    const Tensor x_T = run.x_T(first, rows);
    const Tensors memory = run.memory(first, rows);
    parts.push_back(memory.empty() ? sample(sampler, x_T, c.p, report_all, each)
                                   : decode(sampler, {sampler.start(x_T).y, memory}, c.p, report_all, each));
    steps_before += levels - 1;
  }
  result.x_0 = concat(parts, 0);
  if (beyond.space) {
    result.latents = result.x_0;
    result.x_0 = beyond.space->decode(result.latents);
  }
  if (beyond.finer) {
    result.coarse = result.x_0;
    result.x_0 = refined(o, *beyond.finer, parts);
  }
  Tensors rows;
  for (const auto& level : states) {
    const Tensor x = concat(level, 0);
    rows.push_back(reshape(x, x.shape().with_front(1)));
  }
  if (!rows.empty()) result.trajectory = concat(rows, 0);
  return result;
}

void write_h5(const std::string& file, const Options& o, const Run& run, const Samples& s) {
  Hdf5Writer out = result_file(file, o.common);
  out.write("x", s.trajectory.defined() ? s.trajectory : s.x_0);
  if (s.latents.defined()) out.write("latents", s.latents);
  if (s.coarse.defined()) out.write("coarse", s.coarse);
  std::vector<double> t, s_hat;
  for (const Level& l : run.grid()) t.push_back(l.t), s_hat.push_back(l.s());
  const Shape levels{static_cast<std::int64_t>(t.size())};
  out.write("grid_t", Tensor::from(t, levels));
  out.write("grid_sigma_hat", Tensor::from(s_hat, levels));
  out.attribute("", "nfe", s.nfe);
  out.attribute("", "sampler", run.stepper().name);
  out.finish();
}

/// The finer scales that --finer names; nothing where it is not given.
std::optional<FinerScales> finer_scales(const Options& o, const Model& model) {
  if (o.finer.empty()) return std::nullopt;
  if (o.finer_steps < 1) throw UsageError(fmt::format("--finer-steps {}: give at least one", o.finer_steps));
  if (o.trajectory) throw UsageError("--trajectory with --finer: there is a trajectory for every scale; leave one out");
  Stepper stepper = as_usage([&] { return make_stepper(o.finer_sampler, Config()); });
  return FinerScales(o.finer, model, std::move(stepper), o.finer_steps);
}

void run_sample(const Options& o) {
  o.common.apply({".h5", ".png", ".json"});
  if (o.batch < 1) throw UsageError(fmt::format("--batch {}: give at least one", o.batch));
  const Model model = o.common.load_to_sample();
  const Run run(o.sampling, o.common, model);
  const Beyond beyond{latent_space(model), finer_scales(o, model)};
  for (const auto& file : o.common.outputs(".png"))
    if (!beyond.space) require_images(model, file);
  const auto start = std::chrono::steady_clock::now();
  const Samples s = draw(o, model, run, beyond);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const auto& file : o.common.outputs(".h5")) write_h5(file, o, run, s);
  // A class-conditional model's classes stand in columns, everything else in a square.
  const Signature of = model.is_exact() ? Signature() : model.network->signature();
  const auto listed = o.sampling.classes.empty() ? std::max<std::int64_t>(of.classes - (of.null_class ? 1 : 0), 0)
                                                 : static_cast<std::int64_t>(word_list(o.sampling.classes).size());
  std::int64_t columns = o.columns > 0 ? o.columns
                         : listed > 1
                             ? listed
                             : static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(run.count()))));
  columns = std::clamp<std::int64_t>(columns, 1, run.count());
  for (const auto& file : o.common.outputs(".png")) {
    const auto width = s.x_0.dim(2);
    write_png(file, tile(to_picture(s.x_0, beyond.space ? beyond.space->range : model.range), static_cast<int>(columns),
                         2, static_cast<int>(std::max<std::int64_t>(1, 84 / width))));
  }
  nlohmann::ordered_json j{{"model", model.name},
                           {"sampler", run.stepper().name},
                           {"steps", run.grid().size() - 1},
                           {"samples", run.count()},
                           {"nfe", s.nfe},
                           {"finer_scales", o.finer.size()},
                           {"seed", o.common.seed},
                           {"dtype", o.common.dtype},
                           {"device", o.common.device},
                           {"seconds", seconds},
                           {"isa", instruction_set()},
                           {"out", o.common.out}};
  for (const auto& file : o.common.outputs(".json")) write_file(file, j.dump(2) + "\n");
  if (o.common.json) {
    std::cout << j.dump(2) << "\n";
    return;
  }
  std::cout << fmt::format("{} samples of {} by {} in {} steps ({} evaluations each), {:.1f} s\n", run.count(),
                           model.name, run.stepper().name, run.grid().size() - 1, s.nfe, seconds);
  for (const auto& file : o.common.out) std::cout << "wrote " << file << "\n";
  if (o.common.out.empty()) std::cout << "nothing was written; add --out samples.png or --out samples.h5\n";
}

}  // namespace

Command sample_command() {
  return {
      "sample", "draw samples: pictures to PNG, data to HDF5",
      "  costate sample fashion-unet -n 40 --guidance 1.5 --out garments.png\n"
      "  costate sample fashion-unet -n 4 --class 7,9 --sampler dpmpp-2m --steps 12 --out shoes.png --out shoes.h5\n"
      "  costate sample fashion-unet -n 1 --class 8 --sampler heun --steps 10 --trajectory --out path.h5\n"
      "  costate sample low40.pt --finer scale2.pt --finer scale1.pt --finer scale0.pt -n 3 --steps 150 --out "
      "faces.png",
      [](Arguments& a) {
        const auto o = std::make_shared<Options>();
        o->sampling.takes_memory = true;
        o->common.declare(a);
        o->sampling.declare(a, 16, 25);
        a.option("--batch", o->batch, "samples computed at once; the bits do not depend on it [16]");
        a.option("--columns", o->columns, "columns of the picture [one a class, or a square]");
        a.option("--finer", o->finer,
                 "a denoiser of details that doubles the samples' size; may be repeated, coarse to fine");
        a.option("--finer-steps", o->finer_steps, "steps of each of them [40]");
        a.option("--finer-sampler", o->finer_sampler, "and their sampler [ddim]", "NAME");
        a.flag("--trajectory", o->trajectory, "write every state: x (steps + 1, n, ...), latents of a latent model");
        return [o] { run_sample(*o); };
      }};
}

}  // namespace costate
