// Explicit Runge-Kutta methods as data: one table serves steppers, adaptive integration and the adjoints of both.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace costate {

/// Butcher's table of an explicit method: stage i at from + c_i h is fed y + h sum_(j<i) a_ij k_j; the step is
/// y + h sum b_i k_i.
struct Tableau {
  std::string name;
  int order = 1;
  std::vector<double> c;
  std::vector<std::vector<double>> a;  ///< row i holds a_i0 ... a_i,i-1
  std::vector<double> b;
  std::vector<double> error = {};  ///< b less the b of the embedded method; empty: there is none
  /// Dense output of order 4: b of the state at from + theta h, 0 <= theta <= 1. Null: there is none.
  std::vector<double> (*dense)(double theta) = nullptr;

  [[nodiscard]] int stages() const { return static_cast<int>(b.size()); }
};

/// euler, midpoint, heun, rk4, rk4-38 (Kutta's 3/8 rule), rk45 (Dormand and Prince), tsit5 (Tsitouras).
const std::vector<Tableau>& tableaus();
/// By name; an unknown one throws with the nearest.
const Tableau& find_tableau(const std::string& name);

/// Right-hand side of an ordinary differential equation for several tensors at once.
using OdeField = std::function<Tensors(double at, const Tensors& y)>;

/// The slopes k_i of one step, each as the field returned it.
std::vector<Tensors> rk_stages(const Tableau& method, const OdeField& field, double from, double to, const Tensors& y);
/// y + h sum w_i k_i; undefined tensors of a slope count as zero.
Tensors rk_combine(const Tensors& y, double h, const std::vector<double>& weights, const std::vector<Tensors>& slopes);
/// One step.
Tensors rk_step(const Tableau& method, const OdeField& field, double from, double to, const Tensors& y);

struct Tolerance {
  double relative = 1e-5, absolute = 1e-5;
  int most_steps = 10000;
};
/// From `from` to `to` with steps that keep the embedded error estimate within tolerance: the root mean square over a
/// sample's elements of error / (absolute + relative |y|), the largest over samples (rows), of the first `controlled`
/// tensors. Each accepted step is shown to `accept(at, y)`, if given. Throws where the step underflows or most_steps is
/// exceeded, with the place and the norm of the state.
Tensors rk_adaptive(const Tableau& method, const OdeField& field, double from, double to, Tensors y,
                    const Tolerance& tolerance, std::size_t controlled,
                    const std::function<void(double at, const Tensors& y)>& accept = {});

}  // namespace costate
