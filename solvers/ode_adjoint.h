// Continuous adjoints solved by Runge-Kutta methods: what backsolve, interpolated and adjointdpm share.
#pragma once

#include <string>
#include <vector>

#include "solvers/adjoint_equation.h"

namespace costate {

/// Where the state comes from while the adjoint equation is solved.
enum class StateSource {
  solved_back,  ///< solved back from x_0 together with the adjoint
  dense,        ///< interpolated between the states of the run forward (cubic, with eps as slopes)
  restarted,    ///< as solved_back, but every level of the grid starts again from the state stored there
};

/// Options: method (a Runge-Kutta method), rtol, atol (for rk45 and tsit5, which choose their own steps).
std::vector<std::string> ode_adjoint_options();
/// `method`: what is taken without an option; empty: the sampler's own, euler where it has none.
Adjoint ode_adjoint(const std::string& name, StateSource source, const std::string& method, const Config& options);

}  // namespace costate
