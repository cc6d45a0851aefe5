// Whole networks on the device: outputs and every gradient against the references, and twice, bit for bit.
#include <boost/test/unit_test.hpp>

#include "core/memory.h"
#include "tests/gpu/second_run.h"
#include "tests/nn/parity.h"
#include "tests/nn/parity_cases.h"
#include "tests/support/inputs.h"

namespace costate {
namespace {

using parity::Case;

/// On a device all networks there are; for threads that take turns, one small enough.
std::vector<Case> networks() {
  return takes_turns ? parity::cases_of(source_dir() / "tests/data/networks/diffusers-unet2d-scaleshift")
                     : parity::cases();
}

Model load(const Case& c, DType dtype) {
  Model model = load_model(c.model.string(), {.dtype = dtype, .device = Device::cuda, .config = c.config});
  if (!c.part.empty()) model.network = model.network->part(c.part);
  return model;
}

void check_numbers(const Case& c, DType dtype) {
  const auto e = parity::compare(load(c, dtype), c.in, c.ref);
  BOOST_TEST_MESSAGE(fmt::format("{} {}: y {:.1e} g_inputs {:.1e} g_theta {:.1e}", c.name, name_of(dtype), e.y,
                                 e.g_inputs, e.g_theta));
  const double bound = dtype == DType::f64 ? 1e-11 : 5e-5;
  BOOST_TEST(e.y <= bound);
  BOOST_TEST(e.g_inputs <= bound);
  BOOST_TEST(e.g_theta <= bound + e.g_theta_rounding);
}

/// y of the whole batch, in another order of threads, and of each row alone.
void check_bits(const Case& c) {
  const Model model = load(c, DType::f32);
  const Hdf5Reader file(c.in);
  const Inputs in = parity::read_inputs(file, model.kind());
  const Tensor y = (*model.network)(in);
  const SecondRun turned;
  BOOST_TEST(same_bits((*model.network)(in).to(Device::cpu), y.to(Device::cpu)), "depends on the order of threads");
  for (std::int64_t row = 0; row < in.x.dim(0) && in.x.dim(0) > 1; ++row) {
    Inputs one = in;
    one.x = in.x.rows(row, 1);
    if (in.t.size() > 1) one.t = {in.t[static_cast<std::size_t>(row)]};
    if (in.classes.defined()) one.classes = in.classes.rows(row, 1);
    if (in.z.defined()) one.z = in.z.rows(row, 1);
    for (auto& [name, value] : one.extra) value = value.rows(row, 1);
    BOOST_TEST(same_bits((*model.network)(one).to(Device::cpu), y.rows(row, 1).to(Device::cpu)), "row " << row);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_networks)

BOOST_AUTO_TEST_CASE(every_network_on_the_device) {
  int seen = 0;
  for (const auto& c : networks()) {
    BOOST_TEST_CONTEXT(c.name) {
      check_numbers(c, DType::f64);
      check_numbers(c, DType::f32);
      check_bits(c);
    }
    ++seen;
  }
  BOOST_TEST(seen > 0);
  release_cached(Device::cuda);
  BOOST_TEST(fences_broken() == 0);
  BOOST_TEST(memory_use(Device::cuda).live == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
