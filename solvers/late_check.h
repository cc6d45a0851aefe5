// Looks at every state for a NaN without waiting for it: on a device what one look found is met at the next.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/finding.h"

namespace costate {

class LateCheck {
 public:
  /// Throws: the element of this index is no number.
  using Report = std::function<void(std::int64_t at)>;

  /// Meets what the last look found, then looks at t.
  void look(const Tensor& t, Report report) {
    finish();
    finding_ = find_non_finite(t);
    report_ = std::move(report);
    if (finding_->is_known()) finish();
  }
  /// Waits for what the last look found.
  void finish() {
    const auto finding = std::exchange(finding_, nullptr);
    const Report report = std::exchange(report_, nullptr);
    if (finding == nullptr) return;
    if (const std::int64_t at = finding->at(); at >= 0) report(at);
  }

 private:
  std::unique_ptr<Finding> finding_;
  Report report_;
};

}  // namespace costate
