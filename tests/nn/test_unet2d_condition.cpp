// UNet2DConditionModel, the autoencoder and DiT: flags that no fixture has, masks, and what they refuse. No files needed.
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "small_networks.h"

namespace {

using namespace costate;
using small::from_config;
using small::holds;
using small::message;
using small::waves;

constexpr auto f64 = DType::f64;

std::string condition_json(const std::string& settings) {
  return R"({"_class_name": "UNet2DConditionModel", "block_out_channels": [8, 16], "norm_num_groups": 4, "attention_head_dim": 2,
             "cross_attention_dim": 12, "layers_per_block": 1, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
             "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"])" +
         (settings.empty() ? "" : ", " + settings) + "}";
}

const std::string simple = R"("down_block_types": ["SimpleCrossAttnDownBlock2D", "ResnetDownsampleBlock2D"],
  "up_block_types": ["ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"], "mid_block_type": "UNetMidBlock2DSimpleCrossAttn")";

/// Everything the network asks for, of the shapes its signature says; three tokens.
Inputs inputs(const Network& network, std::int64_t h = 4, std::int64_t w = 6) {
  const Signature s = network.signature();
  const auto filled = [](Shape shape) {
    for (int i = 0; i < shape.rank(); ++i)
      if (shape[i] == 0) shape = shape.with(i, 3);
    return shape.with_front(2);
  };
  Inputs in;
  in.x = waves({2, h, w, s.input[-1]}, f64, 5);
  in.t = {3, 700};
  if (s.classes > 0 || s.any_label) in.classes = Tensor::from({1, 4}, {2}, DType::i32);
  if (s.z.rank() > 0) in.z = waves(filled(s.z), f64, 6);
  double phase = 7;
  for (const auto& each : s.extra) {
    const Shape shape = each.usual.rank() > 0 ? each.usual.with_front(2) : filled(each.shape);
    if (each.required || each.name == "timestep_cond") in.extra[each.name] = waves(shape, f64, phase += 1);
  }
  return in;
}

std::vector<std::string> float_inputs(const Inputs& in, const Network& network) {
  std::vector<std::string> names = {"x"};
  if (in.z.defined()) names.emplace_back("z");
  for (const auto& each : network.signature().extra)
    if (each.differentiable && in.extra.count(each.name) != 0) names.push_back(each.name);
  return names;
}

const std::vector<std::string> unusual_flags = {
    R"("transformer_layers_per_block": [[2], [1]], "reverse_transformer_layers_per_block": [1, [1, 2]], "act_fn": "relu")",
    R"("encoder_hid_dim": 5, "encoder_hid_dim_type": "image_proj", "addition_embed_type": "image")",
    R"("encoder_hid_dim": 5, "encoder_hid_dim_type": "text_image_proj", "addition_embed_type": "text_image")",
    R"("in_channels": 8, "encoder_hid_dim": 5, "encoder_hid_dim_type": "image_proj", "addition_embed_type": "image_hint", "sample_size": [4, 6])",
    R"("class_embed_type": "simple_projection", "projection_class_embeddings_input_dim": 3, "time_cond_proj_dim": 4)",
    R"("class_embed_type": "identity", "time_embedding_type": "fourier", "downsample_padding": 0, "mid_block_type": null)",
    R"("addition_embed_type": "text_time", "addition_time_embed_dim": 2, "projection_class_embeddings_input_dim": 17)",
    R"("dual_cross_attention": true, "encoder_hid_dim": 5, "encoder_hid_dim_type": "image_proj")",
    R"("num_class_embeds": 5, "class_embeddings_concat": true, "down_block_types": ["AttnDownBlock2D", "CrossAttnDownBlock2D"])",
    simple + R"(, "only_cross_attention": true, "cross_attention_dim": 32, "cross_attention_norm": "group_norm")",
    simple + R"(, "cross_attention_norm": "layer_norm", "block_out_channels": [12, 12], "resnet_skip_time_act": true)"};

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_unet2d_condition)

BOOST_DATA_TEST_CASE(every_flag_differentiates_both_ways, boost::unit_test::data::make(unusual_flags), flags) {
  const auto network = small::filled(*from_config(condition_json(flags)), f64);
  Inputs in = inputs(*network);
  const auto names = float_inputs(in, *network);
  Tensors at, v;
  for (const auto& name : names) at.push_back(input(in, name));
  for (const auto& p : network->parameters()) at.push_back(p.value);
  for (const auto& t : at) v.push_back(waves(t.shape(), f64, 8));
  const Function f = [&](const Tensors& now) {
    Inputs moved = in;
    for (std::size_t i = 0; i < names.size(); ++i) input(moved, names[i]) = now[i];
    const auto rest = now.begin() + static_cast<std::ptrdiff_t>(names.size());
    return Tensors{(*network->with(Tensors(rest, now.end())))(moved)};
  };
  const auto [value, tangent] = jvp(f, at, v);
  BOOST_TEST((value[0].shape() == Shape{2, 4, 6, 4}));
  BOOST_TEST(first_non_finite(value[0]) == -1);
  const Tensor g = waves(value[0].shape(), f64, 9);
  const Tensors back = vjp(f, at).pull({g});
  double backward = 0, size = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (!back[i].defined()) continue;
    const double part = inner(back[i], v[i]).item();
    backward += part;
    size += std::abs(part);
  }
  BOOST_TEST(std::abs(inner(g, tangent[0]).item() - backward) <= 1e-12 * size);
}

BOOST_DATA_TEST_CASE(a_masked_token_is_no_token, boost::unit_test::data::make({std::string(), simple}), flags) {
  const auto network = small::filled(*from_config(condition_json(flags)), f64);
  Inputs in = inputs(*network), fewer = in;
  in.extra["encoder_attention_mask"] = Tensor::from({1, 0, 1, 1, 0, 1}, {2, 3}, DType::i32);
  const std::vector<double> z = in.z.to_vector();
  std::vector<double> kept;
  for (const std::size_t token : {0U, 2U, 3U, 5U})
    kept.insert(kept.end(), z.begin() + static_cast<std::ptrdiff_t>(12 * token),
                z.begin() + static_cast<std::ptrdiff_t>(12 * token + 12));
  fewer.z = Tensor::from(kept, {2, 2, 12}, f64);
  const auto a = (*network)(in).to_vector(), b = (*network)(fewer).to_vector(),
             all = (*network)(inputs(*network)).to_vector();
  double difference = 0, effect = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, std::abs(a[i] - b[i]));
    effect = std::max(effect, std::abs(a[i] - all[i]));
  }
  BOOST_TEST(difference <= 1e-12);
  BOOST_TEST(effect > 1e-4);
}

BOOST_AUTO_TEST_CASE(wrong_configurations_name_key_and_value) {
  const std::vector<std::array<std::string, 2>> wrong = {
      {R"("down_block_types": ["KDownBlock2D", "DownBlock2D"])", "down_block_types = [\"KDownBlock2D\""},
      {R"("mid_block_type": "MidBlock")", "mid_block_type = \"MidBlock\""},
      {R"("num_attention_heads": 4)", "num_attention_heads = 4"},
      {R"("down_block_types": ["KDownBlock2D", "KCrossAttnDownBlock2D"], "up_block_types": ["KUpBlock2D", "KUpBlock2D"], "block_out_channels": [32, 32])",
       "up_block_types = [\"KUpBlock2D\""},
      {R"("encoder_hid_dim": 5, "encoder_hid_dim_type": "ip_image_proj")", "encoder_hid_dim_type = \"ip_image_proj\""},
      {R"("attention_type": "gated")", "attention_type = \"gated\""},
      {R"("norm_num_groups": null)", "norm_num_groups = null"},
      {R"("cross_attention_dim": [12, 16])", "cross_attention_dim = [12,16]"},
      {R"("only_cross_attention": [true])", "only_cross_attention"},
      {R"("transformer_layers_per_block": [[1], [2, 1]])", "transformer_layers_per_block"},
      {R"("transformer_layers_per_block": [[1, 1], [2, 1]])", "reverse_transformer_layers_per_block"},
      {R"("class_embed_type": "projection")", "projection_class_embeddings_input_dim"},
      {R"("class_embed_type": "words")", "class_embed_type = \"words\""},
      {R"("class_embeddings_concat": true)", "class_embeddings_concat = true"},
      {R"("addition_embed_type": "text_time")", "projection_class_embeddings_input_dim"},
      {R"("addition_embed_type": "text")", "addition_embed_type_num_heads"},
      {R"("encoder_hid_dim_type": "ip_image_proj", "encoder_hid_dim": 4)", "encoder_hid_dim_type = \"ip_image_proj\""},
      {R"("time_embedding_type": "learned")", "time_embedding_type = \"learned\""},
      {R"("conv_in_kernel": 4)", "conv_in_kernel = 4"},
      {R"("timestep_post_act": "tanh")", "timestep_post_act = \"tanh\""},
      {R"("cross_attention_norm": "batch")", "cross_attention_norm = \"batch\""}};
  for (const auto& [settings, piece] : wrong) {
    const std::string said = message([&] { (void)from_config(condition_json(settings)); });
    BOOST_TEST(holds(said, piece), settings << " gave: " << said);
  }
  const std::string dit = R"({"_class_name": "DiTTransformer2DModel", )", vae = R"({"_class_name": "AutoencoderKL", )";
  BOOST_TEST(holds(message([&] { (void)from_config(dit + R"("norm_type": "ada_norm"})"); }), "norm_type"));
  BOOST_TEST(holds(message([&] { (void)from_config(dit + R"("activation_fn": "relu"})"); }), "activation_fn"));
  BOOST_TEST(holds(message([&] { (void)from_config(vae + R"("up_block_types": ["UpBlock2D"]})"); }), "up_block_types"));
}

BOOST_AUTO_TEST_CASE(wrong_inputs_are_refused) {
  const auto network = small::filled(*from_config(condition_json(R"("time_cond_proj_dim": 4)")), f64);
  const auto said = [&](const Inputs& in) { return message([&] { (void)(*network)(in); }); };
  Inputs in = inputs(*network);
  in.z = {};
  BOOST_TEST(holds(said(in), "tokens z"));
  in.z = waves({2, 3, 11}, f64, 1);
  BOOST_TEST(holds(said(in), "(2, 3, 11)"));
  in = inputs(*network);
  in.extra["timestep_cond"] = waves({2, 5}, f64, 1);
  BOOST_TEST(holds(said(in), "timestep_cond"));
  in = inputs(*network);
  in.classes = Tensor::from({0, 1}, {2}, DType::i32);
  BOOST_TEST(holds(said(in), "takes no condition"));
  in = inputs(*network);
  in.extra["encoder_attention_mask"] = Tensor::zeros({2, 4}, DType::i32);
  BOOST_TEST(holds(said(in), "mask"));
}

BOOST_AUTO_TEST_CASE(an_autoencoder_has_parts) {
  const auto both =
      small::filled(*from_config(R"({"_class_name": "AutoencoderKL", "block_out_channels": [8, 8], "norm_num_groups": 4,
    "down_block_types": ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"]})"),
                    f64);
  Inputs in;
  in.x = waves({1, 4, 6, 3}, f64, 1);
  BOOST_TEST(holds(message([&] { (void)(*both)(in); }), "encode, sample or decode"));
  BOOST_TEST(holds(message([&] { (void)both->part("decod"); }), "did you mean decode"));
  BOOST_TEST(((*both->part("encode"))(in).shape() == Shape{1, 2, 3, 8}));
  const std::vector<double> moments = (*both->part("encode"))(in).to_vector();
  BOOST_TEST(holds(message([&] { (void)(*both->part("sample"))(in); }), "noise (1, 2, 3, 4)"));
  in.extra["noise"] = waves({1, 2, 3, 4}, f64, 2);
  const std::vector<double> drawn = (*both->part("sample"))(in).to_vector(), noise = in.extra["noise"].to_vector();
  for (std::size_t i = 0; i < drawn.size(); ++i) {  // [mean, log-variance] of each pixel
    const std::size_t at = i / 4 * 8 + i % 4;
    BOOST_TEST(std::abs(drawn[i] - moments[at] - noise[i] * std::exp(moments[at + 4] / 2)) <= 1e-13);
  }
  in = {};
  in.x = waves({1, 2, 3, 4}, f64, 1);
  BOOST_TEST(((*both->part("decode"))(in).shape() == Shape{1, 4, 6, 3}));
  BOOST_TEST(both->part("decode")->parameters().size() == both->parameters().size());
}

BOOST_AUTO_TEST_SUITE_END()
