// The orders that samplers are observed to have on exact problems: what is measured, and how it went.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "solvers/convergence.h"
#include "tools/common.h"

namespace costate {

struct OrderOptions {
  Common common;
  std::string samplers, schedules, predictions;
  std::int64_t most_steps = 1280;
};

inline constexpr double order_slack = 0.15;   ///< one-sided: observed >= nominal - slack passes
inline constexpr int first_order_steps = 40;  ///< of the coarsest run

/// A sampler with options, as asked for: NAME or NAME:KEY=VALUE:KEY=VALUE.
struct OrderMethod {
  std::string label, name;
  Config options;
  Stepper stepper;
};

/// What is not measured of a sampler, and why.
struct NoOrder {
  std::string sampler, measured, why;
};

/// The path from pure noise or from where the flow is curved, or the moments and the path under noise.
enum class OrderKind { noise, curved, weak, strong };
std::string name_of(OrderKind kind);

struct OrderCase {
  std::shared_ptr<const OrderMethod> method;
  std::string schedule, prediction;
  OrderKind kind;
  int nominal;
  Convergence found = {};
  std::string refused = {};                                                           ///< why it could not be measured
  [[nodiscard]] bool passed() const { return found.slope >= nominal - order_slack; }  // false for NaN: not measured
};

struct Orders {
  std::vector<OrderCase> cases;
  std::vector<NoOrder> left_out;
};
/// Throws UsageError for names that are none.
Orders measure_orders(const OrderOptions& o);

}  // namespace costate
