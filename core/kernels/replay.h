// Work that a device repeats by itself: what it was told is recorded once, with all addresses, and queued again as a whole.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/kernel.h"

namespace costate {

/// One piece of work. What it sends from the host may differ each time ("numbers": times, factors, indices); all else must be the same.
class Recorder {
 public:
  using Work = std::function<void()>;

  Recorder() = default;
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  virtual ~Recorder() = default;

  /// Runs the work. False where the host reads a result, so that it cannot be recorded.
  [[nodiscard]] virtual bool rehearse(const Work& work) = 0;
  /// Records it, in the place of what was recorded before; nothing runs. False where the device will not.
  [[nodiscard]] virtual bool record(const Work& work) = 0;
  /// The host's part of it alone: nothing is queued, and all results hold what they held. False, at the first call that differs, where
  /// it is not what is recorded.
  [[nodiscard]] virtual bool spell_out(const Work& work) = 0;
  /// All that was sent from the host in the last of these.
  [[nodiscard]] virtual const std::string& sent() const = 0;
  /// Queues what is recorded as a whole, with `numbers` sent.
  virtual void repeat(const std::string& numbers) = 0;
};

namespace cpu {
void make_recorder(std::unique_ptr<Recorder>& made);
}
namespace cuda {
[[gnu::weak]] decltype(cpu::make_recorder) make_recorder;
}  // namespace cuda

/// None for the host, which does all work itself.
inline constexpr Kernel<void(std::unique_ptr<Recorder>&)> make_recorder_kernel{"replay", cpu::make_recorder,
                                                                               cuda::make_recorder};

}  // namespace costate
