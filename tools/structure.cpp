// From the trace of an evaluation to blocks: keys say what belongs together, shapes where it works.
#include "tools/structure.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "core/kernel.h"
#include "tools/model/inputs.h"

namespace costate {
namespace {

/// The modules that keys spell: "down_blocks.0.resnets.1.conv1.weight".
struct Module {
  std::map<std::string, Module> children;
  std::int64_t tensors = 0;  ///< in all below
  bool tensor = false;       ///< is it one itself?

  void add(const std::string& key) {
    Module* at = this;
    ++at->tensors;
    for (std::size_t from = 0; from <= key.size();) {
      const std::size_t dot = std::min(key.find('.', from), key.size());
      at = &at->children[key.substr(from, dot - from)];
      ++at->tensors;
      from = dot + 1;
    }
    at->tensor = true;
  }
  [[nodiscard]] bool is_layer() const {
    return std::any_of(children.begin(), children.end(), [](const auto& c) { return c.second.tensor; });
  }
  /// Numbered modules, and names that begin with a number ("64x64_block0").
  [[nodiscard]] bool is_list() const {
    return !children.empty() && !is_layer() && std::all_of(children.begin(), children.end(), [](const auto& c) {
      return std::isdigit(static_cast<unsigned char>(c.first[0])) != 0;
    });
  }
  /// Holds lists of blocks and no layer of its own.
  [[nodiscard]] bool is_container() const {
    bool lists_blocks = false;
    for (const auto& [name, child] : children) {
      if (child.tensor || child.is_layer()) return false;
      lists_blocks |= child.is_list() && std::any_of(child.children.begin(), child.children.end(),
                                                     [](const auto& c) { return !c.second.is_layer(); });
    }
    return lists_blocks;
  }
};

/// The part of a key that names its block: as far as modules are lists, containers, or most of the network.
std::string block_of(const std::string& key, const Module& root) {
  const Module* at = &root;
  for (std::size_t from = 0; from <= key.size();) {
    const std::size_t dot = std::min(key.find('.', from), key.size());
    at = &at->children.at(key.substr(from, dot - from));
    const bool most = 5 * at->tensors > 3 * root.tensors && !at->is_layer();
    if (!most && !at->is_list() && !at->is_container()) return key.substr(0, dot);
    from = dot + 1;
  }
  return key;
}

/// "a.12.b.3" as "a.#.b.#"
std::string pattern(const std::string& name) {
  std::string p;
  for (const char c : name)
    if (std::isdigit(static_cast<unsigned char>(c)) == 0)
      p += c;
    else if (p.empty() || p.back() != '#')
      p += '#';
  return p;
}

Shape one_sample(const Shape& s) { return s.rank() == 0 ? s : Shape(s.begin() + 1, s.end()); }

std::int64_t positions_of(const Shape& one) {
  return one.rank() < 2 ? 0 : one.size() / std::max<std::int64_t>(one[-1], 1);
}

/// Walks the ops once and gathers blocks.
class Gatherer {
 public:
  explicit Gatherer(const NetworkTrace& t) : t_(t) {
    for (std::size_t i = t.inputs; i < t.keys.size(); ++i) weights_[t.trace.in[i].id()] = t.keys[i];
    for (const auto& op : t.trace.ops)
      for (const auto& in : op.in)
        if (const auto w = weights_.find(in.id()); w != weights_.end()) used_.insert(w->second);
    for (const auto& key : used_) modules_.add(key);
    places_ = std::any_of(t.trace.ops.begin(), t.trace.ops.end(), [&](const Applied& op) {
      const bool has_weights =
          std::any_of(op.in.begin(), op.in.end(), [&](const Tensor& in) { return weights_.count(in.id()) != 0; });
      return has_weights && positions_of(one_sample(op.out[0].shape())) > 1;
    });
  }

  Structure run() {
    for (const auto& op : t_.trace.ops) visit(op);
    for (const auto& early : early_)  // of which nothing has places
      if (index_.try_emplace(early.name, blocks_.size()).second) blocks_.push_back(early);
    count_parameters();
    make_stages();
    return std::move(s_);
  }

 private:
  void visit(const Applied& op) {
    std::string key;
    bool only_layout = op.name == "reshape" || op.name == "permute" || op.name == "cast";
    for (const auto& in : op.in)
      if (const auto w = weights_.find(in.id()); w != weights_.end()) key = w->second;
    if (!key.empty() && only_layout) {  // still the parameter
      weights_[op.out[0].id()] = key;
      return;
    }
    if (!key.empty() && !enter(block_of(key, modules_), op)) return;
    if (blocks_.empty()) return;
    NetworkBlock& block = blocks_[current_];
    block.flops += op.flops;
    if (op.name == "attention" || op.name == "softmax") block.kind = BlockKind::attention;
    if (op.name == "conv2d" && block.kind != BlockKind::attention) block.kind = BlockKind::convolution;
    const Shape out = one_sample(op.out[0].shape());
    // a layer that works on rows of a matrix is followed by a reshape to what they are rows of
    const bool named = !key.empty() && (positions_of(out) > 1 || positions_of(block.out) <= 1);
    if (named || (op.name == "reshape" && op.in[0].id() == shaped_ && out.rank() <= 3)) block.out = out;
    shaped_ = named && op.name == "matmul" ? op.out[0].id() : 0;
    remember_sources(op, !key.empty());
  }

  /// False for vectors of a block that is yet to come, such as rows of the time that are made for all blocks at once.
  bool enter(const std::string& name, const Applied& op) {
    if (places_ && index_.count(name) == 0 && positions_of(one_sample(op.out[0].shape())) == 0) {
      NetworkBlock& early = early_of(name);
      early.flops += op.flops;
      early.out = one_sample(op.out[0].shape());
      return false;
    }
    const auto [it, fresh] = index_.try_emplace(name, blocks_.size());
    if (fresh) blocks_.push_back(early_of(name));
    current_ = it->second;
    for (const auto& in : op.in)
      for (const std::size_t from : sources_[in.id()]) carried_.insert({from, current_, in.id()});
    return true;
  }
  NetworkBlock& early_of(const std::string& name) {
    const auto at = std::find_if(early_.begin(), early_.end(), [&](const NetworkBlock& b) { return b.name == name; });
    return at != early_.end() ? *at
                              : early_.emplace_back(NetworkBlock{.name = name, .kind = BlockKind::linear, .out = {}});
  }

  /// Which blocks a value comes from: the one that computes it; of a concatenation, those of all its pieces.
  void remember_sources(const Applied& op, bool has_weights) {
    std::set<std::size_t> from;
    if (has_weights) from = {current_};
    for (const auto& in : op.in) {
      if (has_weights) break;
      const auto& of = sources_[in.id()];
      if (op.name == "concat") {
        from.insert(of.begin(), of.end());
        for (const std::size_t each : of) pieces_.insert({op.out[0].id(), each});
      } else if (from.empty() || (!of.empty() && *of.rbegin() > *from.rbegin())) {
        from = of;
      }
    }
    sources_[op.out[0].id()] = from;
  }

  void count_parameters() {
    for (std::size_t i = t_.inputs; i < t_.keys.size(); ++i) {
      const std::int64_t size = t_.trace.in[i].size();
      s_.parameters += size;
      if (used_.count(t_.keys[i]) == 0) {
        s_.unused += size;
        continue;
      }
      const auto at = index_.find(block_of(t_.keys[i], modules_));
      if (at == index_.end())
        s_.unused += size;
      else
        blocks_[at->second].parameters += size;
    }
  }

  void make_stages() {
    const bool flat =
        std::all_of(blocks_.begin(), blocks_.end(), [](const NetworkBlock& b) { return positions_of(b.out) == 0; });
    std::map<std::size_t, std::size_t> stage_of;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const NetworkBlock& b = blocks_[i];
      s_.flops += b.flops;
      const std::int64_t positions = positions_of(b.out);
      if (positions == 0 && !flat) {
        fold_into(s_.vectors, b);
        continue;
      }
      if (s_.stages.empty() || s_.stages.back().positions != positions) s_.stages.push_back({positions, {}});
      fold_into(s_.stages.back().blocks, b);
      stage_of[i] = s_.stages.size() - 1;
    }
    std::map<std::pair<std::size_t, std::size_t>, std::int64_t> count;
    for (const auto& [from, to, id] : carried_) {
      if (pieces_.count({id, from}) == 0 || stage_of.count(from) == 0 || stage_of.count(to) == 0) continue;
      if (stage_of[from] + 1 < stage_of[to]) ++count[{stage_of[from], stage_of[to]}];
    }
    for (const auto& [ends, n] : count) s_.skips.push_back({ends.first, ends.second, n});
  }

  static void fold_into(std::vector<NetworkBlock>& row, const NetworkBlock& b) {
    if (!row.empty() && pattern(row.back().name) == pattern(b.name) && row.back().out == b.out &&
        row.back().parameters == b.parameters && row.back().flops == b.flops && row.back().kind == b.kind)
      ++row.back().repeats;
    else
      row.push_back(b);
  }

  const NetworkTrace& t_;
  Module modules_;
  std::map<std::uint64_t, std::string> weights_;  ///< values that are parameters in some layout
  std::set<std::string> used_;
  bool places_ = false;  ///< some block works on pixels or tokens
  std::vector<NetworkBlock> blocks_;
  std::vector<NetworkBlock> early_;  ///< what blocks had before the first op of theirs that does
  std::map<std::string, std::size_t> index_;
  std::size_t current_ = 0;
  std::uint64_t shaped_ = 0;  ///< the value whose shape is the current block's
  std::map<std::uint64_t, std::set<std::size_t>> sources_;
  std::set<std::pair<std::uint64_t, std::size_t>> pieces_;                 ///< (concatenation, block)
  std::set<std::tuple<std::size_t, std::size_t, std::uint64_t>> carried_;  ///< (from, to, value)
  Structure s_;
};

}  // namespace

NetworkTrace trace_network(const Model& model) {
  NetworkTrace t;
  const Inputs in = noise_inputs(model, 0, 1);
  t.keys = differentiable_inputs(in, model.network->signature());
  t.inputs = t.keys.size();
  Tensors leaves;
  for (const auto& name : t.keys) {
    Inputs copy = in;
    leaves.push_back(input(copy, name));
  }
  for (const auto& p : model.network->parameters()) {
    t.keys.push_back(p.key);
    leaves.push_back(p.value);
  }
  const DryRun shapes_only;
  t.trace = trace(
      [&](const Tensors& at) {
        Inputs now = in;
        for (std::size_t i = 0; i < t.inputs; ++i) input(now, t.keys[i]) = at[i];
        return Tensors{
            (*model.network->with(Tensors(at.begin() + static_cast<std::ptrdiff_t>(t.inputs), at.end())))(now)};
      },
      leaves);
  return t;
}

Structure structure_of(const Model& model) {
  const NetworkTrace t = trace_network(model);
  Structure s = Gatherer(t).run();
  s.in = one_sample(t.trace.in[0].shape());
  s.out = one_sample(t.trace.out[0].shape());
  return s;
}

}  // namespace costate
