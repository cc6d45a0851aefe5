// Sums and maxima on the CPU. Every output is summed in one order; the cut into tasks never crosses an output's partial sums.
#include "core/kernels/reduce.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/kernels/copy.h"
#include "core/kernels/pointwise.h"
#include "core/parallel.h"

namespace costate {
namespace {

constexpr std::int64_t chunk = 4096;  // elements of a contiguous sum that are added up before the partial sums are

struct Axis {
  std::int64_t extent, step;
};

/// Offset of the row-major index `i` over the axes.
std::int64_t offset_of(const std::vector<Axis>& axes, std::int64_t i) {
  std::int64_t at = 0;
  for (auto a = axes.rbegin(); a != axes.rend(); ++a) {
    at += i % a->extent * a->step;
    i /= a->extent;
  }
  return at;
}

std::int64_t count_of(const std::vector<Axis>& axes) {
  std::int64_t n = 1;
  for (const auto& a : axes) n *= a.extent;
  return n;
}

/// The last axis is kept: rows of `width` neighbours are added elementwise.
template <class T>
void add_rows(const T* x, T* y, const std::vector<Axis>& kept, const std::vector<Axis>& summed, std::int64_t width) {
  constexpr std::int64_t lanes = 64;
  const std::int64_t blocks = (width + lanes - 1) / lanes, rows = count_of(summed);
  parallel_for(count_of(kept) * blocks, [&](std::int64_t job) {
    const std::int64_t first = job % blocks * lanes, n = std::min(lanes, width - first);
    const T* from = x + offset_of(kept, job / blocks) + first;
    std::array<double, lanes> sum{};
    // The innermost summed axis is walked by its step, the others by index.
    const Axis inner = summed.back();
    const std::vector<Axis> outer(summed.begin(), summed.end() - 1);
    for (std::int64_t r = 0; r < rows / inner.extent; ++r) {
      const T* row = from + offset_of(outer, r);
      for (std::int64_t k = 0; k < inner.extent; ++k, row += inner.step) {
        for (std::int64_t i = 0; i < n; ++i) sum[static_cast<std::size_t>(i)] += static_cast<double>(widen(row[i]));
      }
    }
    T* to = y + job / blocks * width + first;
    for (std::int64_t i = 0; i < n; ++i) to[i] = narrow<T>(sum[static_cast<std::size_t>(i)]);
  });
}

/// The last axis is summed: contiguous runs, cut into chunks whose partial sums are added in order.
template <class T>
void add_runs(const T* x, T* y, const std::vector<Axis>& kept, const std::vector<Axis>& summed, std::int64_t width) {
  const std::int64_t runs = count_of(summed), pieces = (width + chunk - 1) / chunk, outputs = count_of(kept);
  std::vector<double> partial(static_cast<std::size_t>(outputs * runs * pieces));
  parallel_ranges(static_cast<std::int64_t>(partial.size()),
                  std::max<std::int64_t>(1, chunk / std::max<std::int64_t>(width, 1)),
                  [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t job = first; job < last; ++job) {
                      const std::int64_t piece = job % pieces, run = job / pieces % runs, out = job / pieces / runs;
                      const T* from = x + offset_of(kept, out) + offset_of(summed, run) + piece * chunk;
                      double sum = 0;
                      for (std::int64_t i = 0; i < std::min(chunk, width - piece * chunk); ++i)
                        sum += static_cast<double>(widen(from[i]));
                      partial[static_cast<std::size_t>(job)] = sum;
                    }
                  });
  for (std::int64_t out = 0; out < outputs; ++out) {
    double sum = 0;
    for (std::int64_t i = 0; i < runs * pieces; ++i) sum += partial[static_cast<std::size_t>(out * runs * pieces + i)];
    y[out] = narrow<T>(sum);
  }
}

}  // namespace

void cpu::sum_to(const Tensor& x, Tensor& y) {
  const auto steps = row_major_steps(x.shape());
  std::vector<Axis> kept, summed;
  std::int64_t width = 1;
  const int rank = x.rank();
  bool last_kept = false;
  int last = rank - 1;
  while (last >= 0 && x.dim(last) == 1) --last;  // the last axis that matters decides which loop runs
  for (int i = 0; i < last; ++i) {
    if (x.dim(i) == 1) continue;
    (y.dim(i) == 1 ? summed : kept).push_back({x.dim(i), steps[static_cast<std::size_t>(i)]});
  }
  if (last >= 0) {
    width = x.dim(last);
    last_kept = y.dim(last) != 1;
  }
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if (last_kept) {
      if (summed.empty()) summed.push_back({1, 0});
      add_rows(x.data<T>(), y.mutable_data<T>(), kept, summed, width);
    } else {
      add_runs(x.data<T>(), y.mutable_data<T>(), kept, summed, width);
    }
  });
}

void cpu::max_last(const Tensor& x, Tensor& y) {
  const std::int64_t width = x.dim(-1);
  require(width > 0, "max_last: the last axis of {} is empty", x.shape());
  visit_compute(x.dtype(), "max_last", [&](auto tag) {
    using T = decltype(tag);
    const T* in = x.data<T>();
    T* out = y.mutable_data<T>();
    parallel_ranges(y.size(), std::max<std::int64_t>(1, 4096 / width), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t r = first; r < last; ++r) {
        T best = in[r * width];
        for (std::int64_t i = 1; i < width; ++i) {
          const T v = in[r * width + i];
          best = (v > best || std::isnan(v)) ? v : best;
        }
        out[r] = best;
      }
    });
  });
}

}  // namespace costate
