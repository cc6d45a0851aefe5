// What diffusers' multistep and singlestep solvers share: the state is x, levels are sigmas at indices, or flow matching's.
#pragma once

#include "tools/model/scheduler_parts.h"

namespace costate::diffusers {

/// Betas, prediction_type, thresholding, sigmas, flow sigmas; with spacing, or without.
inline const Keys vp_keys_but_spacing = beta_keys + threshold_keys + sigma_keys + flow_keys + Keys{"prediction_type"};
inline const Keys vp_keys = vp_keys_but_spacing + spacing_keys;

/// Indices below which lambda is above lambda_min_clipped.
int last_index(const Config& c, const Schedule& schedule);

struct VpClass {
  bool to_first_sigma = false;       ///< ends at the table's first sigma, with no final_sigmas_type
  bool ends_where_respaced = false;  ///< ... or at the last one that the spacing of sigmas gives
  bool unipc_flow = false;           ///< flow sigmas from 1 down, with shift_terminal
};
/// Also reads final_sigmas_type, use_lu_lambdas, lambda_min_clipped, rescale_betas_zero_snr, sigma_min, sigma_max.
Scheduler vp_scheduler(const VpClass& of, const Config& c, bool compat, std::function<Method(int steps)> method);

}  // namespace costate::diffusers
