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

/// The configuration of a part that is run here.
fs::path config_of(const Pipeline& pipeline, const std::string& part) {
  return pipeline.folder / part / (part == "scheduler" ? "scheduler_config.json" : "config.json");
}

}  // namespace

std::optional<Pipeline> pipeline_of(const Model& model) {
  Pipeline p{.folder = model.file.parent_path().parent_path(), .name = {}, .parts = {}, .left_out = {}};
  std::error_code none;
  if (model.is_exact() || !fs::equivalent(model.name, p.folder, none)) return std::nullopt;
  const fs::path index = p.folder / "model_index.json";
  if (!fs::exists(index)) return p;
  const Config config = Config::parse(read_text(index), index.string());
  p.name = config.text("_class_name", "");
  const auto parts = nlohmann::json::parse(config.dump());
  for (const auto& [part, of] : parts.items()) {  // [library, class], or [null, null] where it was left out
    const bool there = of.is_array() && of.size() == 2 && of[1].is_string();
    if (!there) continue;
    p.parts.push_back(part);
    if (!is_among(run_here, part)) p.left_out.push_back(part);
  }
  return p;
}

bool has_part(const Pipeline& pipeline, const std::string& part) {
  const auto named = std::find(pipeline.parts.begin(), pipeline.parts.end(), part) != pipeline.parts.end();
  return named || fs::exists(config_of(pipeline, part));
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
  for (const auto& [part, otherwise] : {std::pair<std::string, std::string>{"scheduler", "give another scheduler"},
                                        {"vae", "for latents alone name " + own}}) {
    const fs::path file = config_of(pipeline, part);
    const bool settled = part == "scheduler" && !model.scheduler().keys().empty();
    require(settled || !has_part(pipeline, part) || fs::exists(file),
            "{}: model_index.json names a part '{}', but there is no {}; complete the folder, or {}", model.name, part,
            file.string(), otherwise);
  }
  const Signature s = model.network->signature();
  const std::int64_t in = s.input[-1];
  require(s.out_channels == in || s.out_channels == 2 * in,
          "{}: the network of this {} reads {} channels and returns {}; pipelines that lay further images beside the "
          "noise (inpainting, editing, upscaling) are not supported, eval of the network is",
          model.name, pipeline.name.empty() ? "pipeline" : pipeline.name, in, s.out_channels);
}

}  // namespace costate
