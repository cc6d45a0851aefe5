// Family unet2d: diffusers' UNet2DModel (DDPM, DDIM, score-SDE and consistency checkpoints of images).
#include "nn/unet2d.h"
#include "nn/family.h"
#include "nn/sizes.h"

namespace costate {

Family unet2d_family() {
  return {"unet2d", "U-Net of images with time and labels: diffusers' UNet2DModel, all block types",
          [](const Config& config, const KeyShapes&) -> std::string {
            const std::string name = config.text("_class_name", "");
            if (name == "UNet2DModel") return "_class_name = UNet2DModel";
            // The first files of diffusers have no class name. Conditional U-Nets and autoencoders, which list blocks
            // too, have.
            return name.empty() && config.has("down_block_types") && config.has("up_block_types")
                       ? "down_block_types and up_block_types"
                       : "";
          },
          network_by([](const Config& config) {
            refuse_unknown(
                config,
                "sample_size in_channels out_channels center_input_sample time_embedding_type time_embedding_dim "
                "freq_shift flip_sin_to_cos down_block_types mid_block_type up_block_types block_out_channels "
                "layers_per_block mid_block_scale_factor downsample_padding downsample_type upsample_type dropout "
                "act_fn attention_head_dim norm_num_groups attn_norm_num_groups norm_eps resnet_time_scale_shift "
                "add_attention class_embed_type num_class_embeds num_train_timesteps");
            return UNet2D(unet2d_plan(config));
          })};
}

}  // namespace costate
