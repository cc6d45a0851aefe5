// A search that a device makes while the host goes on.
#pragma once

#include <cstdint>
#include <memory>

#include "core/tensor.h"

namespace costate {

class Finding {
 public:
  Finding() = default;
  Finding(const Finding&) = delete;
  Finding& operator=(const Finding&) = delete;
  virtual ~Finding() = default;

  /// Whether at() need not wait for a device.
  [[nodiscard]] virtual bool is_known() const = 0;
  /// The index of the first element that was looked for, in row-major order, or -1.
  [[nodiscard]] virtual std::int64_t at() = 0;
};

/// NaN or infinity in t as it is now.
[[nodiscard]] std::unique_ptr<Finding> find_non_finite(const Tensor& t);

}  // namespace costate
