// Latent pipelines: text from the start file, pixels through the autoencoder, gradients all the way. Needs shared/.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <iostream>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/sum.h"
#include "core/random.h"
#include "io/hdf5.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "tests/nn/small_networks.h"
#include "tests/tools/command.h"
#include "tools/c/costate.h"
#include "tools/model/latent.h"

using namespace costate;
namespace fs = std::filesystem;
using costate::test::Folder;
using costate::test::largest_difference;
using costate::test::run;

namespace {

const fs::path networks = shared_dir() / "fixtures/networks";

bool available() {
  const bool there = fs::exists(networks / "diffusers-vae-kl");
  if (!there) std::cerr << "SKIPPED: latent pipelines: no " << networks.string() << " (set COSTATE_SHARED)\n";
  return there;
}

/// A pipeline's folder made of the fixtures of its parts.
void make_pipeline(const Folder& folder, const std::string& part, const fs::path& network) {
  fs::copy(network, folder / part);
  fs::remove(folder / part / "scheduler_config.json");
  fs::copy(networks / "diffusers-vae-kl", folder / "vae");
  fs::create_directory(folder / "scheduler");
  test::spill(folder / "scheduler" / "scheduler_config.json",
              R"({"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
                  "beta_end": 0.012, "clip_sample": false, "steps_offset": 1})");
}

Tensor noise(std::uint64_t seed, const Shape& shape) { return normal_noise(seed, 0, 1, 0, shape).reshaped(shape); }

void write(const fs::path& file, const std::vector<std::pair<std::string, Tensor>>& entries) {
  Hdf5Writer out(file);
  for (const auto& [name, value] : entries) out.write(name, value);
  out.finish();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(latent)

BOOST_AUTO_TEST_CASE(samples_are_decoded_and_differentiated_through_the_autoencoder) {
  if (!available()) return;
  const Folder folder;
  make_pipeline(folder, "unet", networks / "diffusers-cond-sd1/unet");
  const std::string pipeline = (folder / "").string(), start = (folder / "start.h5").string();
  const Tensor x_T = noise(1, {2, 8, 8, 4}), z = noise(2, {2, 3, 24}), z_null = noise(3, {1, 3, 24}),
               w = noise(4, {2, 16, 16, 3}), v = noise(5, {2, 8, 8, 4}), u = noise(6, {1, 3, 24});
  const std::vector<std::string> how = {"--start", start, "--steps", "3", "--guidance", "2.5", "--dtype", "f64"};
  const auto outcome = [&](const std::string& command, const Tensor& from, const Tensor& null) {
    write(start, {{"x_T", from}, {"z", z}, {"z_null", null}, {"w", w}});
    std::vector<std::string> words{command, pipeline, "--out", (folder / "out.h5").string()};
    words.insert(words.end(), how.begin(), how.end());
    if (command == "grad") words.insert(words.end(), {"--wrt", "x_T,z"});
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(folder / "out.h5");
  };
  const auto drawn = outcome("sample", x_T, z_null);
  const Model model = load_model(pipeline, {.dtype = DType::f64});
  const auto space = latent_space(model);
  BOOST_REQUIRE(space.has_value());
  BOOST_TEST((drawn.shape("x") == Shape{2, 16, 16, 3}));
  BOOST_TEST(largest_difference(space->decode(drawn.read("latents")), drawn.read("x")) <= 1e-13);
  Inputs scaled;
  scaled.x = drawn.read("latents") / 0.18215;
  BOOST_TEST(largest_difference((*space->decoder)(scaled), drawn.read("x")) <= 1e-12);

  const auto g = outcome("grad", x_T, z_null);
  const double h = 1e-5;
  const auto loss = [&](double along_x, double along_z) {
    return outcome("grad", x_T + along_x * v, z_null + along_z * u).read("loss").item();
  };
  const double slope_x = (loss(h, 0) - loss(-h, 0)) / (2 * h), slope_z = (loss(0, h) - loss(0, -h)) / (2 * h);
  BOOST_TEST(std::abs(inner(g.read("g_x_T"), v).item() / slope_x - 1) <= 1e-6);
  BOOST_TEST(std::abs(inner(g.read("g_z_null"), u).item() / slope_z - 1) <= 1e-6);
}

BOOST_AUTO_TEST_CASE(the_c_interface_decodes_as_the_command) {
  if (!available()) return;
  const Folder folder;
  make_pipeline(folder, "unet", networks / "diffusers-cond-sd1/unet");
  const std::string pipeline = (folder / "").string(), out = (folder / "out.h5").string();
  const std::vector<std::string> names{"x_T", "z", "w"};
  const Tensor values[] = {noise(1, {2, 8, 8, 4}), noise(2, {2, 3, 24}), noise(4, {2, 16, 16, 3})};
  write(folder / "start.h5", {{"x_T", values[0]}, {"z", values[1]}, {"w", values[2]}});
  std::vector<costate_array> arrays;
  for (std::size_t i = 0; i < names.size(); ++i) {
    arrays.push_back({names[i].c_str(), values[i].data<double>(), values[i].rank(), {}});
    std::copy(values[i].shape().begin(), values[i].shape().end(), arrays.back().shape);
  }
  costate_model* model = nullptr;
  BOOST_REQUIRE_MESSAGE(costate_open(pipeline.c_str(), nullptr, &model) == COSTATE_OK, costate_error());
  costate_sampling how = COSTATE_SAMPLING_DEFAULTS;
  how.steps = 2, how.inputs = arrays.data();
  for (const std::string command : {"sample", "grad"}) {
    costate_result* result = nullptr;
    how.input_count = command == "sample" ? 2 : 3;
    const auto status = command == "sample" ? costate_sample(model, &how, &result)
                                            : costate_grad(model, &how, nullptr, "x_T,z", &result);
    BOOST_REQUIRE_MESSAGE(status == COSTATE_OK, costate_error());
    std::vector<std::string> words{command,   pipeline, "--start", (folder / "start.h5").string(),
                                   "--steps", "2",      "--out",   out};
    if (command == "grad") words.insert(words.end(), {"--wrt", "x_T,z"});
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    const Hdf5Reader file(out);
    for (const char* name : {"x", "latents", "x_0", "pixels", "loss", "g_x_T", "g_z"}) {
      const costate_array* found = costate_result_find(result, name);
      BOOST_TEST((found != nullptr) == file.contains(name), command << ", " << name);
      if (found == nullptr || !file.contains(name)) continue;
      const auto want = file.read(name).to_vector();
      BOOST_TEST((std::vector<double>(found->data, found->data + want.size()) == want), command << ", " << name);
    }
    costate_result_free(result);
  }
  costate_close(model);
}

BOOST_AUTO_TEST_CASE(pictures_are_encoded_through_the_autoencoder_and_come_back) {
  if (!available()) return;
  const Folder folder;
  make_pipeline(folder, "unet", networks / "diffusers-cond-sd1/unet");
  const std::string pipeline = (folder / "").string(), code = (folder / "code.h5").string();
  const Tensor pixels = 0.3 * noise(1, {2, 16, 16, 3}), z = noise(2, {2, 3, 24});
  write(folder / "in.h5", {{"x", pixels}, {"z", z}});
  const std::vector<std::string> how = {"--sampler", "rex", "--steps", "3", "--dtype", "f64", "--out"};
  const auto done = [&](std::vector<std::string> words, const std::string& out) {
    words.insert(words.end(), how.begin(), how.end());
    words.push_back(out);
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(out);
  };
  const auto encoded = done({"encode", pipeline, "--in", (folder / "in.h5").string()}, code);
  const Model vae = load_model((folder / "vae").string(), {.dtype = DType::f64});
  Inputs in;
  in.x = pixels;
  const Tensor mean = slice((*vae.network->part("encode"))(in), -1, 0, 4);
  BOOST_TEST(largest_difference(encoded.read("x_0"), 0.18215 * mean) <= 1e-12);
  const auto again = done({"sample", pipeline, "--start", code}, (folder / "again.h5").string());
  BOOST_TEST(largest_difference(again.read("latents"), encoded.read("x_0")) <= 1e-9);
}

BOOST_AUTO_TEST_CASE(a_network_with_an_encoder_finds_its_condition) {
  if (!available()) return;
  const Folder folder;
  const std::string model = (networks / "diffae/model.pt").string(), code = (folder / "code.h5").string();
  const Tensor x = Hdf5Reader(networks / "diffae/in_encode.h5").read("x");
  write(folder / "in.h5", {{"x", x}});
  const auto o = run({"encode", model, "--in", (folder / "in.h5").string(), "--sampler", "o-belm", "--steps", "4",
                      "--dtype", "f64", "--out", code});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  BOOST_TEST(largest_difference(Hdf5Reader(code).read("z"), Hdf5Reader(networks / "diffae/ref_encode.h5").read("y")) <=
             1e-11);
  const auto back = run({"sample", model, "--start", code, "--sampler", "o-belm", "--steps", "4", "--dtype", "f64",
                         "--out", (folder / "again.h5").string()});
  BOOST_REQUIRE_MESSAGE(back.code == 0, back.err);
  BOOST_TEST(largest_difference(Hdf5Reader(folder / "again.h5").read("x"), x) <= 1e-9);
}

BOOST_AUTO_TEST_CASE(guide_optimises_latents_under_losses_of_pixels) {
  if (!available()) return;
  const Folder folder;
  make_pipeline(folder, "unet", networks / "diffusers-cond-sd1/unet");
  const std::string pipeline = (folder / "").string(), start = (folder / "start.h5").string(),
                    target = (folder / "target.png").string(), png = (folder / "path.png").string();
  write(start, {{"x_T", noise(1, {2, 16, 16, 4})}, {"z", noise(2, {2, 3, 24})}});
  write_png(target, Tensor::full({32, 32, 3}, 0.25, DType::f64));
  const auto guide = [&](const std::string& loss) {
    return run({"guide",  pipeline, "--start",    start, "--steps", "2",   "--iterations", "3",
                "--rate", "0.02",   "--loss",     loss,  "--dtype", "f64", "--out",        (folder / "out.h5").string(),
                "--out",  png,      "--pictures", "2"});
  };
  const auto o = guide("image:" + target);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const Hdf5Reader found(folder / "out.h5");
  BOOST_TEST((found.shape("x_0") == Shape{2, 16, 16, 4}));
  BOOST_TEST((found.shape("pixels") == Shape{2, 32, 32, 3}));
  const auto losses = found.read("losses").to_vector();
  const Tensor off = found.read("pixels") + (1 - 128.0 / 255);  // 0.25 in 8 bits, 64 of 255, in the range of the pixels
  BOOST_TEST(std::abs(found.number("", "loss").value() - inner(off, off).item() / static_cast<double>(off.size())) <
             1e-4);
  BOOST_TEST(found.number("", "loss").value() < losses.front());
  BOOST_TEST(read_png(png).dim(2) == 3);
  write_png(target, Tensor::full({8, 8, 3}, 0.25, DType::f64));
  const auto wrong = guide("image:" + target);
  BOOST_TEST((wrong.code == 1 && wrong.err.find("(32, 32, 3)") != std::string::npos), wrong.err);
}

BOOST_AUTO_TEST_CASE(labels_without_rows_guide_and_the_learned_variance_is_left_out) {
  if (!available()) return;
  const Folder folder;
  make_pipeline(folder, "transformer", networks / "diffusers-dit");
  const std::vector<std::string> base = {"sample", (folder / "").string(), "-n", "2", "--steps", "2", "--class", "3,9"};
  const auto x = [&](const std::string& guidance) {
    std::vector<std::string> words = base;
    words.insert(words.end(), {"--guidance", guidance, "--out", (folder / "out.h5").string()});
    const auto o = run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(folder / "out.h5").read("x");
  };
  const Tensor plain = x("1");
  BOOST_TEST((plain.shape() == Shape{2, 16, 16, 3}));
  BOOST_TEST(first_non_finite(plain) == -1);
  BOOST_TEST(largest_difference(plain, x("3")) > 1e-3);
}

BOOST_AUTO_TEST_CASE(text_is_asked_for) {
  if (!available()) return;
  const std::string model = (networks / "diffusers-cond-sdxl").string();
  const auto without = run({"sample", model, "-n", "1", "--steps", "2"});
  BOOST_TEST(without.code == 1);
  BOOST_TEST(without.err.find("text_embeds") != std::string::npos, without.err);
  const auto picture = run({"sample", (networks / "diffusers-cond-sd2").string(), "-n", "1", "--out", "latents.png"});
  BOOST_TEST(picture.code == 1);
  BOOST_TEST(picture.err.find("write .h5 instead") != std::string::npos, picture.err);
}

// A start file may bring the text alone: then --seed draws x_T, as it does without a file.
BOOST_AUTO_TEST_CASE(text_without_noise_is_enough) {
  if (!available()) return;
  const Folder folder;
  make_pipeline(folder, "unet", networks / "diffusers-cond-sd1/unet");
  const std::string pipeline = (folder / "").string(), text = (folder / "text.h5").string(),
                    both = (folder / "both.h5").string(), out = (folder / "out.h5").string();
  const Tensor z = noise(2, {2, 3, 24});
  write(text, {{"z", z}});
  write(both, {{"z", z}, {"x_T", normal_noise(7, 0, 2, 0, {16, 16, 4})}});
  const auto latents = [&](const std::string& start) {
    const auto o = run({"sample", pipeline, "--start", start, "-n", "2", "--seed", "7", "--steps", "2", "--out", out});
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(out).read("latents");
  };
  BOOST_TEST(largest_difference(latents(text), latents(both)) == 0);
  const auto few = run({"sample", pipeline, "--start", text, "-n", "3"});
  BOOST_TEST((few.code == 2 && few.err.find("holds 2 samples of z") != std::string::npos), few.err);
  write(text, {{"xT", z}});
  const auto neither = run({"sample", pipeline, "--start", text});
  BOOST_TEST((neither.code == 1 && neither.err.find("holds no x_T") != std::string::npos), neither.err);
  fs::create_directory(folder / "vqvae");
  const auto quantised = run({"sample", pipeline, "--start", both});
  BOOST_TEST((quantised.code == 1 && quantised.err.find("vqvae/, a quantising") != std::string::npos), quantised.err);
}

BOOST_AUTO_TEST_CASE(a_tiny_autoencoder_makes_the_pictures) {
  const fs::path decoder = shared_dir() / "weights/taef2-autoencoder/taef2_decoder.pth";
  if (!fs::exists(decoder)) {
    std::cerr << "SKIPPED: latents of a tiny autoencoder: no " << decoder.string() << " (set COSTATE_SHARED)\n";
    return;
  }
  const Folder folder;
  fs::create_directory(folder / "unet");
  fs::create_directory(folder / "vae");
  const std::string config = small::unet2d_json(R"("in_channels": 32, "out_channels": 32, "sample_size": 4)");
  std::vector<std::pair<std::string, Tensor>> entries;
  for (const auto& p : small::filled(*small::from_config(config), DType::f32)->parameters())
    entries.emplace_back(p.key, to_file_layout(p.value, p.layout, file_shape(p.value.shape(), p.layout)));
  write_safetensors(folder / "unet" / "diffusion_pytorch_model.safetensors", entries, {});
  test::spill(folder / "unet" / "config.json", config);
  fs::copy(decoder, folder / "vae" / "model.pth");
  test::spill(folder / "vae" / "config.json", R"({"family": "tiny_autoencoder"})");
  const std::string pipeline = (folder / "").string(), out = (folder / "out.h5").string();
  const auto o =
      run({"sample", pipeline, "-n", "2", "--steps", "2", "--out", out, "--out", (folder / "out.png").string()});
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  const auto space = latent_space(load_model(pipeline));
  BOOST_REQUIRE(space.has_value());
  BOOST_TEST((space->range == unit_range()));
  const Hdf5Reader drawn(out);
  BOOST_TEST((drawn.shape("x") == Shape{2, 32, 32, 3}));
  Inputs in;
  in.x = cast(drawn.read("latents"), DType::f32);
  BOOST_TEST(largest_difference((*load_model(decoder.string()).network)(in), drawn.read("x")) == 0);
  const std::string target = (folder / "target.png").string();
  write_png(target, Tensor::full({32, 32, 3}, 0.25, DType::f64));
  const std::string gradient = (folder / "g.h5").string();
  const auto g = run({"grad", pipeline, "-n", "2", "--steps", "2", "--loss", "image:" + target, "--out", gradient});
  BOOST_REQUIRE_MESSAGE(g.code == 0, g.err);
  const Hdf5Reader derived(gradient);
  const Tensor x = derived.read("pixels"), off = x - broadcast_to(read_png(target).reshaped({1, 32, 32, 3}), x.shape());
  const double want = inner(off, off).item() / static_cast<double>(x.size());
  BOOST_TEST(std::abs(derived.read("loss").item() - want) <= 1e-12 * want);
}

BOOST_AUTO_TEST_SUITE_END()
