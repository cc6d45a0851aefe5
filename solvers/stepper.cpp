// Finding a stepper by its name.
#include "solvers/stepper.h"

namespace costate {

const Stepper& find_stepper(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& stepper : steppers()) {
    if (stepper.name == name) return stepper;
    names.push_back(stepper.name);
  }
  fail_unknown("sampler", name, names);
}

}  // namespace costate
