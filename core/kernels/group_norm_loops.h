// The loops of group norm over a band of one image's pixels, in the vectors of this machine.
#pragma once

#include <cstddef>

namespace costate::cpu {

/// What one image needs per channel: u = (x - mean) * scale + beta, with scale = gamma * rstd.
template <class T>
struct NormChannels {
  const T *mean, *rstd, *scale, *beta;
};

/// A band of pixels of one image, as they are stored: f32, f64, or bf16, of which T is f32.
template <class S>
struct NormBand {
  const S* x;
  std::size_t pixels, channels;
};

/// Forward: y = u, or silu(u). Backward, of a cotangent g: du, its sums and those of du * xhat by channel; then dx, with a and b_xhat
/// rstd / m times the group's sums. Sums of x - shift (null: of x) and of its squares by channel.
template <class T, class S>
struct GroupNormLoops {
  void (*sums)(const NormBand<S>&, const double* shift, double* sum, double* squares);
  void (*forward)(const NormBand<S>&, const NormChannels<T>&, bool silu, S* y);
  void (*backward)(const NormBand<S>&, const NormChannels<T>&, bool silu, const S* g, T* du, double* sum,
                   double* sum_xhat);
  void (*dx)(const NormBand<S>&, const NormChannels<T>&, const T* a, const T* b_xhat, const T* du, const S* addend,
             S* dx);
};

/// For this machine's instruction set.
template <class T, class S>
GroupNormLoops<T, S> group_norm_loops();

}  // namespace costate::cpu
