// The first element of a kind.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>

#include "core/finding.h"
#include "core/kernels/pointwise.h"

namespace costate {

enum class Search { non_finite, non_zero };

/// Whether v is what is looked for. Integers are finite; -0 is zero.
template <class T>
constexpr bool is_found(Search what, T v) {
  if constexpr (std::is_same_v<T, bf16>)
    return what == Search::non_zero ? (v.bits & 0x7fffU) != 0 : (v.bits & 0x7f80U) == 0x7f80U;
  else if (what == Search::non_zero)
    return v != T{0};
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
void search(Search what, const Tensor& x, std::unique_ptr<Finding>& found);
}  // namespace cpu
namespace cuda {
[[gnu::weak]] decltype(cpu::search) search;
}  // namespace cuda

inline constexpr Kernel<void(Search, const Tensor&, std::unique_ptr<Finding>&)> search_kernel{"search", cpu::search,
                                                                                              cuda::search};

}  // namespace costate
