// Checkpointed: keeps states and tapes one recomputed step at a time on the way back. Bit for bit what direct gives.
//
// Every k-th state is kept, and those between are recomputed k - 1 at a time (k = 1: every state). Under a budget of
// states the recursive binomial scheme is used (Griewank and Walther 2000, "Algorithm 799: revolve"): with c states, one
// of them the start, at most C(c + r, c) steps can be reversed when no step is taken forward more than r times.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "solvers/way_back.h"

namespace costate {
namespace {

struct Options {
  std::int64_t every = 1, snapshots = 0;  // snapshots: 0 where no budget is stated
  double mebibytes = 0;
};

/// C(c + r, c), or a large number where it would overflow.
double reversible_steps(std::int64_t c, std::int64_t r) {
  double n = 1;
  for (std::int64_t i = 1; i <= c; ++i) n *= static_cast<double>(r + i) / static_cast<double>(i);
  return r < 0 ? 0 : std::round(n);
}

/// Where a segment of n steps is cut so that the fewest steps are taken again with c states (c >= 2, n >= 2).
int binomial_cut(int n, std::int64_t c) {
  std::int64_t r = 1;
  while (reversible_steps(c, r) < n) ++r;
  const double least = std::max(reversible_steps(c, r - 2), n - reversible_steps(c - 1, r));
  return std::clamp(static_cast<int>(std::max(1.0, least)), 1, n - 1);
}

/// The levels kept on the run forward.
std::vector<int> kept_levels(int steps, std::int64_t snapshots, std::int64_t every) {
  std::vector<int> levels{0};
  if (snapshots == 0) {
    for (auto i = every; i < steps; i += every) levels.push_back(static_cast<int>(i));
    return levels;
  }
  for (auto free = snapshots; free > 1 && steps - levels.back() > 1; --free)
    levels.push_back(levels.back() + binomial_cut(steps - levels.back(), free));
  return levels;
}

std::size_t bytes_of(const State& state) {
  std::size_t bytes = state.y.bytes();
  for (const auto& t : state.memory) bytes += t.bytes();
  return bytes;
}

class WayBack {
 public:
  WayBack(GradientProblem problem, Options options) : problem_(std::move(problem)), options_(options) {}

  /// The run forward. A budget in bytes becomes a number of states once it is known what a state remembers.
  Forward run() {
    const int steps = problem_.sampler.steps(), known = std::min(3, steps);
    std::vector<int> levels;
    Forward forward;
    forward.running = walk_forward(problem_, [&](int index, const State& state) {
      last_ = state;
      if (index < steps) kept_.emplace_back(index, state);
      if (index == known) settle_budget(state);
      if (index < known) return;
      if (index == known) levels = kept_levels(steps, options_.snapshots, options_.every);
      std::erase_if(kept_,
                    [&](const auto& k) { return std::find(levels.begin(), levels.end(), k.first) == levels.end(); });
    });
    forward.x_0 = problem_.sampler.x_at(steps, last_);
    return forward;
  }

  Pulled pull(const Tensor& a_0) {
    a_ = end_cotangents(problem_, last_, a_0);
    int end = problem_.sampler.steps();
    last_ = {};
    while (!kept_.empty()) {
      const auto [index, state] = std::move(kept_.back());
      kept_.pop_back();
      const auto held = static_cast<std::int64_t>(kept_.size());
      reverse(index, end, state, options_.snapshots == 0 ? options_.every : options_.snapshots - held);
      end = index;
    }
    late_.finish();
    return pulled_from(problem_, a_);
  }

 private:
  void settle_budget(const State& state) {
    if (options_.mebibytes == 0) return;
    options_.snapshots = static_cast<std::int64_t>(options_.mebibytes * 1048576 / static_cast<double>(bytes_of(state)));
    require(options_.snapshots >= 1, "checkpointed: memory = {} MiB holds no state of {} bytes", options_.mebibytes,
            bytes_of(state));
  }

  /// Pulls steps end - 1 ... first, holding at most c states, the given one included.
  void reverse(int first, int end, const State& state, std::int64_t c) {
    while (end - first > 1 && c > 1) {
      const int cut = options_.snapshots == 0 ? 1 : binomial_cut(end - first, c);
      reverse(first + cut, end, advanced(first, first + cut, state), c - 1);
      end = first + cut;
    }
    for (int i = end - 1; i >= first; --i) {
      pull_step(problem_, i, advanced(first, i, state), a_, "checkpointed", late_);
      report_back(problem_, problem_.sampler.steps() - i, problem_.sampler.steps());
    }
  }

  [[nodiscard]] State advanced(int from, int to, State state) {
    for (int i = from; i < to; ++i) state = problem_.sampler.step(i, state, problem_.p, late_);
    return state;
  }

  GradientProblem problem_;
  Options options_;
  std::vector<std::pair<int, State>> kept_;
  State last_;
  Tensors a_;
  LateCheck late_;
};

Options options_from(const Config& config) {
  Options o{.every = config.integer("every", 1),
            .snapshots = config.integer("snapshots", 0),
            .mebibytes = config.number("memory", 0)};
  require(config.keys().size() <= 1, "checkpointed: every, snapshots and memory exclude each other; give one");
  require(o.every >= 1, "checkpointed: every = {} should be 1 or more", o.every);
  require(!config.has("snapshots") || o.snapshots >= 1, "checkpointed: snapshots = {} should be 1 or more",
          o.snapshots);
  require(!config.has("memory") || o.mebibytes > 0, "checkpointed: memory = {} MiB should be positive", o.mebibytes);
  return o;
}

}  // namespace

AdjointType checkpointed_adjoint() {
  return {.name = "checkpointed",
          .summary =
              "keeps states and differentiates the sampler one recomputed step at a time; every = k keeps every "
              "k-th, snapshots = c or memory = MiB bound what is kept",
          .consistent = "the sampler",
          .order = "exact",
          .memory = "every state (or as many as stated) and the tape of one step",
          .reference = "Chen et al. 2016, \"Training deep nets with sublinear memory cost\"; Griewank and Walther 2000",
          .options = {"every", "snapshots", "memory"},
          .make = [](const Config& config) {
            const Options options = options_from(config);
            return Adjoint{.exact = true, .forward = [options](const GradientProblem& problem) {
                             refuse_adjoint_grid(problem, "checkpointed");
                             const auto back = std::make_shared<WayBack>(problem, options);
                             Forward run = back->run();
                             run.pull = [back](const Tensor& a_0) { return back->pull(a_0); };
                             return run;
                           }};
          }};
}

}  // namespace costate
