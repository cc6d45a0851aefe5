// What model_index.json says of a pipeline: told by info, refused where its class or parts would be done wrongly. No files needed.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "io/hdf5.h"
#include "io/safetensors.h"
#include "tests/nn/small_networks.h"
#include "tests/tools/command.h"

using namespace costate;
using costate::test::Folder;
using costate::test::run;
using costate::test::spill;
namespace fs = std::filesystem;

namespace {

const std::string conditional =
    R"({"_class_name": "UNet2DConditionModel", "block_out_channels": [8, 16], "norm_num_groups": 4,
  "attention_head_dim": 2, "cross_attention_dim": 12, "layers_per_block": 1, "sample_size": 4,
  "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"])";

/// A pipeline's folder, of a network made by formulas.
std::string pipeline(const Folder& folder, const std::string& config, const std::string& index) {
  fs::create_directory(folder / "unet");
  std::vector<std::pair<std::string, Tensor>> entries;
  for (const auto& p : small::filled(*small::from_config(config), DType::f32)->parameters())
    entries.emplace_back(p.key, to_file_layout(p.value, p.layout, file_shape(p.value.shape(), p.layout)));
  write_safetensors(folder / "unet" / "model.safetensors", entries);
  spill(folder / "unet" / "config.json", config);
  if (!index.empty()) spill(folder / "model_index.json", index);
  Hdf5Writer start(folder / "start.h5");
  start.write("z", small::waves({2, 3, 12}, DType::f32, 1));
  start.finish();
  return (folder / "").string();
}

test::Outcome sampled(const Folder& folder, const std::string& model) {
  return run({"sample", model, "--start", (folder / "start.h5").string(), "-n", "2", "--steps", "2"});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pipelines)

BOOST_AUTO_TEST_CASE(info_tells_the_class_and_the_parts_that_are_not_run) {
  const Folder folder;
  const auto model = pipeline(
      folder, conditional + "}",
      R"({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0", "requires_safety_checker": true,
      "unet": ["diffusers", "UNet2DConditionModel"], "text_encoder": ["transformers", "CLIPTextModel"], "safety_checker": [null, null]})");
  const auto told = run({"info", model, "--json"});
  BOOST_REQUIRE_MESSAGE(told.code == 0, told.err);
  const auto j = nlohmann::json::parse(told.out);
  BOOST_TEST(j.value("pipeline", "") == "StableDiffusionPipeline");
  BOOST_TEST(j["not_run"] == nlohmann::json({"text_encoder"}));
  BOOST_TEST(sampled(folder, model).code == 0);
}

BOOST_AUTO_TEST_CASE(a_part_that_is_named_but_not_there_is_missed) {
  const Folder folder;
  const auto of = [&](const std::string& part) {
    return pipeline(folder, conditional + "}",
                    R"({"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], ")" +
                        part + R"(": ["diffusers", "A"]})");
  };
  const auto expect = [&](const test::Outcome& o, const std::string& text) {
    BOOST_TEST(o.code == 1);
    BOOST_TEST(o.err.find(text) != std::string::npos, o.err);
  };
  const auto without_vae = of("vae");
  expect(sampled(folder, without_vae), "no " + (folder / "vae/config.json").string());
  expect(sampled(folder, without_vae), "for latents alone name " + (folder / "unet").string());
  expect(run({"convert", without_vae, "--out", (folder / "all.h5").string()}),
         "convert " + (folder / "unet").string() + " and " + (folder / "vae").string());
  const auto without_scheduler = of("scheduler");
  expect(sampled(folder, without_scheduler), "no " + (folder / "scheduler/scheduler_config.json").string());
  spill(folder / "ddim.json", R"({"_class_name": "DDIMScheduler", "clip_sample": false})");
  const std::string start = (folder / "start.h5").string(), scheduler = (folder / "ddim.json").string();
  BOOST_TEST(run({"sample", without_scheduler, "--start", start, "--steps", "2", "--scheduler", scheduler}).code == 0);
  BOOST_TEST(run({"convert", without_scheduler, "--out", (folder / "all.h5").string()}).code == 0);
}

BOOST_AUTO_TEST_CASE(a_part_that_steers_is_refused_by_name) {
  const Folder folder;
  const auto model = pipeline(folder, conditional + "}",
                              R"({"_class_name": "StableDiffusionControlNetPipeline",
      "unet": ["diffusers", "UNet2DConditionModel"], "controlnet": ["diffusers", "ControlNetModel"]})");
  BOOST_TEST(run({"info", model}).code == 0);
  const auto told = sampled(folder, model);
  BOOST_TEST(told.code == 1);
  BOOST_TEST(told.err.find("StableDiffusionControlNetPipeline steers the network by its part 'controlnet'") !=
                 std::string::npos,
             told.err);
  BOOST_TEST(sampled(folder, (folder / "unet").string()).code == 0);
}

BOOST_AUTO_TEST_CASE(further_images_beside_the_noise_are_refused) {
  const Folder folder;
  const auto model = pipeline(folder, conditional + R"(, "in_channels": 9, "out_channels": 4})",
                              R"({"_class_name": "StableDiffusionInpaintPipeline"})");
  const auto told = sampled(folder, model);
  BOOST_TEST(told.code == 1);
  BOOST_TEST(told.err.find("StableDiffusionInpaintPipeline reads 9 channels and returns 4") != std::string::npos,
             told.err);
}

BOOST_AUTO_TEST_CASE(a_distilled_guidance_weight_must_be_given) {
  const Folder folder;
  const auto model = pipeline(folder, conditional + R"(, "time_cond_proj_dim": 6})",
                              R"({"_class_name": "LatentConsistencyModelPipeline"})");
  const auto told = sampled(folder, model);
  BOOST_TEST(told.code == 1);
  BOOST_TEST(told.err.find("timestep_cond (n, ...) of (6)") != std::string::npos, told.err);
  BOOST_TEST(sampled(folder, (folder / "unet").string()).code == 0);
}

BOOST_AUTO_TEST_SUITE_END()
