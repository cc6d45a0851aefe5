// The options of subcommands that differentiate a sampler, and the adjoints they ask for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "solvers/adjoint.h"
#include "tools/sampling.h"

namespace costate {

struct AdjointOptions {
  std::string names = "checkpointed", grid = {}, states = {};
  std::optional<std::int64_t> steps = {};  ///< else as many as the sampler's
  std::vector<std::string> set = {};       ///< KEY=VALUE

  void declare(Arguments& a, bool several);
  /// The adjoints by name; an option goes to those that have it, and one that none has is wrong usage.
  [[nodiscard]] std::vector<Adjoint> make() const;
  /// The levels for the continuous ones; empty: the sampler's.
  [[nodiscard]] Grid levels(const SamplingOptions& sampling, const Model& model) const;
};

/// Whether the adjoint is solved on levels of its own.
bool has_own_levels(const Adjoint& adjoint);
/// Throws UsageError, naming the option that asks for such levels, where none of the adjoints has any.
void require_own_levels(const std::string& option, const std::vector<Adjoint>& adjoints);

}  // namespace costate
