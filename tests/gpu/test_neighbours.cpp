// Parameters that one product reads: where they lie, what is queued for them, and that no bit knows of it.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "autodiff/ops/concat.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/mul.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/kernels/copy.h"
#include "nn/res_block.h"
#include "nn/token_attention.h"
#include "tests/gpu/small_network.h"

namespace costate {
namespace {

/// Attention of tokens to themselves, and three residual blocks' rows of the time (two widths).
struct Layers {
  TokenAttention attention{16, 16, 2, 8, true};
  std::vector<ResBlock> blocks;

  Layers() {
    for (const std::int64_t out : {8, 16, 8}) blocks.emplace_back(ResBlockPlan{.in = 8, .out = out, .time = 16});
  }
  static void fields(auto& self, auto&& visit) {
    visit("attention", self.attention);
    visit("blocks", self.blocks);
  }
  [[nodiscard]] static Signature signature() { return {}; }
  [[nodiscard]] Tensors rows(const Tensor& time) const {
    std::vector<const ResBlock*> told;
    for (const auto& b : blocks) told.push_back(&b);
    const BlockTime all(time, told);
    Tensors rows;
    for (const auto& b : blocks) rows.push_back(all.of(b));
    return rows;
  }
  [[nodiscard]] Tensor operator()(const Inputs& in) const { return attention(in.x, in.x); }
};

/// With numbers, on this device; copies that lie apart.
Tensors values_of(const Layers& layers, Device device) {
  Tensors values;
  std::uint64_t seed = 40;
  for (const Tensor& t : leaves(layers)) values.push_back(noise(seed++, t.shape()).to(device));
  return values;
}

Layers loaded(Device device) {
  const auto network = std::make_shared<const NetworkOf<Layers>>(Layers())->with(values_of(Layers(), device));
  return std::dynamic_pointer_cast<const NetworkOf<Layers>>(network)->model();
}

bool together(const Tensors& parts) {
  std::int64_t all = 0;
  for (const Tensor& t : parts) all += t.size();
  return Tensor::spanning(parts, 1, {all}).defined();
}

Tensors weights_of(const Layers& l) {
  return {l.attention.to_q.weight, l.attention.to_k.weight, l.attention.to_v.weight};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_neighbours)

BOOST_AUTO_TEST_CASE(they_lie_behind_each_other_on_a_device) {
  const Layers l = loaded(Device::cuda);
  BOOST_TEST(together(weights_of(l)));
  BOOST_TEST(together({l.attention.to_q.bias, l.attention.to_k.bias, l.attention.to_v.bias}));
  BOOST_TEST(together({l.blocks[0].time_emb_proj->weight, l.blocks[2].time_emb_proj->weight}));
  BOOST_TEST(together({l.blocks[0].conv1.bias, l.blocks[2].conv1.bias}));
  BOOST_TEST(same(leaves(l), values_of(l, Device::cuda)));
  BOOST_TEST(!together(weights_of(loaded(Device::cpu))));
}

BOOST_AUTO_TEST_CASE(watched_ones_stay_where_they_are) {
  const Tensors values = values_of(Layers(), Device::cuda);
  const NetworkOf<Layers> blank{Layers()};
  const Tensor x = noise(3, {2, 5, 16});
  const auto f = [&](const Tensors& at) {
    Inputs in;
    in.x = x;
    const Tensor y = (*blank.with(at))(in);
    return sum(mul(y, y));
  };
  const Tensors apart = grad(f, values), of_neighbours = grad(f, leaves(loaded(Device::cuda)));
  BOOST_TEST(same(apart, of_neighbours));  // one by one, or as one product
  const std::vector<double> of_query = apart[0].to_vector();
  BOOST_TEST(std::any_of(of_query.begin(), of_query.end(), [](double g) { return g != 0; }));
}

BOOST_AUTO_TEST_CASE(one_product_for_all) {
  const Layers l = loaded(Device::cuda);
  const Tensor x = noise(3, {2, 5, 16});
  Tensors apart, y;
  for (const Tensor& w : weights_of(l)) apart.push_back(linear(x, copy_of(w)));
  const int before = kernels_queued();
  y = linears(x, weights_of(l));
  if (takes_turns) BOOST_TEST(kernels_queued() - before == 1);
  BOOST_TEST(same(y, apart));
}

BOOST_AUTO_TEST_CASE(blocks_read_the_rows_that_they_would_make) {
  for (const std::int64_t n : {1, 3}) {
    const Layers l = loaded(Device::cuda);
    const Tensor time = noise(5, {n, 16});
    Tensors alone;
    for (const auto& b : l.blocks) alone.push_back(BlockTime(time).of(b));
    const int before = kernels_queued();
    const Tensors rows = l.rows(time);
    if (takes_turns)
      BOOST_TEST(kernels_queued() - before == 4);  // a sum of biases and a product for each width; one of them is alone
    BOOST_TEST(same(rows, alone));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
