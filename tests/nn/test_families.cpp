// Recognising families, and the two small ones.
#include <boost/test/unit_test.hpp>

#include "parity.h"
#include "small_networks.h"

namespace {

using namespace costate;
using small::waves;

const KeyShapes denoiser_keys = {{"conv_layers.0.weight", {8, 1, 3, 3}},
                                 {"conv_layers.1.weight", {8, 8, 1, 1}},
                                 {"conv_layers.2.weight", {1, 8, 3, 3}},
                                 {"BN_layers.0.running_sd", {1, 8, 1, 1}},
                                 {"BN_layers.0.gammas", {1, 8, 1, 1}}};

std::string family_of(const std::string& json, const KeyShapes& keys) {
  std::string reason;
  const std::string name = find_family(Config::parse(json, "config.json"), keys, reason).name;
  BOOST_TEST(!reason.empty());
  return name;
}

std::string refusal(const std::string& json, const KeyShapes& keys) {
  try {
    return "found " + family_of(json, keys);
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_families)

BOOST_AUTO_TEST_CASE(families_are_recognised) {
  BOOST_TEST(family_of(R"({"_class_name": "UNet2DModel"})", {}) == "unet2d");
  BOOST_TEST(family_of(R"({"down_block_types": [], "up_block_types": []})", {}) == "unet2d");
  BOOST_TEST(family_of(R"({"_class_name": "UNet2DConditionModel"})", {}) == "unet2d_condition");
  BOOST_TEST(family_of(R"({"_class_name": "AutoencoderKL"})", {}) == "autoencoder_kl");
  BOOST_TEST(family_of(R"({"_class_name": "DiTTransformer2DModel"})", {}) == "dit");
  BOOST_TEST(family_of("{}", denoiser_keys) == "multiscale_denoiser");
  BOOST_TEST(family_of(R"({"family": "tiny_eps_net"})", {}) == "tiny_eps_net");
}

BOOST_AUTO_TEST_CASE(the_unknown_is_refused_by_name) {
  const std::string misspelt = refusal(R"({"family": "unet2"})", {});
  BOOST_TEST(misspelt.find("did you mean unet2d") != std::string::npos, misspelt);
  const std::string other =
      refusal(R"({"_class_name": "UNet3DConditionModel", "down_block_types": [], "up_block_types": []})", {});
  BOOST_TEST(other.find("UNet3DConditionModel") != std::string::npos, other);
  BOOST_TEST(other.find("multiscale_denoiser") != std::string::npos, other);
  BOOST_TEST(refusal("{}", {{"fc.weight", {3, 3}}}).find("fc.weight") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(every_family_refuses_an_option_nobody_knows) {
  for (const auto& family : families()) {
    const Config config =
        Config::parse(fmt::format(R"({{"family": "{}", "act_fun": "silu"}})", family.name), "config.json");
    std::string message = "nothing was thrown";
    try {
      static_cast<void>(family.make(config, {}));
    } catch (const Error& e) {
      message = e.what();
    }
    BOOST_TEST(message.find("config.json") != std::string::npos, family.name << ": " << message);
    BOOST_TEST(message.find("act_fun") != std::string::npos, family.name << ": " << message);
  }
}

BOOST_AUTO_TEST_CASE(the_denoiser_is_homogeneous) {
  std::string reason;
  const auto network = small::filled(*find_family({}, denoiser_keys, reason).make({}, denoiser_keys), DType::f32);
  const Signature s = network->signature();
  BOOST_TEST(!s.takes_time);
  BOOST_TEST(s.defaults.find("noise") != std::string::npos);
  BOOST_TEST((s.input == Shape{40, 40, 1}));
  Inputs in, doubled;
  in.x = waves({2, 5, 6, 1}, DType::f32, 1);
  doubled.x = waves({2, 5, 6, 1}, DType::f32, 1, 2);
  const std::vector<double> y = (*network)(in).to_vector(), twice = (*network)(doubled).to_vector();
  for (std::size_t i = 0; i < y.size(); ++i) BOOST_TEST(2 * y[i] == twice[i]);
}

BOOST_AUTO_TEST_CASE(the_denoiser_keeps_its_statistics_constant) {
  std::string reason;
  const auto network = find_family({}, denoiser_keys, reason).make({}, denoiser_keys);
  for (const auto& p : network->parameters()) BOOST_TEST(p.buffer == (p.key == "BN_layers.0.running_sd"));
}

BOOST_AUTO_TEST_CASE(the_tiny_network_reproduces_its_reference) {
  const std::string folder = "fixtures/gradients/";
  if (!parity::available(folder + "inputs.h5")) return;
  const auto base = shared_dir() / folder;
  const Model loaded = load_model((base / "tiny-eps-net.safetensors").string(), {.dtype = DType::f64});
  const Hdf5Reader points(base / "inputs.h5"), truth(base / "truth.h5");
  for (const std::string clock : {"vp-t", "vp-lambda", "ve", "edm"}) {
    const auto alpha = truth.read(clock + "/grid_alpha").to_vector(),
               sigma = truth.read(clock + "/grid_sigma").to_vector();
    Inputs in;
    in.x = points.read(clock + "/x_T");
    in.z = points.read(clock + "/z");
    for (const bool noisy : {true, false}) {
      in.alpha = {noisy ? alpha.front() : alpha.back()};
      in.sigma = {noisy ? sigma.front() : sigma.back()};
      BOOST_TEST(parity::relative((*loaded.network)(in), points.read(clock + (noisy ? "/eps_T" : "/eps_0"))) <= 1e-13);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
