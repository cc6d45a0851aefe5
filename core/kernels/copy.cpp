// Strided copies and conversions on the CPU.
#include "core/kernels/copy.h"

#include <cstring>

#include "core/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/copy.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "core/kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {

void round_range(const float* in, bf16* out, std::size_t n) {
  const hn::ScalableTag<float> d;
  for (std::size_t i = 0; i < n; i += hn::Lanes(d)) store_as(load_as(d, in + i, n - i), d, out + i, n - i);
}

}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {

HWY_EXPORT(round_range);

void cpu::round(const float* from, bf16* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(round_range)(from, to, static_cast<std::size_t>(count));
}

std::array<std::int64_t, Shape::max_rank> row_major_steps(const Shape& shape) {
  std::array<std::int64_t, Shape::max_rank> step{};
  std::int64_t s = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    step[static_cast<std::size_t>(i)] = s;
    s *= shape[i];
  }
  return step;
}

CopyBox merged(const CopyBox& box) {
  CopyBox m;
  m.from = box.from;
  m.to = box.to;
  for (std::size_t i = 0; i < static_cast<std::size_t>(box.rank); ++i) {
    if (box.extent[i] == 1) continue;
    const auto last = static_cast<std::size_t>(m.rank) - 1;
    if (m.rank > 0 && m.from_step[last] == box.from_step[i] * box.extent[i] &&
        m.to_step[last] == box.to_step[i] * box.extent[i]) {
      m.extent[last] *= box.extent[i];
      m.from_step[last] = box.from_step[i];
      m.to_step[last] = box.to_step[i];
    } else {
      const auto at = static_cast<std::size_t>(m.rank++);
      m.extent[at] = box.extent[i];
      m.from_step[at] = box.from_step[i];
      m.to_step[at] = box.to_step[i];
    }
  }
  if (m.rank == 0) {
    m.rank = 1;
    m.extent[0] = 1;
    m.from_step[0] = m.to_step[0] = 1;
  }
  return m;
}

namespace {

template <class T>
void copy_box(const CopyBox& b, const T* from, T* to) {
  const auto inner = static_cast<std::size_t>(b.rank) - 1;
  std::int64_t outer = 1;
  for (std::size_t i = 0; i < inner; ++i) outer *= b.extent[i];
  const std::int64_t n = b.extent[inner], fs = b.from_step[inner], ts = b.to_step[inner];
  parallel_ranges(outer, std::max<std::int64_t>(1, 16384 / n), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      std::int64_t f = b.from, t = b.to, rest = row;
      for (std::size_t i = inner; i-- > 0;) {
        const std::int64_t k = rest % b.extent[i];
        rest /= b.extent[i];
        f += k * b.from_step[i];
        t += k * b.to_step[i];
      }
      if (fs == 1 && ts == 1) {
        std::memcpy(to + t, from + f, static_cast<std::size_t>(n) * sizeof(T));
      } else {
        for (std::int64_t i = 0; i < n; ++i) to[t + i * ts] = from[f + i * fs];
      }
    }
  });
}

}  // namespace

void cpu::copy(const CopyBox& box, const Tensor& from, Tensor& to) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(box.rank); ++i) {
    if (box.extent[i] == 0) return;
  }
  const CopyBox b = merged(box);
  visit_dtype(from.dtype(), [&](auto tag) {
    using T = decltype(tag);
    copy_box(b, from.data<T>(), to.mutable_data<T>());
  });
}

void cpu::cast(const Tensor& from, Tensor& to) {
  visit_dtype(from.dtype(), [&](auto from_tag) {
    visit_dtype(to.dtype(), [&](auto to_tag) {
      using F = decltype(from_tag);
      using T = decltype(to_tag);
      const F* in = from.data<F>();
      T* out = to.mutable_data<T>();
      parallel_ranges(from.size(), 16384, [&](std::int64_t first, std::int64_t last) {
        if constexpr (std::is_same_v<F, float> && std::is_same_v<T, bf16>)
          return round(in + first, out + first, last - first);
        for (std::int64_t i = first; i < last; ++i) {
          if constexpr (std::is_same_v<F, T>)
            out[i] = in[i];
          else if constexpr (std::is_same_v<T, bf16>)
            out[i] = bf16(static_cast<float>(in[i]));
          else if constexpr (std::is_same_v<F, bf16>)
            out[i] = static_cast<T>(static_cast<float>(in[i]));
          else
            out[i] = static_cast<T>(in[i]);
        }
      });
    });
  });
}

void copy_into(const Tensor& from, Tensor& to) {
  CopyBox all;
  all.rank = 1;
  all.extent[0] = from.size();
  all.from_step[0] = all.to_step[0] = 1;
  copy_kernel(from.device(), all, from, to);
}

Tensor copy_of(const Tensor& t) {
  Tensor y = Tensor::empty(t.shape(), t.kind());
  copy_into(t, y);
  return y;
}

Tensor to_stored(const Tensor& t, DType dtype) {
  if (!t.defined() || t.dtype() == dtype) return t;
  Tensor y = Tensor::empty(t.shape(), t.kind().with(dtype));
  cast_kernel(t.device(), t, y);
  return y;
}

Tensor f32_like(const Tensor& t) { return t.defined() ? Tensor::empty(t.shape(), t.kind().with(DType::f32)) : t; }

/// Kernels of a device take bf16 as it is.
static bool computed_in_f32(const Tensor& t) { return t.dtype() == DType::bf16 && t.device() == Device::cpu; }

Tensor to_compute(const Tensor& t) { return computed_in_f32(t) ? to_stored(t, DType::f32) : t; }

Tensor to_compute_weight(const Tensor& w) {
  if (!computed_in_f32(w)) return w;
  if (DryRun::active()) return to_compute(w);
  const auto key = fmt::format("f32 copy {} {}", w.offset(), w.shape());
  return *w.storage().derived<Tensor>(key, [&] { return to_compute(w); });
}

}  // namespace costate
#endif
