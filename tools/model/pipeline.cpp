// Reading model_index.json, and what of pipelines would be done wrongly here.
#include "tools/model/pipeline.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"

namespace costate {
namespace {

namespace fs = std::filesystem;

/// Parts that change what the network returns, at every step.
constexpr const char* steering[] = {"controlnet", "adapter", "t2i_adapter"};
constexpr const char* quantising[] = {"vqvae", "movq"};
constexpr const char* run_here[] = {"unet", "transformer", "vae", "scheduler"};

template <std::size_t N>
bool is_among(const char* const (&names)[N], const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

std::optional<Pipeline> pipeline_of(const Model& model) {
  Pipeline p{.folder = model.file.parent_path().parent_path(), .name = {}, .left_out = {}};
  std::error_code none;
  if (model.is_exact() || !fs::equivalent(model.name, p.folder, none)) return std::nullopt;
  const fs::path index = p.folder / "model_index.json";
  if (!fs::exists(index)) return p;
  const Config config = Config::parse(read_text(index), index.string());
  p.name = config.text("_class_name", "");
  const auto parts = nlohmann::json::parse(config.dump());
  for (const auto& [part, of] : parts.items()) {  // [library, class], or [null, null] where it was left out
    const bool there = of.is_array() && of.size() == 2 && of[1].is_string();
    if (there && !is_among(run_here, part)) p.left_out.push_back(part);
  }
  return p;
}

void require_samplable(const Pipeline& pipeline, const Model& model) {
  const std::string own = model.file.parent_path().string();
  for (const char* other : quantising)
    require(!fs::exists(pipeline.folder / other),
            "{}: its latents are decoded by {}/, a quantising autoencoder, which is not supported; for latents alone "
            "name {}",
            model.name, other, own);
  for (const auto& part : pipeline.left_out)
    require(!is_among(steering, part),
            "{}: {} steers the network by its part '{}', which is not supported; for the network without it name {}",
            model.name, pipeline.name, part, own);
  const Signature s = model.network->signature();
  const std::int64_t in = s.input[-1];
  require(s.out_channels == in || s.out_channels == 2 * in,
          "{}: the network of this {} reads {} channels and returns {}; pipelines that lay further images beside the "
          "noise (inpainting, editing, upscaling) are not supported, eval of the network is",
          model.name, pipeline.name.empty() ? "pipeline" : pipeline.name, in, s.out_channels);
}

}  // namespace costate
