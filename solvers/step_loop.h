// The loop of methods that choose their own steps: one for samplers in lambda and for ODEs of any kind.
#pragma once

#include <functional>
#include <optional>

namespace costate {

struct StepLoop {
  double from = 0, to = 0;
  std::optional<double> limit = {};  ///< how far the last step may go; left out: to `to`, where it ends
  double first = 0;                  ///< size of the first step, > 0 in either direction
  double close = 0;                  ///< what is left of the way that counts as nothing
  double least = 0;                  ///< a step below this is a failure
  int most = 100000;                 ///< and so are more trials
  /// The error of a trial step, in units of what is tolerated.
  std::function<double(double at, double next)> trial = {};
  /// Whether a step of size `used` with this error counts; sets the size of the next one.
  std::function<bool(double error, double used, double& size)> decide = {};
  std::function<void(double next)> accept = {};
  /// Throws: what failed, and where.
  std::function<void(const char* what, double at)> stuck = {};
};
/// Goes all the way, or past it, and returns the size that the next step would have.
double run(const StepLoop& loop);

}  // namespace costate
