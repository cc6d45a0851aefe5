// costate encode: from data to the noise that a sampler takes back to it, and how far off the way back is.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "io/atomic_file.h"
#include "io/png.h"
#include "tools/batches.h"
#include "tools/model/encoding.h"
#include "tools/ranks.h"
#include "tools/result.h"
#include "tools/sampling.h"

namespace costate {
namespace {

struct Options {
  Common common;
  SamplingOptions sampling;
  BatchOptions batches;
  std::string states;  ///< empty: posterior
};

/// What is found for some samples; undefined where there is none.
struct Encoded {
  Tensor x_0;  // what was encoded; of a latent model, latents
  Tensor x_T, noise, memory, z, classes;
  Tensor back;         // x_0 after the way back
  Tensor evaluations;  // (n), of encoding
};

struct Part {
  Column column;
  Tensor Encoded::*value;
};
const std::vector<Part> parts = {{{"x_0"}, &Encoded::x_0},
                                 {{"x_T"}, &Encoded::x_T},
                                 {{"noise", 1}, &Encoded::noise},
                                 {{"memory", 1}, &Encoded::memory},
                                 {{"z"}, &Encoded::z},
                                 {{"class"}, &Encoded::classes},
                                 {{"round_trip"}, &Encoded::back},
                                 {{"evaluations"}, &Encoded::evaluations}};

/// The pictures or data of --in, as the model has them.
class Source {
 public:
  Source(const Options& o, const ValueRange& range, Device device) : sampling_(o.sampling) {
    if (std::filesystem::path(sampling_.start).extension() != ".png") return;
    const Tensor picture = read_png(sampling_.start);
    picture_ = stacked({unit_range().convert(picture, range)}).to(device);
    sampling_.start.clear();
    sampling_.count = 1;
  }
  [[nodiscard]] const SamplingOptions& sampling() const { return sampling_; }
  [[nodiscard]] Tensor rows(const Run& run, std::int64_t first, std::int64_t count) const {
    return picture_.defined() ? picture_ : run.x_T(first, count);
  }

 private:
  SamplingOptions sampling_;
  Tensor picture_;
};

/// One batch there and back.
Encoded there_and_back(const Options& o, const Model& model, const Run& run, const Tensor& x_0, std::int64_t first,
                       const Progress& progress) {
  const std::int64_t rows = x_0.dim(0);
  Condition condition = run.condition(first, rows);
  if (!condition.z.defined()) condition.z = z_found_in(model, x_0);
  const Conditioned c = make_conditioned(model, condition, rows, run.grid());
  const Encoding found = encoding_of(run.course(), run.sampler(c, first, rows), x_0, c.p,
                                     way_from(o.states.empty() ? "posterior" : o.states), progress);
  return {.x_0 = x_0,
          .x_T = found.x_T,
          .noise = found.noise,
          .memory = found.memory,
          .z = condition.z_scheduled ? Tensor() : condition.z,
          .classes = condition.classes,
          .back = found.back,
          .evaluations = Tensor::full({rows}, static_cast<double>(found.evaluations), DType::i32)};
}

struct RoundTrip {
  double largest = 0, relative = 0, ulp = 0;
};

RoundTrip round_trip(const Tensor& x_0, const Tensor& back) {
  const auto u = x_0.to_vector(), v = back.to_vector();
  double off = 0, squares = 0, all = 0, top = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    off = std::max(off, std::abs(u[i] - v[i])), top = std::max(top, std::abs(u[i]));
    squares += (u[i] - v[i]) * (u[i] - v[i]), all += u[i] * u[i];
  }
  return {off, std::sqrt(squares / all), off / (0x1p-52 * top)};
}

void write_h5(const std::string& file, const Options& o, const Run& run, const Encoded& e, const RoundTrip& off) {
  Hdf5Writer out = result_file(file, o.common);
  for (const auto& [column, value] : parts)
    if ((e.*value).defined()) out.write(column.name, e.*value);
  write_grid(out, run.grid());
  out.attribute("", "sampler", run.stepper().name);
  out.attribute("", "nfe", most_evaluations(e.evaluations));
  out.attribute("", "largest_error", off.largest);
  out.finish();
}

/// Two rows: what was encoded, and what came back.
void write_picture(const std::string& file, const Model& model, const std::optional<LatentSpace>& space,
                   const Encoded& e) {
  const auto pixels = [&](const Tensor& x) {
    return to_picture(space ? space->decode(x.to(model.device)) : x, space ? space->range : model.range);
  };
  const Tensor both = concat({pixels(e.x_0), pixels(e.back)}, 0);
  write_png(file, tile(both, static_cast<int>(e.x_0.dim(0)), 2,
                       static_cast<int>(std::max<std::int64_t>(1, 84 / both.dim(2)))));
}

/// All samples of the source; on rank 0, elsewhere nothing.
Encoded encode_all(const Options& o, const Model& model, const Source& source, const Run& run,
                   const std::optional<LatentSpace>& space, Batches& batches) {
  std::vector<Column> columns;
  for (const Part& part : parts) columns.push_back(part.column);
  const Tensors found = batches.run(columns, "encoding", [&](std::int64_t first, std::int64_t rows, const Progress& p) {
    const Tensor x_0 = as_samples(model, space, source.rows(run, first, rows));
    const Encoded e = there_and_back(o, model, run, x_0, first, p);
    Tensors of_batch;
    for (const Part& part : parts) of_batch.push_back(e.*part.value);
    return of_batch;
  });
  Encoded all;
  for (std::size_t i = 0; i < found.size(); ++i) all.*parts[i].value = found[i];
  return all;
}

nlohmann::ordered_json report(const Options& o, const Model& model, const Run& run, const Encoded& e,
                              const RoundTrip& off) {
  return {{"model", model.name},
          {"sampler", run.stepper().name},
          {"steps", run.grid().size() - 1},
          {"samples", run.count()},
          {"device", o.common.device},
          {"nfe", most_evaluations(e.evaluations)},
          {"draws", e.noise.defined() ? e.noise.dim(0) : 0},
          {"round_trip", {{"largest", off.largest}, {"relative", off.relative}, {"ulp", off.ulp}}},
          {"out", o.common.out}};
}

void print(const Options& o, const Run& run, const Encoded& e, const RoundTrip& off) {
  std::cout << fmt::format(
      "{} encoded by {} in {} steps ({} evaluations each{})\nround trip off by {:.3g} at most, {:.3g} of "
      "its 2-norm, {:.3g} ulp of f64\n",
      run.count(), run.stepper().name, run.grid().size() - 1, most_evaluations(e.evaluations),
      run.stepper().evaluations == 0 ? " at most" : "", off.largest, off.relative, off.ulp);
  if (run.stepper().eta > 0 && !run.stepper().invert && run.grid().back().sigma == 0)
    std::cout
        << "the step to sigma = 0 draws no noise, so it gives x_0 back denoised; grids that end at t_min do not\n";
  for (const auto& file : o.common.out) std::cout << "wrote " << file << "\n";
}

void run_encode(const Options& o) {
  o.common.apply();
  if (o.sampling.start.empty()) throw UsageError("encode: give --in FILE.png or FILE.h5");
  o.batches.check(o.common);
  const Model model = o.common.load_to_sample();
  const auto space = latent_space(model);
  const Source source(o, space ? space->range : model.range, model.device);
  const Run run(source.sampling(), o.common, model);
  if (!o.states.empty()) {
    as_usage([&] { return way_from(o.states); });
    if (can_encode(run.stepper()))
      throw UsageError(fmt::format("--states {}: {} {}; leave it out, or take a sampler that draws noise", o.states,
                                   run.stepper().name,
                                   run.stepper().invert ? "goes back by its inverse" : "draws no noise"));
  }
  if (!space)
    for (const auto& file : o.common.outputs(".png")) require_images(model, file);
  Batches batches(o.batches, o.common, o.sampling, run.count(),
                  batch_of(run.stepper().batching, run.count(), o.batches.size));
  const Encoded all = encode_all(o, model, source, run, space, batches);
  if (ranks().rank > 0) return;
  const RoundTrip off = round_trip(all.x_0, all.back);
  for (const auto& file : o.common.outputs(".h5")) write_h5(file, o, run, all, off);
  for (const auto& file : o.common.outputs(".png")) write_picture(file, model, space, all);
  const auto j = report(o, model, run, all, off);
  for (const auto& file : o.common.outputs(".json")) write_file(file, j.dump(2) + "\n");
  if (o.common.json)
    std::cout << j.dump(2) << "\n";
  else
    print(o, run, all, off);
  batches.finish();
}

}  // namespace

Command encode_command() {
  return {
      .name = "encode",
      .summary = "find the noise that a sampler takes back to given data, and the error of the round trip",
      .examples =
          "  costate sample fashion-unet -n 4 --class 9 --out boots.h5 && costate encode fashion-unet --in boots.h5 "
          "--class 9 --sampler o-belm --steps 50 --out code.h5\n"
          "  costate sample fashion-unet --start code.h5 --sampler o-belm --steps 50 --out again.png\n"
          "  costate encode fashion-unet --in boots.h5 --class 9 --sampler ddpm --steps 50 --out code.h5 --out "
          "both.png",
      .declare =
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->sampling.encodes = true;
            o->common.declare(a, {".h5", ".png", ".json"});
            o->sampling.declare(a, 1, 50);
            a.option("--states", o->states,
                     "of samplers that draw noise, how the states between are made: posterior (CycleDiffusion) or "
                     "independent [posterior]",
                     "HOW");
            o->batches.declare(a);
            return [o] { run_encode(*o); };
          },
      .among_ranks = true};
}

}  // namespace costate
