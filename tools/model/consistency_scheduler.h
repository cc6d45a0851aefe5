// What diffusers' schedulers of consistency models share.
#pragma once

#include "tools/model/scheduler_parts.h"

namespace costate::diffusers {

inline const Keys consistency_keys =
    beta_keys + clip_keys + threshold_keys + Keys{"original_inference_steps", "set_alpha_to_one", "steps_offset",
                                                  "prediction_type",          "timestep_spacing", "timestep_scaling",
                                                  "rescale_betas_zero_snr"};
/// Every so-many-th of the original_inference_steps indices that the network was distilled on. The last step ends at x_0, or
/// (TCD) at index 0.
Scheduler consistency_scheduler(const Config& c, bool ends_clean, const Method& method);

}  // namespace costate::diffusers
