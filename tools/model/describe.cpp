// Counting on shapes, and asking the network's signature.
#include "tools/model/describe.h"

#include "core/flops.h"
#include "core/kernel.h"
#include "tools/model/inputs.h"
#include "tools/model/pipeline.h"

namespace costate {
namespace {

struct Facts {
  std::int64_t parameters = 0, tensors = 0, buffers = 0;
};

Facts facts_of(const Model& m) {
  Facts f;
  if (m.is_exact()) return f;
  for (const auto& p : m.network->parameters()) {
    ++f.tensors;
    (p.buffer ? f.buffers : f.parameters) += p.value.size();
  }
  return f;
}

/// Floating-point operations of one evaluation of one sample of the usual size, counted on shapes.
std::int64_t flops_of(const Model& m) {
  const DryRun shapes_only;
  const Inputs in = noise_inputs(m, 0, 1);
  const std::int64_t before = flop_counter().load();
  static_cast<void>((*m.network)(in));
  return flop_counter().load() - before;
}

std::vector<std::int64_t> list_of(const Shape& s) { return {s.begin(), s.end()}; }

}  // namespace

nlohmann::ordered_json describe(const Model& m) {
  const Facts f = facts_of(m);
  const Signature s = m.is_exact() ? Signature{.input = m.sample_shape(),
                                               .out_channels = m.exact.dimension,
                                               .z = {},
                                               .summary = "closed-form denoiser"}
                                   : m.network->signature();
  nlohmann::ordered_json j{{"model", m.name}, {"family", m.family}, {"recognised", m.reason}, {"structure", s.summary}};
  if (!m.file.empty()) j["file"] = m.file.string();  // an exact problem is its .json
  j["format"] = m.format;
  if (!m.note.empty()) j["note"] = m.note;
  if (const auto pipeline = pipeline_of(m); pipeline && !pipeline->name.empty()) {
    j["pipeline"] = pipeline->name;
    if (!pipeline->left_out.empty()) j["not_run"] = pipeline->left_out;
  }
  j["parameters"] = f.parameters;
  j["tensors"] = f.tensors;
  if (f.buffers > 0) j["buffers"] = f.buffers;
  const auto parts = m.is_exact() ? std::vector<std::string>() : m.network->parts();
  for (const auto& name : parts) {
    Model part = m;
    part.network = m.network->part(name);
    const Signature of_part = part.network->signature();
    j[name] = {{"flops", flops_of(part)}, {"input", list_of(of_part.input)}, {"output_channels", of_part.out_channels}};
  }
  if (s.whole) {
    if (!m.is_exact()) j["flops"] = flops_of(m);
    j["input"] = list_of(s.input);
    j["output_channels"] = s.out_channels;
  }
  j["takes_time"] = s.takes_time;
  if (s.classes > 0) j["classes"] = s.classes;
  if (s.z.rank() > 0) j["z"] = list_of(s.z);
  for (const auto& each : s.extra)
    j["further_inputs"][each.name + (each.required ? "" : " (optional)")] = list_of(each.shape);
  j["prediction"] = name_of(m.prediction);
  j["schedule"] = nlohmann::ordered_json::parse(m.schedule->config().dump());
  j["grid"] = m.grid;
  j["levels"] = {{"s_max", m.schedule->level(m.schedule->t_max).s()},
                 {"s_min", m.schedule->level(m.schedule->t_min).s()}};
  return j;
}

}  // namespace costate
