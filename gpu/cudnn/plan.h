// From a graph of operations to a plan that runs it: which of cuDNN's engines may, and running one.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"
#include "gpu/cudnn/library.h"

namespace costate::cuda::cudnn {

/// What plans are made for: this process's device, or one that is only described and on which nothing can be run.
class Target {
 public:
  Target() : handle_(context()) {}
  /// `json`: its properties, as cuDNN writes them.
  explicit Target(const std::string& json);

  [[nodiscard]] Handle handle() const { return handle_; }  ///< none of a device that is only described
  void describe(Descriptor& d, Attribute device) const;    ///< nothing to do for one that is there

 private:
  Handle handle_{};
  std::vector<Descriptor> device_;  ///< one, or none
};

/// Operations on tensors, and all that they are put together from. The last part is the graph itself.
struct Graph {
  std::deque<Descriptor> parts;
  std::vector<std::int64_t> ids;  ///< of the tensors that a run has addresses for, in its order

  Descriptor& add(Kind kind) { return parts.emplace_back(kind); }
  /// Puts the operation into a graph. Throws where cuDNN does not understand it.
  void close(const Target& target, const Descriptor& operation);
};

/// A tensor of a graph, the next among the addresses of a run; or a number on the host, read when a run is queued.
Descriptor& tensor(Graph& g, DataType type, const std::vector<std::int64_t>& extents,
                   const std::vector<std::int64_t>& strides, bool number = false);
DataType type_of(DType dtype);

/// One of cuDNN's ways to run a graph, as it can be named to a graph of other extents.
struct Engine {
  std::int64_t index = 0;
  std::vector<std::pair<Knob, std::int64_t>> knobs;
};

/// In cuDNN's order of merit: those that give the same bits each time, and round nothing that `dtype` would keep: f32 takes no
/// tensor cores unless `tf32`.
std::vector<Engine> engines_of(const Target& target, const Graph& g, DType dtype, bool tf32);

class Plan {
 public:
  /// None where the engine cannot run this graph.
  static std::unique_ptr<Plan> make(const Target& target, Graph graph, const Engine& engine);

  /// Queues it. Addresses in the order in which the graph's tensors were made; of one that is a number, the number's.
  void run(const char* op, const std::vector<const void*>& addresses) const;
  [[nodiscard]] std::int64_t workspace() const { return workspace_; }

 private:
  explicit Plan(Graph graph) : graph_(std::move(graph)) {}

  Graph graph_;
  std::vector<Descriptor> made_;  ///< engine, knobs, configuration, plan
  std::int64_t workspace_ = 0;
};

}  // namespace costate::cuda::cudnn
