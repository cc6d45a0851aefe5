// Engines and plans.
#include "gpu/cudnn/plan.h"

#include <algorithm>
#include <mutex>

#include "core/memory.h"
#include "gpu/runtime.h"

namespace costate::cuda::cudnn {
namespace {

/// What its engine notes say of it: whether its results depend on more than its inputs, or are coarser than they have to be.
bool welcome(const std::vector<Note>& notes, DType dtype, bool tf32) {
  const auto has = [&](Note n) { return std::find(notes.begin(), notes.end(), n) != notes.end(); };
  if (has(Note::not_deterministic) || has(Note::fourier) || has(Note::rounds_sums)) return false;
  if (has(Note::winograd_6x6) || has(Note::winograd_13x13)) return false;
  const bool coarse = has(Note::tensor_cores) || has(Note::rounds_inputs);
  return dtype != DType::f32 || tf32 || !coarse;
}

/// The descriptors that `d` holds as attribute `a`. They are made by the caller and filled by cuDNN.
std::vector<Descriptor> held(const Descriptor& d, Attribute a, Kind kind, std::int64_t most) {
  std::vector<Descriptor> all;
  std::vector<Raw> raw;
  for (std::int64_t i = 0; i < most; ++i) raw.push_back(all.emplace_back(kind).raw());
  std::int64_t count = 0;
  check(library().get(d.raw(), a, Element::descriptor, most, &count, raw.data()), "parts of a descriptor");
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(std::min(count, most)), all.end());
  return all;
}

std::int64_t count_of(const Descriptor& d, Attribute a) {
  std::int64_t count = 0;
  check(library().get(d.raw(), a, Element::descriptor, 0, &count, nullptr), "parts of a descriptor");
  return count;
}

Engine engine_of(const Descriptor& engine, const Descriptor& configuration) {
  Engine found{engine.get<std::int64_t>(Attribute::engine_index)[0], {}};
  constexpr std::int64_t most_knobs = 64;
  for (const auto& knob : held(configuration, Attribute::configuration_knobs, Kind::knob_choice, most_knobs))
    found.knobs.emplace_back(knob.get<Knob>(Attribute::knob_type)[0], knob.get<std::int64_t>(Attribute::knob_value)[0]);
  return found;
}

}  // namespace

Target::Target(const std::string& json) {
  Descriptor device(Kind::device);
  device.set(Attribute::device_json, json.data(), json.size());
  device.finalize("a description of a device");
  device_.push_back(std::move(device));
}

void Target::describe(Descriptor& d, Attribute device) const {
  for (const auto& described : device_) d.set(device, described);
}

void Graph::close(const Target& target, const Descriptor& operation) {
  Descriptor& graph = add(Kind::graph).set(Attribute::graph_operations, operation);
  if (target.handle() != nullptr) graph.set(Attribute::graph_handle, target.handle());
  graph.finalize("a graph");
}

Descriptor& tensor(Graph& g, DataType type, const std::vector<std::int64_t>& extents,
                   const std::vector<std::int64_t>& strides, bool number) {
  const auto id = static_cast<std::int64_t>(g.ids.size()) + 1;
  g.ids.push_back(id);
  constexpr std::int64_t alignment = 16;
  Descriptor& made = g.add(Kind::tensor).set(Attribute::tensor_type, type).set(Attribute::tensor_extents, extents);
  made.set(Attribute::tensor_strides, strides).set(Attribute::tensor_id, id);
  made.set(Attribute::tensor_alignment, alignment);
  if (number) made.set(Attribute::tensor_by_value, true);
  return made.finalize("a tensor");
}

DataType type_of(DType dtype) {
  return dtype == DType::f64 ? DataType::f64 : dtype == DType::bf16 ? DataType::bf16 : DataType::f32;
}

std::vector<Engine> engines_of(const Target& target, const Graph& g, DType dtype, bool tf32) {
  std::vector<Engine> found;
  for (const HeuristicsMode mode : {HeuristicsMode::best, HeuristicsMode::fallback}) {
    Descriptor asked(Kind::heuristics);
    asked.set(Attribute::heuristics_graph, g.parts.back()).set(Attribute::heuristics_mode, mode);
    target.describe(asked, Attribute::heuristics_device);
    if (!asked.try_finalize()) continue;
    const std::int64_t count = count_of(asked, Attribute::heuristics_results);
    for (const auto& configuration : held(asked, Attribute::heuristics_results, Kind::engine_configuration, count)) {
      const auto engines = held(configuration, Attribute::configuration_engine, Kind::engine, 1);
      if (engines.empty() || !welcome(engines[0].get<Note>(Attribute::engine_notes, note_count), dtype, tf32)) continue;
      found.push_back(engine_of(engines[0], configuration));
    }
  }
  return found;
}

std::unique_ptr<Plan> Plan::make(const Target& target, Graph graph, const Engine& named) {
  std::unique_ptr<Plan> made(new Plan(std::move(graph)));
  auto& parts = made->made_;
  parts.reserve(named.knobs.size() + 3);
  Descriptor& engine = parts.emplace_back(Kind::engine);
  engine.set(Attribute::engine_graph, made->graph_.parts.back()).set(Attribute::engine_index, named.index);
  target.describe(engine, Attribute::engine_device);
  if (!engine.try_finalize()) return nullptr;
  std::vector<Raw> knobs;
  for (const auto& [type, value] : named.knobs) {
    Descriptor& knob = parts.emplace_back(Kind::knob_choice);
    knob.set(Attribute::knob_type, type).set(Attribute::knob_value, value);
    if (!knob.try_finalize()) return nullptr;
    knobs.push_back(knob.raw());
  }
  Descriptor& configuration = parts.emplace_back(Kind::engine_configuration);
  configuration.set(Attribute::configuration_engine, engine);
  if (!knobs.empty()) configuration.set(Attribute::configuration_knobs, knobs);
  if (!configuration.try_finalize()) return nullptr;
  Descriptor& plan = parts.emplace_back(Kind::plan);
  plan.set(Attribute::plan_configuration, configuration);
  if (target.handle() != nullptr) plan.set(Attribute::plan_handle, target.handle());
  target.describe(plan, Attribute::plan_device);
  if (!plan.try_finalize()) return nullptr;
  made->workspace_ = plan.get<std::int64_t>(Attribute::plan_workspace)[0];
  return made;
}

void Plan::run(const char* op, const std::vector<const void*>& addresses) const {
  const Block room(static_cast<std::size_t>(workspace_), Device::cuda);
  if (watcher() != nullptr && !watcher()->launches(this, dim3(), dim3())) return;
  Descriptor pack(Kind::variant_pack);
  pack.set(Attribute::pack_ids, graph_.ids).set(Attribute::pack_pointers, addresses);
  pack.set(Attribute::pack_workspace, room.data());
  pack.finalize("addresses");
  static std::mutex one;  // a context is one thread's at a time
  const std::lock_guard lock(one);
  check(library().set_stream(context(), stream()), op);
  check(library().execute(context(), made_.back().raw(), pack.raw()), op);
}

}  // namespace costate::cuda::cudnn
