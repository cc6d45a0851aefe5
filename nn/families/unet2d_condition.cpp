// Family unet2d_condition: diffusers' UNet2DConditionModel (Stable Diffusion 1, 2 and XL, DeepFloyd IF, Kandinsky, unCLIP).
#include "nn/family.h"
#include "nn/sizes.h"
#include "nn/unet2d.h"

namespace costate {

Family unet2d_condition_family() {
  return {"unet2d_condition", "U-Net of latents or images that attends to text: diffusers' UNet2DConditionModel",
          [](const Config& config, const KeyShapes&) -> std::string {
            return config.text("_class_name", "") == "UNet2DConditionModel" ? "_class_name = UNet2DConditionModel" : "";
          },
          network_by([](const Config& config) {
            refuse_unknown(
                config,
                "sample_size in_channels out_channels center_input_sample flip_sin_to_cos freq_shift "
                "down_block_types mid_block_type up_block_types only_cross_attention block_out_channels "
                "layers_per_block downsample_padding mid_block_scale_factor dropout act_fn norm_num_groups norm_eps "
                "cross_attention_dim transformer_layers_per_block reverse_transformer_layers_per_block "
                "encoder_hid_dim encoder_hid_dim_type attention_head_dim num_attention_heads dual_cross_attention "
                "use_linear_projection class_embed_type addition_embed_type addition_time_embed_dim num_class_embeds "
                "upcast_attention resnet_time_scale_shift resnet_skip_time_act resnet_out_scale_factor "
                "time_embedding_type time_embedding_dim time_embedding_act_fn timestep_post_act time_cond_proj_dim "
                "conv_in_kernel conv_out_kernel projection_class_embeddings_input_dim attention_type "
                "class_embeddings_concat mid_block_only_cross_attention cross_attention_norm "
                "addition_embed_type_num_heads");
            return UNet2D(unet2d_condition_plan(config));
          })};
}

}  // namespace costate
