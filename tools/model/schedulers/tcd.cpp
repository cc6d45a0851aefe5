// TCDScheduler: trajectory consistency distillation.
#include "tools/model/consistency_scheduler.h"

namespace costate {

/// Clipping and thresholding are options that the library does not read. Its least noise, at eta = 1, is that of index 0.
SchedulerClass tcd_scheduler() {
  using namespace diffusers;
  return {.name = "TCD", .keys = consistency_keys, .arguments = {"eta"}, .read = [](const Config& c, bool compat) {
            Scheduler s =
                consistency_scheduler(c, false, {"consistency", {{"gamma", std::min(c.number("eta", 0.3), 1 - 1e-9)}}});
            if (compat) s.correct = nullptr;
            return s;
          }};
}

}  // namespace costate
