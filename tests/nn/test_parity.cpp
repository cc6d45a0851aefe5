// Networks against reference evaluations in f64: outputs and every gradient, in f64 and f32.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "parity.h"

namespace {

using namespace costate;

struct Fixture {
  std::string name;
  std::string config;  ///< below shared/, or empty
  std::string weights, in, ref;
};

std::ostream& operator<<(std::ostream& out, const Fixture& f) { return out << f.name; }

Fixture diffusers(const std::string& name, const std::string& folder, const std::string& unet,
                  const std::string& file) {
  const std::string base = folder + name + "/";
  return {name, base + unet + "config.json", base + unet + file, base + "in.h5", base + "ref.h5"};
}

Fixture celeba(const std::string& name, const std::string& file) {
  const std::string base = "weights/celeba-multiscale/";
  return {name, "", base + file, base + name + ".in.h5", base + name + ".ref.h5"};
}

std::vector<Fixture> fixtures() {
  const std::string networks = "fixtures/networks/", safe = "diffusion_pytorch_model.safetensors";
  return {diffusers("diffusers-ddpm", networks, "unet/", safe),
          diffusers("diffusers-ddpm-oldkeys", networks, "", "diffusion_pytorch_model.bin"),
          diffusers("diffusers-unet2d-defaults", networks, "", safe),
          diffusers("diffusers-unet2d-scaleshift", networks, "", safe),
          diffusers("diffusers-unet2d-learned", networks, "", safe),
          diffusers("diffusers-ncsnpp", networks, "", safe),
          diffusers("fashion-unet", "weights/", "unet/", safe),
          celeba("low40", "low40.pt"),
          celeba("flat160", "flat160_rf43.pt"),
          celeba("scale0", "c320_rf13_scale0.pt"),
          celeba("scale1", "c320_rf13_scale1.pt"),
          celeba("scale2", "c320_rf13_scale2.pt")};
}

void check(const Fixture& f, DType dtype, double outputs, double weights) {
  if (!parity::available(f.ref)) return;
  const Config config = f.config.empty() ? Config() : parity::read_config(parity::find(f.config));
  const auto loaded = parity::load(config, parity::find(f.weights), dtype);
  const auto e = parity::compare(loaded, parity::find(f.in), parity::find(f.ref), dtype);
  BOOST_TEST_MESSAGE(fmt::format("{} {}: y {:.1e} g_x {:.1e} g_theta {:.1e} check {:.1e}", f.name, name_of(dtype), e.y,
                                 e.g_x, e.g_theta, e.g_theta_check));
  BOOST_TEST(e.y <= outputs);
  BOOST_TEST(e.g_x <= outputs);
  BOOST_TEST(e.g_z <= outputs);
  BOOST_TEST(e.g_theta <= std::max(weights, e.g_theta_rounded ? 0x1p-23 : 0));
  BOOST_TEST(e.g_theta_check <= weights);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_parity)

BOOST_DATA_TEST_CASE(f64_reproduces_the_reference, boost::unit_test::data::make(fixtures()), fixture) {
  check(fixture, DType::f64, 1e-12, 1e-12);
}

BOOST_DATA_TEST_CASE(f32_is_as_close_as_f32_allows, boost::unit_test::data::make(fixtures()), fixture) {
  check(fixture, DType::f32, 2e-5, 1e-4);
}

BOOST_AUTO_TEST_SUITE_END()
