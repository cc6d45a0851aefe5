// Reading what a UNet2DConditionModel is told besides the image: time, labels, text and pictures.
#include "nn/sizes.h"
#include "nn/unet2d_plan.h"

namespace costate {
namespace {

using Labels = EmbeddingPlan::Labels;
using Added = EmbeddingPlan::Added;
using Tokens = EmbeddingPlan::Tokens;

std::optional<Activation> maybe_activation(const Config& config, const std::string& key) {
  if (config.text(key, "").empty()) return std::nullopt;
  return activation_from(config, key);
}

void read_time(const Config& config, UNet2DPlan& plan) {
  EmbeddingPlan& e = plan.embedding;
  const bool fourier = config.choice("time_embedding_type", "positional", {"positional", "fourier"}) == "fourier";
  e.time = fourier ? TimeProjection::Kind::fourier : TimeProjection::Kind::positional;
  e.of_log = false;
  e.cos_first = config.flag("flip_sin_to_cos", true);
  e.freq_shift = config.number("freq_shift", 0);
  e.width = config.integer("time_embedding_dim", (fourier ? 2 : 4) * plan.channels[0]);
  if (!is_size(e.width) || (fourier && e.width % 2 != 0))
    config.unsupported("time_embedding_dim", "must be positive, and even for time_embedding_type = fourier");
  e.features = fourier ? e.width : plan.channels[0];
  e.activation = plan.activation;
  e.activation_after = maybe_activation(config, "timestep_post_act");
  e.activation_sum = maybe_activation(config, "time_embedding_act_fn");
  e.guidance = size_from(config, "time_cond_proj_dim", 0, 0);
}

void read_concat(const Config& config, EmbeddingPlan& e) {
  e.concat = config.flag("class_embeddings_concat", false);
  if (e.concat && e.labels == Labels::none)
    config.unsupported("class_embeddings_concat", "there is no class embedding to put beside the time's");
}

void read_text(const Config& config, EmbeddingPlan& e) {
  const auto hidden = config.maybe_integer("encoder_hid_dim");
  e.tokens = meaning_of<Tokens>(config, "encoder_hid_dim_type", hidden ? "text_proj" : "",
                                {{"", Tokens::given},
                                 {"text_proj", Tokens::text},
                                 {"text_image_proj", Tokens::text_image},
                                 {"image_proj", Tokens::image}});
  if (e.tokens != Tokens::given) e.given_width = width_for(config, "encoder_hid_dim", "encoder_hid_dim_type");
  e.added = meaning_of<Added>(config, "addition_embed_type", "",
                              {{"", Added::none},
                               {"text", Added::text},
                               {"text_image", Added::text_image},
                               {"text_time", Added::text_time},
                               {"image", Added::image},
                               {"image_hint", Added::image_hint}});
  if (e.added != Added::none && e.concat)
    config.unsupported("addition_embed_type", "a sum with a class embedding put beside the time's is not defined");
  e.pool_heads = config.integer("addition_embed_type_num_heads", 64);
  if (e.added == Added::text && (e.pool_heads < 1 || e.given_width % e.pool_heads != 0))
    config.unsupported("addition_embed_type_num_heads", fmt::format("must divide the text's width {}", e.given_width));
  if (e.added == Added::text_image) e.added_width = e.context_width;
  if (e.added == Added::image || e.added == Added::image_hint)
    e.added_width = width_for(config, "encoder_hid_dim", "addition_embed_type");
  if (e.added == Added::text_time) {
    e.added_width = width_for(config, "projection_class_embeddings_input_dim", "addition_embed_type");
    e.id_width = width_for(config, "addition_time_embed_dim", "addition_embed_type");
  }
}

}  // namespace

void read_condition(const Config& config, UNet2DPlan& plan) {
  read_time(config, plan);
  read_labels(config, plan.embedding,
              {{"", Labels::none},
               {"timestep", Labels::timestep},
               {"identity", Labels::identity},
               {"projection", Labels::projection},
               {"simple_projection", Labels::linear}});
  read_concat(config, plan.embedding);
  read_text(config, plan.embedding);
}

}  // namespace costate
