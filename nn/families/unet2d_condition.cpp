// Family unet2d_condition: diffusers' UNet2DConditionModel (Stable Diffusion 1, 2 and XL, DeepFloyd IF, Kandinsky, unCLIP).
#include "nn/family.h"
#include "nn/unet2d.h"

namespace costate {

Family unet2d_condition_family() {
  return {"unet2d_condition", "U-Net of latents or images that attends to text: diffusers' UNet2DConditionModel",
          [](const Config& config, const KeyShapes&) -> std::string {
            return config.text("_class_name", "") == "UNet2DConditionModel" ? "_class_name = UNet2DConditionModel" : "";
          },
          [](const Config& config, const KeyShapes&) -> std::shared_ptr<const Network> {
            return std::make_shared<const NetworkOf<UNet2D>>(UNet2D(unet2d_condition_plan(config)));
          }};
}

}  // namespace costate
