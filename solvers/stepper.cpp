// Making a stepper from its name and options; what a step may ask for.
#include "solvers/stepper.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace costate {
namespace {

/// The type of a name, and the options with the order that the name may carry: deis-2 is deis with order 2.
std::pair<const StepperType*, Config> resolve(const std::string& name, const Config& options) {
  for (const auto& type : steppers()) {
    if (type.name == name) return {&type, options};
    for (const int order : type.orders) {
      if (name != fmt::format("{}-{}", type.name, order)) continue;
      require(options.integer("order", order) == order, "sampler {}: the name and the option order = {} disagree", name,
              options.integer("order", order));
      auto with_order = nlohmann::json::parse(options.dump());
      with_order["order"] = order;
      return {&type, Config(with_order, options.where())};
    }
  }
  fail_unknown("sampler", name, sampler_names());
}

}  // namespace

std::vector<std::string> sampler_names() {
  std::vector<std::string> names;
  for (const auto& type : steppers()) {
    if (type.orders.empty()) names.push_back(type.name);
    for (const int order : type.orders) names.push_back(fmt::format("{}-{}", type.name, order));
  }
  return names;
}

const StepperType& stepper_type(const std::string& name) { return *resolve(name, {}).first; }

Stepper make_stepper(const std::string& name, const Config& options) {
  const auto [type, settled] = resolve(name, options);
  std::vector<std::string> known = type->options;
  if (!type->orders.empty()) known.emplace_back("order");
  check_options("sampler " + name, settled, known);
  if (settled.has("order")) {
    const auto order = settled.integer("order", 0);
    require(std::find(type->orders.begin(), type->orders.end(), order) != type->orders.end(),
            "sampler {}: order = {} should be one of {}", name, order, fmt::join(type->orders, ", "));
  }
  Stepper stepper = type->make(settled);
  stepper.name = name;
  return stepper;
}

const Schedule& Step::scheduled() const {
  require(schedule != nullptr, "sampler: a level between t = {} and {} is needed; give Sampler::schedule", from().t,
          to().t);
  return *schedule;
}

Level Step::at_lambda(double lambda) const { return at_t(scheduled().t_of_lambda(lambda)); }

Level Step::at_index(double index) const {
  const int count = scheduled().steps();
  require(
      count > 0,
      "sampler: the option stride counts levels of a discrete schedule (ddpm), and this one is continuous, t = {} to "
      "{}; leave it out",
      schedule->t_max, schedule->t_min);
  require(
      index >= 0 && index < count,
      "sampler: the option stride leads from step t = {} to {} to the level {} of a schedule that has {}; give it a "
      "step's length or less, or leave it out",
      from().t, to().t, index, count);
  return at_t(index);
}

Tensor Step::normal_to(double s, const Tensor& like, int part) const {
  return noise({.step = index, .part = part, .from = from().s(), .to = s}, like);
}

Tensor Step::extra_normal(const Tensor& like, int part) const {
  return noise({.step = index, .part = part, .from = from().s(), .to = from().s()}, like);
}

Tensor Step::levy_area(const Tensor& like) const {
  return noise({.step = index, .area = true, .from = from().s(), .to = to().s()}, like);
}

}  // namespace costate
