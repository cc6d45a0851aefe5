// Winograd's convolutions on a device (gpu/winograd.h): against the CPU in f64, their promises about bits, and where they are taken.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "core/memory.h"
#include "core/profile.h"
#include "core/random.h"
#include "gpu/winograd.h"
#include "tests/gpu/coarse.h"
#include "tests/gpu/second_run.h"
#include "tests/support/convolved.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

/// Tiles that hang over, pads of 0 to 2 and a crop, several pieces of terms, several tiles of products.
const std::vector<Convolved> all = {{2, 8, 8, 16, 20, 1, 1},  {3, 9, 7, 4, 36, 1, 1},    {1, 5, 11, 8, 4, 2, 0},
                                    {1, 3, 3, 200, 16, 1, 1}, {2, 6, 6, 20, 132, -1, 1}, {20, 7, 8, 8, 8, 0, 2}};

Tensor noise(const Shape& shape, std::uint64_t seed) {
  return Tensor::from(normal_noise(seed, 0, 1, 0, shape).to_vector(), shape, DType::f32);
}
Tensor there(const Tensor& t) { return t.to(Device::cuda); }
Tensor room(const Shape& shape) { return Tensor::empty(shape, {DType::f32, Device::cuda}); }

struct Results {
  Tensor y, dx;
};

/// Forward with a bias and g as addend, and the data gradient with x as addend, through F(m, 3), as long as a workspace of so many bytes leads to.
Results run(const Convolved& c, int m, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& g,
            std::int64_t workspace = cuda::winograd_workspace) {
  Results r{room(g.shape()), room(x.shape())};
  cuda::winograd({m, false, c.top, c.left}, there(x), w, there(bias), there(g), r.y, workspace);
  cuda::winograd({m, true, 2 - c.top, 2 - c.left}, there(g), w, {}, there(x), r.dx, workspace);
  return {r.y.to(Device::cpu), r.dx.to(Device::cpu)};
}

bool same(const Results& a, const Results& b) { return same_bits(a.y, b.y) && same_bits(a.dx, b.dx); }

/// How the convolution and its data gradient of such images are done.
std::pair<std::string, std::string> ways(const Convolved& c) {
  const Tensor x = there(noise(c.x(), 1)), w = there(noise(c.weight(), 2)), g = there(noise(c.y(), 3));
  const Profile profile;
  Tensor y = room(c.y()), dx = room(c.x());
  {
    const ProfileScope scope("y");
    cuda::conv2d(c.geometry(), x, w, {}, {}, y);
  }
  {
    const ProfileScope scope("dx");
    cuda::conv2d_dx(c.geometry(), g, w, {}, dx);
  }
  std::pair<std::string, std::string> names;
  for (const auto& row : profile.rows()) (row.name[0] == 'y' ? names.first : names.second) = row.name;
  return names;
}

struct Restore {
  ~Restore() { set_conv_algorithm(ConvAlgorithm::own, Device::cuda); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_winograd)

BOOST_AUTO_TEST_CASE(agree_with_the_direct_convolution_whatever_the_batch_and_the_workspace) {
  const int broken_before = fences_broken();  // a test of the shim breaks one
  for (const auto& c : all) {
    const Tensor x = noise(c.x(), 1), w = noise(c.weight(), 2), g = noise(c.y(), 3), on = there(w);
    const Tensor bias = c.n == 2 ? noise({c.n, c.out}, 4) : noise({c.out}, 4);
    Tensor y = Tensor::empty(c.y(), DType::f64), dx = Tensor::empty(c.x(), DType::f64);
    cpu::conv2d(c.geometry(), in_f64(x), in_f64(w), in_f64(bias), in_f64(g), y);
    cpu::conv2d_dx(c.geometry(), in_f64(g), in_f64(w), in_f64(x), dx);
    for (const int m : {2, 4}) {
      BOOST_TEST_CONTEXT("F(" << m << ",3) " << to_string(c.x()) << " " << to_string(c.weight())) {
        const Results r = run(c, m, x, on, bias, g);
        const double bound = m == 2 ? 2e-6 : 1e-5;
        BOOST_TEST(relative_difference(in_f64(r.y), y) < bound);
        BOOST_TEST(relative_difference(in_f64(r.dx), dx) < bound);
        BOOST_TEST(same(run(c, m, x, on, bias, g, 1), r));  // 64 tiles at a time
        const Results last =
            run(c, m, x.rows(c.n - 1, 1), on, bias.rank() == 2 ? bias.rows(c.n - 1, 1) : bias, g.rows(c.n - 1, 1));
        BOOST_TEST((same_bits(last.y, r.y.rows(c.n - 1, 1)) && same_bits(last.dx, r.dx.rows(c.n - 1, 1))));
        const SecondRun turned_order;
        BOOST_TEST(same(run(c, m, x, on, bias, g), r), "depends on the order of threads");
      }
    }
  }
  release_cached(Device::cuda);
  BOOST_TEST(fences_broken() == broken_before);
}

BOOST_AUTO_TEST_CASE(run_where_they_pay_and_never_when_switched_off) {
  using cuda::winograd_outputs;
  BOOST_TEST(winograd_outputs(32, 32, 128, 128) == 4);
  BOOST_TEST(winograd_outputs(16, 16, 256, 256) == 4);
  BOOST_TEST(winograd_outputs(64, 64, 320, 320) == 4);
  BOOST_TEST(winograd_outputs(8, 8, 512, 256) == 2);  // one image would wait for the products of so many points
  BOOST_TEST(winograd_outputs(4, 4, 256, 256) == 2);
  BOOST_TEST(winograd_outputs(32, 32, 4, 128) == 0);  // transforms would cost more than the products
  const Convolved small{1, 16, 16, 32, 32, 1, 1};
  BOOST_TEST(winograd_outputs(16, 16, 32, 32) == 4);
  const Restore restore;
  BOOST_TEST((ways(small) == std::pair<std::string, std::string>("y F(4,3)", "dx F(4,3)")));
  BOOST_TEST(ways({1, 16, 16, 33, 32, 1, 1}).first == "y 3x3 direct");  // no whole words
  {
    const Coarse coarse;
    BOOST_TEST(ways(small).first == "y 3x3 direct");
  }
  set_conv_algorithm(ConvAlgorithm::direct, Device::cuda);
  BOOST_TEST((ways(small) == std::pair<std::string, std::string>("y 3x3 direct", "dx 3x3 direct")));
}

BOOST_AUTO_TEST_CASE(weights_are_transformed_once_for_both_directions_and_counted) {
  const Convolved c{1, 8, 8, 16, 16, 1, 1};
  const Tensor x = there(noise(c.x(), 1)), both = there(noise({2, 3, 3, 16, 16}, 2)),
               w = both.rows(1, 1).reshaped(c.weight());
  Tensor y = room(c.y()), dx = room(c.x()), other = room(c.y());
  cuda::winograd({4, false, 1, 1}, x, both.rows(0, 1).reshaped(c.weight()), {}, {}, other);
  const auto before = memory_use(Device::cuda).live;
  cuda::winograd({4, false, 1, 1}, x, w, {}, {}, y);
  BOOST_TEST(memory_use(Device::cuda).live - before == 36 * 16 * 16 * 4);
  cuda::winograd({4, true, 1, 1}, y, w, {}, {}, dx);
  BOOST_TEST(memory_use(Device::cuda).live - before == 36 * 16 * 16 * 4);
  Tensor again = room(c.y());
  cuda::winograd({4, false, 1, 1}, x, there(w.to(Device::cpu)), {}, {}, again);
  BOOST_TEST(same_bits(again.to(Device::cpu), y.to(Device::cpu)));  // another slice of the weights is another transform
  BOOST_TEST(!same_bits(other.to(Device::cpu), y.to(Device::cpu)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
