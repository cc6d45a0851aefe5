// The tape: noting applied ops, and the walk backwards.
#include "autodiff/tape.h"

#include <algorithm>
#include <atomic>

#include "autodiff/ops/add.h"
#include "autodiff/watching.h"
#include "core/flops.h"

namespace costate {
namespace {

// The recordings that listen on this thread, outermost first.
std::vector<Recording*>& levels() {
  thread_local std::vector<Recording*> stack;
  return stack;
}

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> counter{1};
  return counter.fetch_add(1, std::memory_order_relaxed);
}

/// y = x: links an alias to its original in the recordings further out.
class AliasRule final : public Rule {
 public:
  [[nodiscard]] const char* name() const override { return "alias"; }
  [[nodiscard]] Wanted reads(const Wanted&) const override { return {false, false}; }
  [[nodiscard]] Tensors vjp(const Tensors&, const Tensors&, const Tensors& g, const Wanted&, Tensors&) const override {
    return g;
  }
  [[nodiscard]] Tensors jvp(const Tensors&, const Tensors&, const Tensors& v) const override { return v; }
};

void accumulate(std::unordered_map<std::uint64_t, Tensor>& sums, const Tensor& at, Tensor g) {
  auto [it, fresh] = sums.try_emplace(at.id(), std::move(g));
  if (!fresh) it->second = add(it->second, g);
}

}  // namespace

Rule::Again Rule::again(const Tensors&, const Wanted&) const { return {}; }

ActiveLevels::ActiveLevels(std::size_t count) {
  auto& all = levels();
  if (count >= all.size()) return;
  silenced_.assign(all.begin() + static_cast<std::ptrdiff_t>(count), all.end());
  all.resize(count);
}
ActiveLevels::~ActiveLevels() { levels().insert(levels().end(), silenced_.begin(), silenced_.end()); }

Recording::Recording(Mode mode) : mode_(mode), flops_before_(flop_counter().load()) { levels().push_back(this); }

void Recording::close() {
  if (!open_) return;
  open_ = false;
  auto& all = levels();
  all.erase(std::find(all.begin(), all.end(), this));
}

void Recording::watch(const Tensor& t, const Tensor& tangent) {
  watched_.insert(t.id());
  if (tangent.defined()) tangents_[t.id()] = tangent;
}

Tensor Recording::tangent(const Tensor& t) const {
  const auto it = tangents_.find(t.id());
  return it == tangents_.end() ? Tensor() : it->second;
}

void Recording::add(const std::shared_ptr<const Rule>& rule, const Tensors& in, const Tensors& out,
                    const Wanted& wanted) {
  if (mode_ == Mode::forward) {
    Tensors v;
    for (const auto& t : in) v.push_back(tangent(t));
    const Tensors result = rule->jvp(in, out, v);
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (result[i].defined()) watch(out[i], result[i]);
    }
    return;
  }
  if (mode_ == Mode::look) {
    Applied op{rule->name(), in, out, flop_counter().load() - flops_before_};
    flops_before_ += op.flops;
    for (auto& t : op.in) t = t.ghost();
    for (auto& t : op.out) {
      t = t.ghost();
      watched_.insert(t.id());
    }
    applied_.push_back(std::move(op));
    return;
  }
  const Wanted reads = rule->reads(wanted);
  const bool again = rule->evaluates_again();
  Record r{rule, in, out, wanted};
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!reads[i] || (!again && again_.count(in[i].id()) != 0)) r.in[i] = r.in[i].ghost();
  }
  for (auto& t : r.out) {
    watched_.insert(t.id());
    if (again) again_[t.id()] = records_.size();
    if (!reads.back()) t = t.ghost();
  }
  records_.push_back(std::move(r));
}

const Tensor& Recording::evaluated_again(std::uint64_t id, std::map<std::size_t, Rule::Again>& all) const {
  const std::size_t at = again_.at(id);
  const Record& r = records_[at];
  auto [it, first] = all.try_emplace(at);
  if (first) it->second = r.rule->again(r.in, r.wanted);
  const auto found = std::find_if(r.out.begin(), r.out.end(), [&](const Tensor& t) { return t.id() == id; });
  return it->second.out[static_cast<std::size_t>(found - r.out.begin())];
}

Tensors Recording::backward(const Tensors& outputs, const Tensors& g, const Tensors& inputs, bool consume) {
  std::unordered_map<std::uint64_t, Tensor> sums;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (g[i].defined() && watches(outputs[i])) accumulate(sums, outputs[i], g[i]);
  }
  std::unordered_set<std::uint64_t> keep;
  for (const auto& t : inputs) keep.insert(t.id());
  std::map<std::size_t, Rule::Again> again;  // by record
  for (std::size_t k = records_.size(); k-- > 0;) {
    Record now = consume ? std::exchange(records_[k], {}) : records_[k];
    Tensors arrived(now.out.size());
    bool any = false;
    for (std::size_t i = 0; i < now.out.size(); ++i) {
      const auto it = sums.find(now.out[i].id());
      if (it == sums.end()) continue;
      any = true;
      arrived[i] = it->second;
      if (keep.count(it->first) == 0) sums.erase(it);
    }
    if (!any) continue;
    Tensors so_far(now.in.size());
    for (std::size_t i = 0; i < now.in.size(); ++i) {
      if (!now.wanted[i]) continue;
      if (auto held = sums.extract(now.in[i].id())) so_far[i] = std::move(held.mapped());  // of twins the first gets it
    }
    Tensors back;
    if (const auto it = again.find(k); it != again.end()) {
      const auto pull = std::move(it->second.pull);
      again.erase(it);
      back = pull(arrived, so_far);
    } else {
      const Wanted reads = now.rule->reads(now.wanted);
      Tensors in = now.in;
      for (std::size_t i = 0; i < in.size(); ++i) {
        if (reads[i] && in[i].is_ghost() && again_.count(in[i].id()) != 0) in[i] = evaluated_again(in[i].id(), again);
      }
      back = now.rule->vjp(in, now.out, arrived, now.wanted, so_far);
    }
    for (Tensors* read : {&arrived, &now.out}) read->clear();  // before sums are made
    for (Tensor& t : now.in) t = t.ghost();
    for (std::size_t i = 0; i < back.size(); ++i) {
      for (Tensor* g : {&so_far[i], &back[i]})
        if (now.wanted[i] && g->defined()) accumulate(sums, now.in[i], std::move(*g));
    }
  }
  Tensors result;
  for (const auto& t : inputs) {
    const auto it = sums.find(t.id());
    result.push_back(it != sums.end() ? it->second : Tensor());
  }
  return result;
}

bool watched(const Tensors& values) {
  for (const Recording* level : levels()) {
    for (const auto& t : values) {
      if (t.defined() && level->watches(t)) return true;
    }
  }
  return false;
}

bool walks_back(const Tensors& values) {
  const auto walks = [&](const Recording* level) {
    return level->mode_ == Recording::Mode::reverse &&
           std::any_of(values.begin(), values.end(), [&](const Tensor& t) { return level->watches(t); });
  };
  return std::any_of(levels().begin(), levels().end(), walks);
}

bool carries_tangent(const Tensors& values) {
  const auto carried = [&](const Recording* level) {
    return std::any_of(values.begin(), values.end(),
                       [&](const Tensor& t) { return t.defined() && level->tangent(t).defined(); });
  };
  return std::any_of(levels().begin(), levels().end(), carried);
}

Tensors note(const std::shared_ptr<const Rule>& rule, const Tensors& in, Tensors out) {
  std::size_t innermost_barrier = 0;
  for (std::size_t i = 0; i < levels().size(); ++i) {
    if (levels()[i]->mode_ == Recording::Mode::barrier) innermost_barrier = i;
  }
  bool named = false;
  for (std::size_t i = 0; i < levels().size(); ++i) {
    Recording& level = *levels()[i];
    Wanted wanted;
    for (const auto& t : in) wanted.push_back(level.watches(t));
    if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) continue;
    require(i >= innermost_barrier,
            "{}: a value watched by an outer derivative was captured inside checkpoint or custom_derivative, where its "
            "gradient "
            "would be lost; pass it as an argument",
            rule->name());
    if (!named) {
      for (auto& t : out) t = t.with_id(next_id());
      named = true;
    }
    const ActiveLevels outer(i);
    level.add(rule, in, out, wanted);
  }
  return out;
}

Tensor alias(const Tensor& t) {
  static const auto rule = std::make_shared<const AliasRule>();
  const Tensor copy = note(rule, {t}, {t})[0];
  return copy.id() != t.id() && copy.id() != 0 ? copy : t.with_id(next_id());
}

}  // namespace costate
