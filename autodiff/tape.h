// The tape: a list of applied ops, walked by loops. Users of the library need autodiff/transform.h only.
//
// Recordings nest: the innermost transform is the last on this thread's stack. An op that was applied is noted by every active
// recording that watches one of its inputs; a derivative taken inside another transform is therefore seen by the outer one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/tensor.h"

namespace costate {

using Wanted = std::vector<bool>;  ///< one flag an input: is its derivative asked for?

/// How one applied op differentiates. Made by apply_op() from the op's family.
class Rule {
 public:
  Rule() = default;
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;
  virtual ~Rule() = default;
  [[nodiscard]] virtual const char* name() const = 0;
  /// Which values vjp will read: one flag an input, then one for all outputs. The tape keeps only these.
  [[nodiscard]] virtual Wanted reads(const Wanted& wanted) const = 0;
  /// Cotangents of the wanted inputs (others undefined) from those of the outputs (undefined = zero). Written with ops.
  /// `so_far`: what has arrived before for each of them (undefined: nothing). A rule that can add it to its own takes it out of
  /// there, and returns the sum; what is left there the tape adds.
  [[nodiscard]] virtual Tensors vjp(const Tensors& in, const Tensors& out, const Tensors& g, const Wanted& wanted,
                                    Tensors& so_far) const = 0;
  /// Tangents of the outputs from those of the inputs (undefined = zero). Written with ops.
  [[nodiscard]] virtual Tensors jvp(const Tensors& in, const Tensors& out, const Tensors& v) const = 0;

  /// What an evaluation on the way back gives, and vjp of it.
  struct Again {
    Tensors out;
    std::function<Tensors(const Tensors& g, Tensors& so_far)> pull;
  };
  /// Whether the outputs are not kept for the rules that read them, but evaluated again: once, by the first of them on the way back.
  [[nodiscard]] virtual bool evaluates_again() const { return false; }
  [[nodiscard]] virtual Again again(const Tensors& in, const Wanted& wanted) const;
};

/// An op that was applied, without its data: a tensor's id says which op made it.
struct Applied {
  std::string name;
  Tensors in, out;
  std::int64_t flops = 0;  ///< multiplications and additions of its convolutions and products
};

/// One level of differentiation, alive from construction to close() or destruction (RAII; strictly nested).
class Recording {
 public:
  enum class Mode {
    reverse,  ///< keeps a record per op, for backward()
    forward,  ///< carries tangents along
    barrier,  ///< keeps nothing; a value watched further out that is used inside is an error
    look,     ///< keeps which ops were applied, for autodiff/trace.h
  };
  explicit Recording(Mode mode);
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() { close(); }
  void close();  ///< leaves the stack; what was recorded stays readable

  void watch(const Tensor& t, const Tensor& tangent = {});
  [[nodiscard]] bool watches(const Tensor& t) const { return t.id() != 0 && watched_.count(t.id()) != 0; }

  /// Reverse mode, after close(): cotangents of `inputs` (undefined where nothing arrives) for cotangents g of `outputs`.
  /// `consume` frees each record once it is used.
  [[nodiscard]] Tensors backward(const Tensors& outputs, const Tensors& g, const Tensors& inputs, bool consume);
  /// Forward mode: the tangent of t, undefined if it is zero.
  [[nodiscard]] Tensor tangent(const Tensor& t) const;
  [[nodiscard]] std::size_t size() const { return records_.size(); }
  /// Mode look: what was applied to values that are watched, in order.
  [[nodiscard]] const std::vector<Applied>& applied() const { return applied_; }

 private:
  friend Tensors note(const std::shared_ptr<const Rule>&, const Tensors&, Tensors);
  friend bool walks_back(const Tensors&);
  void add(const std::shared_ptr<const Rule>& rule, const Tensors& in, const Tensors& out, const Wanted& wanted);

  /// The output of this identity of a rule that evaluates again; evaluations so far are in `all`, by record.
  const Tensor& evaluated_again(std::uint64_t id, std::map<std::size_t, Rule::Again>& all) const;

  struct Record {
    std::shared_ptr<const Rule> rule;
    Tensors in, out;
    Wanted wanted;
  };
  Mode mode_;
  bool open_ = true;
  std::vector<Record> records_;
  std::unordered_map<std::uint64_t, std::size_t> again_;  // outputs that are evaluated again, by which record
  std::vector<Applied> applied_;
  std::int64_t flops_before_;
  std::unordered_set<std::uint64_t> watched_;
  std::unordered_map<std::uint64_t, Tensor> tangents_;
};

/// Tells every active recording that `out` came from `in` by `rule`; returns `out`, with an identity if anybody watches.
Tensors note(const std::shared_ptr<const Rule>& rule, const Tensors& in, Tensors out);

/// True if an active recording watches one of these.
bool watched(const Tensors& values);
/// True if one that will walk back does.
bool walks_back(const Tensors& values);

/// While alive, only the first `levels` recordings of this thread are active (0: nothing is recorded).
class ActiveLevels {
 public:
  explicit ActiveLevels(std::size_t levels);
  ActiveLevels(const ActiveLevels&) = delete;
  ActiveLevels& operator=(const ActiveLevels&) = delete;
  ~ActiveLevels();

 private:
  std::vector<Recording*> silenced_;
};

/// The same value under a new identity that every recording which watches t knows to be t.
Tensor alias(const Tensor& t);

}  // namespace costate
