// A finite data set as the optimisation view of diffusion sees it: distances to it, plain and smoothed, and schedules that
// gradient descent on them admits (Permenter and Yuan 2024, "Interpreting and Improving Diffusion Models from an
// Optimization Perspective").
#pragma once

#include "solvers/exact.h"

namespace costate {

/// Data points (m, d) with equal weights as an exact problem: its eps is the ideal denoiser of the set.
ExactProblem point_set(const Tensor& points);

/// For every row of y (n, d): the nearest point, and how far it is.
struct Nearest {
  Tensor point;  // (n, d)
  std::vector<double> distance;
};
Nearest nearest_points(const Tensor& points, const Tensor& y);

/// The smoothed squared distance -s^2 ln sum_k exp(-|y - k|^2 / (2 s^2)) of every row, whose gradient is s eps, eps of the
/// ideal denoiser at level s (no factor 1/2 in front of the distance).
std::vector<double> smoothed_distance(const Tensor& points, const Tensor& y, double s);

/// The relative-error model (their assumption 1): |s eps - (y - nearest point)| <= eta dist wherever
/// dist / nu <= sqrt(d) s <= nu dist.
struct ErrorModel {
  double eta = 0, nu = 1;
};
/// Whether DDIM keeps to the model's range along falling levels s (their definition 3), with beta_i = 1 - s_(i+1) / s_i:
///   prod (1 + beta_i (eta - 1)) / nu <= prod (1 - beta_i) <= nu prod (1 - beta_i (eta + 1)) over the first i, for every i.
bool is_admissible(const std::vector<double>& s, const ErrorModel& model);
/// The largest constant beta that is admissible for so many steps: c / (eta + c), c = 1 - nu^(-1/steps) (theorem 4.2).
double largest_beta(const ErrorModel& model, int steps);

}  // namespace costate
