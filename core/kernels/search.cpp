// Searching on the CPU.
#include "core/kernels/search.h"

#include <algorithm>

namespace costate {
namespace {

template <class T>
std::int64_t first_of(const T* p, std::int64_t n) {
  const std::int64_t block = 1024;  // looked at as a whole, which the compiler makes vectors of
  for (std::int64_t first = 0; first < n; first += block) {
    const std::int64_t last = std::min(n, first + block);
    int some = 0;
    for (std::int64_t i = first; i < last; ++i) some |= is_non_finite(p[i]) ? 1 : 0;
    for (std::int64_t i = first; some != 0 && i < last; ++i)
      if (is_non_finite(p[i])) return i;
  }
  return -1;
}

}  // namespace

void cpu::search(const Tensor& x, std::unique_ptr<Finding>& found) {
  visit_dtype(x.dtype(), [&](auto tag) {
    const auto* p = x.data<decltype(tag)>();
    found = std::make_unique<Known>(first_of(p, x.size()));
  });
}

}  // namespace costate
