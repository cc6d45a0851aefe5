// Making a stepper from its name and options; what a step may ask for.
#include "solvers/stepper.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace costate {
namespace {

bool has_option(const StepperType& type, const std::string& key) {
  return std::find(type.options.begin(), type.options.end(), key) != type.options.end();
}

/// The type of a name, and the options with the order that the name may carry: deis-2 is deis with order 2.
std::pair<const StepperType*, Config> resolve(const std::string& name, const Config& options) {
  std::vector<std::string> names;
  for (const auto& type : steppers()) {
    if (type.name == name) return {&type, options};
    const auto n = type.name.size();
    if (has_option(type, "order") && name.size() == n + 2 && name.rfind(type.name + "-", 0) == 0 &&
        name[n + 1] >= '1' && name[n + 1] <= '9') {
      auto with_order = nlohmann::json::parse(options.dump());
      require(!options.has("order") || options.integer("order", 0) == name[n + 1] - '0',
              "sampler {}: the name and the option order = {} disagree", name, options.integer("order", 0));
      with_order["order"] = name[n + 1] - '0';
      return {&type, Config(with_order, options.where())};
    }
    names.push_back(type.name);
  }
  fail_unknown("sampler", name, names);
}

}  // namespace

Stepper make_stepper(const std::string& name, const Config& options) {
  const auto [type, settled] = resolve(name, options);
  check_options("sampler " + name, settled, type->options);
  Stepper stepper = type->make(settled);
  stepper.name = name;
  return stepper;
}

Level Step::at_lambda(double lambda) const {
  require(schedule != nullptr, "sampler: a level between t = {} and {} is needed; give Sampler::schedule", from().t,
          to().t);
  return schedule->level(schedule->t_of_lambda(lambda));
}

Tensor Step::normal(const Tensor& like, int part) const {
  return noise({.step = index, .part = part, .from = from().s(), .to = to().s()}, like);
}

}  // namespace costate
