// Networks with made-up weights for tests that need no files.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include "nn/family.h"

namespace costate::small {

/// Values that look random and are the same everywhere.
inline Tensor waves(const Shape& shape, DType dtype, double phase, double size = 1) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.size(); ++i)
    values.push_back(size *
                     std::sin(phase + 12.9898 * static_cast<double>(i) + 0.37 * static_cast<double>(i * i % 101)));
  return Tensor::from(values, shape, dtype);
}

/// Every parameter replaced by waves, gains of norms around one.
inline std::shared_ptr<const Network> filled(const Network& ghosts, DType dtype) {
  Tensors values;
  double phase = 0;
  for (const auto& p : ghosts.parameters()) values.push_back(waves(p.value.shape(), dtype, phase += 0.7, 0.3));
  return ghosts.with(values);
}

/// The network of a configuration (JSON) without files.
inline std::shared_ptr<const Network> from_config(const std::string& json) {
  std::string reason;
  const Config config = Config::parse(json, "config.json");
  return find_family(config, {}, reason).make(config, {});
}

/// What is thrown, as text.
inline std::string message(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

inline bool holds(const std::string& text, const std::string& piece) { return text.find(piece) != std::string::npos; }

/// A UNet2D of two levels with further settings, e.g. R"("act_fn": "mish")"; later keys win over earlier ones.
inline std::string unet2d_json(const std::string& settings) {
  return R"({"_class_name": "UNet2DModel", "in_channels": 3, "out_channels": 3, "block_out_channels": [8, 16], "layers_per_block": 1,
             "norm_num_groups": 4, "attention_head_dim": 4, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
             "up_block_types": ["AttnUpBlock2D", "UpBlock2D"])" +
         (settings.empty() ? "" : ", " + settings) + "}";
}

}  // namespace costate::small
