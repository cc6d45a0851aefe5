// Rounds of one batch a rank; rank 0 puts together what they give.
#include "tools/batches.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <sstream>

#include "autodiff/ops/concat.h"
#include "tools/model/files.h"
#include "tools/model/grid.h"
#include "tools/ranks.h"
#include "tools/result.h"

namespace costate {

using clock = std::chrono::steady_clock;

/// A command without the options that no sample depends on.
static std::string what_counts(const std::string& command) { return without_options(command, "threads|batch"); }

void BatchOptions::declare(Arguments& a) {
  a.option("--batch", size, "samples computed at once; the bits do not depend on it [16]");
  a.flag("--resume", resume,
         "keep finished samples beside the .h5, as FILE.h5.part, and go on from there if the same command was stopped; "
         "--batch and --threads may be others");
}

void BatchOptions::check(const Common& common) const {
  if (size < 1) throw UsageError(fmt::format("--batch {}: give at least one", size));
  if (resume && common.outputs(".h5").empty())
    throw UsageError("--resume: finished samples are kept beside an .h5; add --out FILE.h5");
}

std::int64_t batch_of(Batching batching, std::int64_t samples, std::int64_t asked) {
  if (batching == Batching::one_by_one) return 1;
  const std::int64_t share = (samples + ranks().count - 1) / ranks().count;
  return batching == Batching::all_at_once ? samples : std::min(asked, share);
}

std::int64_t most_evaluations(const Tensor& of_each) {
  const auto all = of_each.to_vector();
  return static_cast<std::int64_t>(*std::max_element(all.begin(), all.end()));
}

/// What samples are made of: the state of each file that is read, one a line, "0123456789abcdef FILE".
static std::string sources_of(const Common& common, const SamplingOptions& sampling,
                              const std::vector<std::string>& more) {
  std::string lines;
  const auto add = [&](const std::string& name, bool is_model) {
    if (!name.empty()) lines += fmt::format("{:016x} {}\n", state_of_files(name, is_model), name);
  };
  add(common.model, true);
  add(sampling.classifier, true);
  for (const auto& model : more) add(model, true);
  for (const auto& file : {common.config, common.scheduler, sampling.start}) add(file, false);
  if (is_grid_file(sampling.grid)) add(sampling.grid, false);
  return lines;
}

/// The first file of `now` that is another than it was `before`; empty if none is.
static std::string changed(const std::string& before, const std::string& now) {
  std::istringstream old(before), present(now);
  std::string a, b;
  while (std::getline(present, b))
    if (!std::getline(old, a) || a != b) return b.substr(b.find(' ') + 1);
  return {};
}

Batches::Batches(const BatchOptions& options, const Common& common, const SamplingOptions& sampling,
                 std::int64_t samples, std::int64_t batch, const std::vector<std::string>& more)
    : common_(common),
      samples_(samples),
      batch_(batch),
      kept_(options.resume ? common.outputs(".h5").front() + ".part" : ""),
      sources_(options.resume ? sources_of(common, sampling, more) : "") {}

Tensors Batches::run(const std::vector<Column>& columns, const std::string& doing, const Batch& compute) {
  const std::int64_t done = of_first_rank(resume(columns)), round = batch_ * ranks().count,
                     rounds = (samples_ - done + round - 1) / round;
  const Progress progress = common_.progress(doing);
  auto kept_at = clock::time_point();
  clock::duration to_keep{};
  for (std::int64_t i = 0; i < rounds; ++i) {
    const std::int64_t first = done + i * round + ranks().rank * batch_,
                       rows = std::clamp<std::int64_t>(samples_ - first, 0, batch_);
    const auto all = [&](std::int64_t at, std::int64_t each) { report(progress, i * each + at, rounds * each); };
    for (auto& part : gather(rows > 0 ? compute(first, rows, all) : Tensors()))
      if (!part.empty()) parts_.push_back(std::move(part));
    // A tenth of the time at most goes into it.
    if (kept_.empty() || ranks().rank > 0 || clock::now() - kept_at < 10 * to_keep) continue;
    const auto start = clock::now();
    keep(columns);
    kept_at = clock::now();
    to_keep = kept_at - start;
  }
  return ranks().rank == 0 ? joined(columns) : Tensors();
}

Tensors Batches::joined(const std::vector<Column>& columns) const {
  Tensors all;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    Tensors of_parts;
    for (const Tensors& part : parts_)
      if (part[c].defined()) of_parts.push_back(part[c].to(Device::cpu));
    all.push_back(of_parts.empty() ? Tensor() : concat(of_parts, columns[c].axis));
  }
  return all;
}

void Batches::keep(const std::vector<Column>& columns) const {
  Hdf5Writer out = result_file(kept_, common_);
  out.attribute("", "sources", sources_);
  const Tensors all = joined(columns);
  for (std::size_t c = 0; c < columns.size(); ++c)
    if (all[c].defined()) out.write(columns[c].name, all[c]);
  out.finish();
}

/// Takes what an interrupted run has kept: how many samples that are.
std::int64_t Batches::resume(const std::vector<Column>& columns) {
  if (kept_.empty() || ranks().rank > 0 || !std::filesystem::exists(kept_)) return 0;
  std::optional<std::string> command, sources;
  Tensors& part = parts_.emplace_back();
  try {
    const Hdf5Reader file(kept_);
    command = file.text("", "command");
    sources = file.text("", "sources");
    for (const Column& c : columns) part.push_back(file.contains(c.name) ? file.read(c.name) : Tensor());
  } catch (const Error& e) {
    fail("{}\n--resume cannot go on from it: remove {}", e.what(), kept_);
  }
  require(command && what_counts(*command) == what_counts(command_line()),
          "{}: was kept by another command: {}\nrun that one, or remove the file", kept_,
          command.value_or("(it says none)"));
  const std::string other = changed(sources.value_or(""), sources_);
  require(other.empty(),
          "{0}: {1} has changed since it was kept; bring the former one back, or remove {0} to begin anew", kept_,
          other);
  const std::int64_t done = part[0].defined() ? part[0].dim(columns[0].axis) : -1;
  require(done > 0 && done <= samples_, "{}: holds no finished samples of this run; remove it", kept_);
  return done;
}

void Batches::finish() const {
  if (!kept_.empty() && ranks().rank == 0) std::filesystem::remove(kept_);
}

}  // namespace costate
