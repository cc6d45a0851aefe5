// Discrete schedules with alpha = 1: a rising list of ln sigma by the index t, linear in between.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "solvers/linear_table.h"
#include "solvers/schedule.h"

namespace costate {

class ExplodingTable final : public Schedule {
 public:
  /// Two values or more; `given` is what config() says.
  ExplodingTable(Config given, std::vector<double> log_sigma)
      : given_(std::move(given)), log_sigma_(std::move(log_sigma)) {
    t_min = 0;
    t_max = static_cast<double>(log_sigma_.size() - 1);
  }
  [[nodiscard]] double log_alpha(double) const override { return 0; }
  [[nodiscard]] double sigma(double t) const override { return std::exp(log_sigma_.at(t)); }
  [[nodiscard]] double t_of_lambda(double lambda) const override { return log_sigma_.index_of(-lambda); }
  [[nodiscard]] double prior_std() const override { return sigma(t_max); }
  [[nodiscard]] double f(double) const override { return 0; }
  [[nodiscard]] double g2(double t) const override { return 2 * sigma(t) * sigma(t) * log_sigma_.slope(t); }
  [[nodiscard]] int steps() const override { return static_cast<int>(log_sigma_.size()); }
  [[nodiscard]] Config config() const override { return given_; }

 private:
  Config given_;
  LinearTable log_sigma_;
};

}  // namespace costate
