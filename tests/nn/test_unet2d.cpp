// UNet2D: flags that no fixture has, batches, conditions, and what it refuses.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <set>

#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "small_networks.h"

namespace {

using namespace costate;
using small::from_config;
using small::holds;
using small::message;
using small::unet2d_json;
using small::waves;

constexpr auto f64 = DType::f64;

Inputs inputs(DType dtype, std::int64_t rows = 2) {
  Inputs in;
  in.x = waves({rows, 4, 6, 3}, dtype, 5);
  for (std::int64_t i = 0; i < rows; ++i) in.t.push_back(3.0 + 20 * static_cast<double>(i));
  return in;
}

Tensor labels(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, DType::i32);
}

std::set<std::string> keys(const Network& network) {
  std::set<std::string> all;
  for (const auto& p : network.parameters()) all.insert(p.key);
  return all;
}

/// The function of x, z (if given) and all parameters.
struct Point {
  Function f;
  Tensors at;
};
Point everything(const std::shared_ptr<const Network>& network, const Inputs& in) {
  Tensors at{in.x};
  if (in.z.defined()) at.push_back(in.z);
  const auto first = static_cast<std::ptrdiff_t>(at.size());
  for (const auto& p : network->parameters()) at.push_back(p.value);
  return {[=](const Tensors& now) {
            Inputs moved = in;
            moved.x = now[0];
            if (in.z.defined()) moved.z = now[1];
            return Tensors{(*network->with(Tensors(now.begin() + first, now.end())))(moved)};
          },
          at};
}

const std::vector<std::string> unusual_flags = {
    R"("down_block_types": ["ResnetDownsampleBlock2D", "UNetResAttnDownBlock2D"], "up_block_types": ["UpBlock2D", "ResnetUpsampleBlock2D"])",
    R"("down_block_types": ["UNetResDownBlock2D", "DownBlock2D"], "up_block_types": ["ResnetUpsampleBlock2D", "AttnUpBlock2D"], "upsample_type": "resnet")",
    R"("mid_block_type": null, "act_fn": "mish")",
    R"("resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 2, "mid_block_scale_factor": 2)",
    R"("class_embed_type": "timestep", "num_class_embeds": 5)",
    R"("class_embed_type": "identity", "time_embedding_dim": 12)",
    R"("attention_head_dim": 6, "act_fn": "swish", "layers_per_block": 2)",
    R"("norm_num_groups": null, "down_block_types": ["AttnSkipDownBlock2D", "SkipDownBlock2D"], "up_block_types": ["SkipUpBlock2D", "AttnSkipUpBlock2D"],
       "block_out_channels": [32, 64], "resnet_time_scale_shift": "scale_shift", "attention_head_dim": null)",
};

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_unet2d)

BOOST_DATA_TEST_CASE(every_flag_differentiates_both_ways, boost::unit_test::data::make(unusual_flags), flags) {
  const auto network = small::filled(*from_config(unet2d_json(flags)), f64);
  Inputs in = inputs(f64);
  if (holds(flags, "timestep")) in.classes = labels({1, 4});
  if (holds(flags, "identity")) in.z = waves({2, 12}, f64, 6);
  const Point point = everything(network, in);
  Tensors v;
  for (const auto& t : point.at) v.push_back(waves(t.shape(), f64, 8));
  const auto [value, tangent] = jvp(point.f, point.at, v);
  BOOST_TEST((value[0].shape() == Shape{2, 4, 6, 3}));
  BOOST_TEST(first_non_finite(value[0]) == -1);
  const Tensor g = waves(value[0].shape(), f64, 9);
  const Tensors back = vjp(point.f, point.at).pull({g});
  double forward = inner(g, tangent[0]).item(), backward = 0, size = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double part = inner(back[i], v[i]).item();
    backward += part;
    size += std::abs(part);
  }
  BOOST_TEST(std::abs(forward - backward) <= 1e-12 * size);
}

BOOST_AUTO_TEST_CASE(keys_are_those_of_diffusers) {
  const auto residual = keys(*from_config(unet2d_json(unusual_flags[0])));
  BOOST_TEST(residual.count("down_blocks.0.downsamplers.0.conv1.weight") == 1U);
  BOOST_TEST(residual.count("up_blocks.0.upsamplers.0.conv.bias") == 1U);
  BOOST_TEST(residual.count("down_blocks.1.attentions.0.to_out.0.weight") == 1U);
  const auto timestep = keys(*from_config(unet2d_json(unusual_flags[4])));
  BOOST_TEST(timestep.count("class_embedding.linear_1.weight") == 1U);
  BOOST_TEST(timestep.count("class_embedding.weight") == 0U);
  for (const auto& key : keys(*from_config(unet2d_json(unusual_flags[2])))) BOOST_TEST(!holds(key, "mid_block"));
  const auto pyramid = keys(*from_config(unet2d_json(unusual_flags[7])));
  BOOST_TEST(pyramid.count("down_blocks.0.resnet_down.conv_shortcut.weight") == 1U);
  BOOST_TEST(pyramid.count("up_blocks.0.skip_norm.weight") == 1U);
  BOOST_TEST(pyramid.count("up_blocks.1.attentions.0.group_norm.weight") == 1U);
  BOOST_TEST(pyramid.count("up_blocks.1.attentions.1.group_norm.weight") == 0U);
}

BOOST_DATA_TEST_CASE(a_row_of_a_batch_is_the_row_alone, boost::unit_test::data::make({false, true}), narrow) {
  const DType dtype = narrow ? DType::f32 : DType::f64;
  const auto network = small::filled(*from_config(unet2d_json(R"("num_class_embeds": 4)")), dtype);
  Inputs batch = inputs(dtype, 3);
  batch.classes = labels({0, 3, 1});
  const auto evaluate = [&](const Inputs& in) {
    const Vjp run = vjp(
        [&](const Tensors& x) {
          Inputs now = in;
          now.x = x[0];
          return Tensors{(*network)(now)};
        },
        {in.x});
    return Tensors{run.value[0], run.pull({run.value[0]})[0]};
  };
  const Tensors all = evaluate(batch);
  for (std::int64_t i = 0; i < 3; ++i) {
    Inputs one;
    one.x = batch.x.rows(i, 1);
    one.t = {batch.t[static_cast<std::size_t>(i)]};
    one.classes = batch.classes.rows(i, 1);
    const Tensors alone = evaluate(one);
    for (std::size_t k = 0; k < 2; ++k) BOOST_TEST((alone[k].to_vector() == all[k].rows(i, 1).to_vector()));
  }
}

BOOST_AUTO_TEST_CASE(embedding_rows_stand_for_labels) {
  const auto network = small::filled(*from_config(unet2d_json(R"("num_class_embeds": 4)")), f64);
  Inputs by_label = inputs(f64), by_row = by_label;
  by_label.classes = labels({2, 0});
  by_row.z = network->embed_classes(by_label.classes);
  BOOST_TEST((by_row.z.shape() == Shape{2, 32}));
  BOOST_TEST(((*network)(by_label).to_vector() == (*network)(by_row).to_vector()));
  BOOST_TEST(network->signature().classes == 4);
  BOOST_TEST((network->signature().z == Shape{32}));
}

BOOST_AUTO_TEST_CASE(one_time_serves_all_rows) {
  const auto network = small::filled(*from_config(unet2d_json("")), f64);
  Inputs one = inputs(f64), each = one;
  one.t = {17};
  each.t = {17, 17};
  BOOST_TEST(((*network)(one).to_vector() == (*network)(each).to_vector()));
  each.t = {1, 2, 3};
  BOOST_TEST(holds(message([&] { (void)(*network)(each); }), "3 of times for 2 rows"));
}

BOOST_AUTO_TEST_CASE(wrong_configurations_name_key_and_value) {
  const std::vector<std::array<std::string, 2>> wrong = {
      {R"("down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"])", "down_block_types"},
      {R"("up_block_types": ["UpBlock2D"])", "up_block_types"},
      {R"("act_fn": "tanh")", "act_fn = \"tanh\""},
      {R"("time_embedding_type": "sine")", "time_embedding_type = \"sine\""},
      {R"("time_embedding_type": "learned")", "num_train_timesteps"},
      {R"("resnet_time_scale_shift": "spatial")", "resnet_time_scale_shift = \"spatial\""},
      {R"("downsample_padding": 2)", "downsample_padding = 2"},
      {R"("downsample_type": "pool")", "downsample_type = \"pool\""},
      {R"("mid_block_type": "UNetMidBlock2DCrossAttn")", "mid_block_type = \"UNetMidBlock2DCrossAttn\""},
      {R"("class_embed_type": "projection")", "class_embed_type = \"projection\""},
      {R"("norm_num_groups": null)", "norm_num_groups = null"},
      {R"("norm_num_groups": 5)", "5 groups"},
      {R"("attention_head_dim": 20)", "20 channels"},
      {R"("layers_per_block": [1, 2])", "layers_per_block = [1,2]"},
      {R"("block_out_channels": [8, 0])", "block_out_channels = [8,0]"},
      {R"("in_channels": 1, "up_block_types": ["SkipUpBlock2D", "SkipUpBlock2D"], "block_out_channels": [32, 32])",
       "in_channels = 1"}};
  for (const auto& [settings, piece] : wrong) {
    const std::string said = message([&] { (void)from_config(unet2d_json(settings)); });
    BOOST_TEST(holds(said, piece), settings << " gave: " << said);
  }
}

BOOST_AUTO_TEST_CASE(wrong_inputs_are_refused) {
  const auto plain = small::filled(*from_config(unet2d_json("")), f64);
  const auto labelled = small::filled(*from_config(unet2d_json(R"("num_class_embeds": 4)")), f64);
  const auto said = [](const auto& network, const Inputs& in) { return message([&] { (void)(*network)(in); }); };
  Inputs in = inputs(f64);
  BOOST_TEST(holds(said(labelled, in), "conditional"));
  in.classes = labels({1, 4});
  BOOST_TEST(holds(said(labelled, in), "label 4"));
  BOOST_TEST(holds(said(labelled, in), "4 classes"));
  BOOST_TEST(holds(said(plain, in), "takes no condition"));
  in.z = waves({2, 32}, f64, 1);
  BOOST_TEST(holds(said(labelled, in), "not both"));
  in.classes = {};
  in.z = waves({2, 31}, f64, 1);
  BOOST_TEST(holds(said(labelled, in), "(2, 31)"));
  in = inputs(f64);
  in.x = waves({2, 4, 5, 3}, f64, 1);
  BOOST_TEST(holds(said(plain, in), "(2, 4, 5, 3)"));
  BOOST_TEST(holds(message([&] { (void)plain->embed_classes(labels({0})); }), "without a label table"));
}

BOOST_AUTO_TEST_SUITE_END()
