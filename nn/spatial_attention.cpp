// Building the attention of one place in a U-Net.
#include "nn/spatial_attention.h"

namespace costate {

SpatialAttention::SpatialAttention(const AttentionChoice& plan, std::int64_t channels, std::size_t index) {
  constexpr std::int64_t context_groups = 32;  // whatever the width, as in diffusers
  switch (plan.kind) {
    case AttentionChoice::Kind::none:
    case AttentionChoice::Kind::k:
      fail("attention: none was asked for");
    case AttentionChoice::Kind::pixels: {
      const auto norm = plan.groups ? std::optional(GroupNorm(channels, *plan.groups, plan.eps)) : std::nullopt;
      pixels.emplace(AttentionPlan{.channels = channels,
                                   .heads = channels / plan.head_width,  // what is left over is not attended to
                                   .head_width = plan.head_width,
                                   .norm = norm,
                                   .divisor = plan.divisor});
      return;
    }
    case AttentionChoice::Kind::transformer: {
      const std::int64_t depth = plan.depths.size() == 1 ? plan.depths[0] : plan.depths.at(index);
      const std::int64_t layers = plan.dual ? 1 : depth;  // whatever the configuration says, as in diffusers
      const Transformer2D one(channels, plan.groups.value_or(1), plan.heads, layers, plan.context, plan.only_context);
      if (plan.dual)
        dual.emplace(DualTransformer{{one, one}});
      else
        transformer = one;
      return;
    }
    case AttentionChoice::Kind::added:
      added.emplace(channels, plan.groups.value_or(1), plan.head_width, plan.context, plan.only_context);
      if (plan.context_norm == AttentionChoice::ContextNorm::layer) added->layer_cross.emplace(channels);
      if (plan.context_norm == AttentionChoice::ContextNorm::group)
        added->group_cross.emplace(plan.context, context_groups, 1e-5);
  }
}

}  // namespace costate
