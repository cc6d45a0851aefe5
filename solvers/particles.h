// Particles in place of noise: directions in which a batch flows so that its density moves as Langevin dynamics moves it.
#pragma once

#include <string>

#include "core/tensor.h"

namespace costate {

/// The probability flow of Langevin dynamics is dx/dt = grad ln p - grad ln rho, rho the density of the particles. With a kernel
/// K_ij = exp(-|x_i - x_j|^2 / (2 b^2)) over the rows of x, r_i = sum_j K_ij:
///   gfsd   rho is the kernel's density estimate
///   gfsf   grad ln rho is that of the kernel's functions: score_i + sum_jk (K^-1)_ik grad_(x_j) K_kj
///   blob   the energy's kernel is smoothed: GFSD's term and one more
///   svgd   Stein's operator in the kernel's space: sum_j K_ij score_j + grad_(x_j) K_ij, not divided by their number
/// (Liu et al. 2019, "Understanding and accelerating particle-based variational inference".) n^2 numbers.
enum class Particles { none, gfsd, gfsf, blob, svgd };
Particles particles_from(const std::string& name);
Tensor particle_direction(Particles kind, const Tensor& x, const Tensor& score, double bandwidth);

}  // namespace costate
