// costate sample: pictures and data from a model.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/ops/concat.h"
#include "core/spec.h"
#include "io/atomic_file.h"
#include "io/png.h"
#include "solvers/encode.h"
#include "tools/batches.h"
#include "tools/model/finer.h"
#include "tools/model/grid.h"
#include "tools/model/latent.h"
#include "tools/ranks.h"
#include "tools/result.h"
#include "tools/sampling.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  BatchOptions batches;
  std::optional<std::int64_t> columns, finer_steps;
  std::vector<std::string> finer;
  std::string finer_sampler;
  bool trajectory = false;
};

/// What lies behind the model's own samples: the autoencoder of a latent pipeline, the finer scales of a coarse model.
struct Beyond {
  std::optional<LatentSpace> space;
  std::optional<FinerScales> finer;

  [[nodiscard]] std::int64_t steps() const {
    return finer ? static_cast<std::int64_t>(finer->models.size()) * finer->steps : 0;
  }
};

struct Samples {
  Tensor x_0;          // (n, ...); of a latent pipeline, the pixels; with finer scales, the finest
  Tensor latents;      // what they were decoded from
  Tensor coarse;       // what they were refined from
  Tensor trajectory;   // (levels, n, ...) if asked for
  Tensor z, classes;   // what the network was told
  Tensor evaluations;  // (n)
};
const std::vector<Column> columns = {{"x_0"}, {"latents"}, {"coarse"},     {"trajectory", 1},
                                     {"z"},   {"class"},   {"evaluations"}};

Samples draw_batch(const Options& o, const Model& model, const Run& run, const Beyond& beyond, std::int64_t first,
                   std::int64_t rows, const Progress& progress) {
  const auto steps = static_cast<std::int64_t>(run.grid().size()) - 1, all = steps + beyond.steps();
  const auto after = [&](std::int64_t before) {
    return [&progress, before, all](std::int64_t done, std::int64_t) { report(progress, before + done, all); };
  };
  const Condition condition = run.condition(first, rows);
  const Conditioned c = make_conditioned(model, condition, rows, run.grid());
  Sampler sampler = run.sampler(c, first, rows);
  std::int64_t nfe = 0;
  count_evaluations(sampler.denoiser, nfe);
  Tensors states;
  const auto keep = [&](int, const Tensor& x) { states.push_back(x); };
  const auto each = o.trajectory ? std::function<void(int, const Tensor&)>(keep) : nullptr;
  const Tensor x_T = run.x_T(first, rows);
  const Tensors memory = run.memory(first, rows);
  Samples found;
  if (!condition.z_scheduled) found.z = condition.z;
  found.classes = condition.classes;
  found.x_0 = memory.empty() ? sample(sampler, x_T, c.p, after(0), each)
                             : decode(sampler, {sampler.start(x_T).y, memory}, c.p, after(0), each);
  found.evaluations = Tensor::full({rows}, static_cast<double>(nfe), DType::i32);
  found.trajectory = stacked(states);
  if (beyond.space) {
    found.latents = found.x_0;
    found.x_0 = beyond.space->decode(found.latents);
  }
  if (beyond.finer) {
    found.coarse = found.x_0;
    found.x_0 = beyond.finer->refine(found.x_0, o.common.seed, first, after(steps));
  }
  return found;
}

/// On rank 0; on others nothing.
Samples draw(const Options& o, const Model& model, const Run& run, const Beyond& beyond, Batches& batches) {
  const Tensors all =
      batches.run(columns, "sampling", [&](std::int64_t first, std::int64_t rows, const Progress& progress) {
        const Samples s = draw_batch(o, model, run, beyond, first, rows, progress);
        return Tensors{s.x_0, s.latents, s.coarse, s.trajectory, s.z, s.classes, s.evaluations};
      });
  return all.empty() ? Samples() : Samples{all[0], all[1], all[2], all[3], all[4], all[5], all[6]};
}

void write_h5(const std::string& file, const Options& o, const Run& run, const Samples& s) {
  Hdf5Writer out = result_file(file, o.common);
  out.write("x", s.trajectory.defined() ? s.trajectory : s.x_0);
  if (s.latents.defined()) out.write("latents", s.latents);
  if (s.coarse.defined()) out.write("coarse", s.coarse);
  if (s.z.defined()) out.write("z", s.z);
  if (s.classes.defined()) out.write("class", s.classes);
  write_grid(out, run.grid());
  out.write("evaluations", s.evaluations);
  out.attribute("", "nfe", most_evaluations(s.evaluations));
  out.attribute("", "sampler", run.stepper().name);
  out.finish();
}

/// The finer scales that --finer names; nothing where it is not given.
std::optional<FinerScales> finer_scales(const Options& o, const Model& model) {
  if (o.finer.empty()) {
    if (o.finer_steps || !o.finer_sampler.empty())
      throw UsageError("--finer-steps and --finer-sampler: there is nothing finer; name a denoiser with --finer");
    return std::nullopt;
  }
  const int steps = as_usage([&] { return step_count("--finer-steps", o.finer_steps.value_or(40)); });
  if (o.trajectory) throw UsageError("--trajectory with --finer: there is a trajectory for every scale; leave one out");
  Stepper stepper =
      as_usage([&] { return make_stepper(o.finer_sampler.empty() ? "ddim" : o.finer_sampler, Config()); });
  return FinerScales(o.finer, model, std::move(stepper), steps);
}

/// A class-conditional model's classes stand in columns, everything else in a square.
std::int64_t columns_of(const Options& o, const Model& model, std::int64_t count) {
  const Signature of = model.is_exact() ? Signature() : model.network->signature();
  const auto listed = o.sampling.classes.empty()
                          ? std::max<std::int64_t>(of.classes - (of.null_class ? 1 : 0), 0)
                          : static_cast<std::int64_t>(words_of("--class", o.sampling.classes).size());
  const auto square = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  return std::clamp<std::int64_t>(o.columns ? *o.columns : listed > 1 ? listed : square, 1, count);
}

void write_pictures(const Options& o, const Model& model, const ValueRange& range, const Tensor& x_0) {
  for (const auto& file : o.common.outputs(".png"))
    write_png(file, tile(to_picture(x_0, range), static_cast<int>(columns_of(o, model, x_0.dim(0))), 2,
                         static_cast<int>(std::max<std::int64_t>(1, 84 / x_0.dim(2)))));
}

void print(const Options& o, const Model& model, const Run& run, const Samples& s, double seconds) {
  const nlohmann::ordered_json j{{"model", model.name},
                                 {"sampler", run.stepper().name},
                                 {"steps", run.grid().size() - 1},
                                 {"samples", run.count()},
                                 {"nfe", most_evaluations(s.evaluations)},
                                 {"finer_scales", o.finer.size()},
                                 {"seed", o.common.seed},
                                 {"dtype", o.common.dtype},
                                 {"device", o.common.device},
                                 {"ranks", ranks().count},
                                 {"seconds", seconds},
                                 {"isa", instruction_set()},
                                 {"out", o.common.out}};
  for (const auto& file : o.common.outputs(".json")) write_file(file, j.dump(2) + "\n");
  if (o.common.json) {
    std::cout << j.dump(2) << "\n";
    return;
  }
  std::cout << fmt::format("{} sample{} of {} by {} in {} steps ({} evaluations each{}), {:.1f} s\n", run.count(),
                           run.count() == 1 ? "" : "s", model.name, run.stepper().name, run.grid().size() - 1,
                           most_evaluations(s.evaluations), run.stepper().evaluations == 0 ? " at most" : "", seconds);
  for (const auto& file : o.common.out) std::cout << "wrote " << file << "\n";
  if (o.common.out.empty()) std::cout << "nothing was written; add --out samples.png or --out samples.h5\n";
}

void run_sample(const Options& o) {
  o.common.apply();
  o.batches.check(o.common);
  if (o.trajectory && o.common.outputs(".h5").empty())
    throw UsageError("--trajectory: the states are written to an .h5; add --out FILE.h5");
  if (o.columns && *o.columns < 1) throw UsageError(fmt::format("--columns {}: give a positive number", *o.columns));
  if (o.columns && o.common.outputs(".png").empty())
    throw UsageError(fmt::format("--columns {}: is of the picture; add --out FILE.png, or leave it out", *o.columns));
  const Model model = o.common.load_to_sample();
  const Run run(o.sampling, o.common, model);
  const Beyond beyond{latent_space(model), finer_scales(o, model)};
  for (const auto& file : o.common.outputs(".png"))
    if (!beyond.space) require_images(model, file);
  const std::int64_t asked = batch_of(run.stepper().batching, run.count(), o.batches.size);
  Batches batches(o.batches, o.common, o.sampling, run.count(),
                  beyond.finer ? batch_of(beyond.finer->stepper.batching, run.count(), asked) : asked, o.finer);
  const auto start = std::chrono::steady_clock::now();
  const Samples s = draw(o, model, run, beyond, batches);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (ranks().rank > 0) return;
  for (const auto& file : o.common.outputs(".h5")) write_h5(file, o, run, s);
  write_pictures(o, model, beyond.space ? beyond.space->range : model.range, s.x_0);
  print(o, model, run, s, seconds);
  batches.finish();
}

}  // namespace

Command sample_command() {
  return {.name = "sample",
          .summary = "draw samples: pictures to PNG, data to HDF5",
          .examples =
              "  costate sample fashion-unet -n 40 --guidance 1.5 --out garments.png\n"
              "  costate sample fashion-unet -n 4 --class 7,9 --sampler dpmpp-2m --steps 12 --out shoes.png --out "
              "shoes.h5\n"
              "  costate sample fashion-unet -n 1 --class 8 --sampler heun --steps 10 --trajectory --out path.h5",
          .declare =
              [](Arguments& a) {
                const auto o = std::make_shared<Options>();
                o->sampling.takes_memory = true;
                o->common.declare(a, {".h5", ".png", ".json"});
                o->sampling.declare(a, 16, 25);
                o->batches.declare(a);
                a.option("--columns", o->columns, "columns of the picture [one a class, or a square]");
                a.option(
                    "--finer", o->finer,
                    "a MODEL that denoises details and so doubles the samples' size; may be repeated, coarse to fine");
                a.option("--finer-steps", o->finer_steps, "steps of each of them [40]");
                a.option("--finer-sampler", o->finer_sampler, "and their sampler [ddim]", "NAME");
                a.flag("--trajectory", o->trajectory,
                       "write every state: x (steps + 1, n, ...), latents of a latent model");
                return [o] { run_sample(*o); };
              },
          .among_ranks = true};
}

}  // namespace costate
