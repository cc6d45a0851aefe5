// The first element that is no number: NaN or an infinity.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>

#include "core/finding.h"
#include "core/kernels/pointwise.h"

namespace costate {

/// Whether v is NaN or infinite. Integers are finite.
template <class T>
constexpr bool is_non_finite(T v) {
  if constexpr (std::is_same_v<T, bf16>)
    return (v.bits & 0x7f80U) == 0x7f80U;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return false;
  else
    return !((v < T{0} ? -v : v) <= std::numeric_limits<T>::max());
}

/// What is found already.
class Known final : public Finding {
 public:
  explicit Known(std::int64_t at) : at_(at) {}
  [[nodiscard]] bool is_known() const override { return true; }
  [[nodiscard]] std::int64_t at() override { return at_; }

 private:
  std::int64_t at_;
};

namespace cpu {
void search(const Tensor& x, std::unique_ptr<Finding>& found);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::search) search;
}  // namespace cuda

inline constexpr Kernel<void(const Tensor&, std::unique_ptr<Finding>&)> search_kernel{"search", cpu::search,
                                                                                      cuda::search};

}  // namespace costate
