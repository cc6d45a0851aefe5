// Building and running what a diffusers U-Net is told besides the image.
#include "nn/unet2d_embedding.h"

#include <cmath>

#include "autodiff/ops/attention.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/rows.h"
#include "autodiff/ops/sum.h"

namespace costate {
namespace {

using Kind = TimeProjection::Kind;
using Labels = EmbeddingPlan::Labels;
using Added = EmbeddingPlan::Added;
using Tokens = EmbeddingPlan::Tokens;

constexpr std::int64_t tokens_of_picture = 32, tokens_beside_text = 10;  // fixed in diffusers

TimeProjection time_projection(const EmbeddingPlan& p) {
  TimeProjection t{.kind = p.time,
                   .width = p.features,
                   .cos_first = p.cos_first,
                   .freq_shift = p.freq_shift,
                   .of_log = p.of_log,
                   .weight = {}};
  if (p.time == Kind::fourier) t.weight = parameter({p.features / 2});
  if (p.time == Kind::learned) t.weight = parameter({p.time_steps, p.features});
  return t;
}

AttentionPooling pooling(std::int64_t width, std::int64_t heads) {
  const Linear square(width, width);
  return {parameter({1, width}), square, square, square, heads};
}

/// A picture's hint at an eighth of its size, in four channels.
std::vector<Conv2d> hint_layers() {
  const ConvGeometry halve{.stride_h = 2, .stride_w = 2, .top = 1, .bottom = 1, .left = 1, .right = 1};
  return {Conv2d(3, 16, 3),         Conv2d(16, 16, 3), Conv2d(16, 32, 3, halve),  Conv2d(32, 32, 3),
          Conv2d(32, 96, 3, halve), Conv2d(96, 96, 3), Conv2d(96, 256, 3, halve), Conv2d(256, 4, 3)};
}

AddedEmbedding added_embedding(const EmbeddingPlan& p) {
  AddedEmbedding a;
  if (p.added == Added::text_time) a.mlp.emplace(p.added_width, p.width);
  if (p.added == Added::text) {
    a.norm1.emplace(p.given_width);
    a.pool = pooling(p.given_width, p.pool_heads);
    a.proj.emplace(p.given_width, p.width);
    a.norm2.emplace(p.width);
  }
  if (p.added == Added::text_image) {
    a.text_proj.emplace(p.added_width, p.width);
    a.text_norm.emplace(p.width);
    a.image_proj.emplace(p.added_width, p.width);
  }
  if (p.added == Added::image || p.added == Added::image_hint) {
    a.image_proj.emplace(p.added_width, p.width);
    a.image_norm.emplace(p.width);
  }
  if (p.added == Added::image_hint) a.hint = hint_layers();
  return a;
}

TokenProjection token_projection(const EmbeddingPlan& p) {
  TokenProjection t;
  if (p.tokens == Tokens::text) t.text.emplace(p.given_width, p.context_width);
  if (p.tokens == Tokens::text_image) {
    t.text_proj.emplace(p.given_width, p.context_width);
    t.image_embeds.emplace(p.context_width, tokens_beside_text * p.context_width);
  }
  if (p.tokens == Tokens::image) {
    t.image_embeds.emplace(p.given_width, tokens_of_picture * p.context_width);
    t.norm.emplace(p.context_width);
  }
  return t;
}

/// Width of the vector `image_embeds`.
std::int64_t picture_width(const EmbeddingPlan& p) {
  if (p.tokens == Tokens::image) return p.given_width;
  return p.tokens == Tokens::text_image ? p.context_width : p.added_width;
}

bool takes_vectors(Labels labels) {
  return labels == Labels::identity || labels == Labels::projection || labels == Labels::linear;
}

}  // namespace

UNet2DEmbedding::UNet2DEmbedding(const EmbeddingPlan& p, std::string name)
    : time_proj(time_projection(p)),
      time_embedding(p.features, p.width),
      add_embedding(added_embedding(p)),
      encoder_hid_proj(token_projection(p)),
      plan(p),
      family(std::move(name)) {
  time_embedding.activation = p.activation;
  time_embedding.after = p.activation_after;
  if (p.guidance > 0) time_embedding.cond_proj = Linear::without_bias(p.guidance, p.features);
  if (p.labels == Labels::table) class_embedding.weight = parameter({p.classes, p.width});
  if (p.labels == Labels::linear) class_embedding.linear.emplace(p.label_width, p.width);
  if (p.labels == Labels::projection) class_embedding.mlp.emplace(p.label_width, p.width);
  if (p.labels == Labels::timestep) {
    class_embedding.mlp.emplace(p.features, p.width);
    class_embedding.mlp->activation = p.activation;
  }
}

Tensor UNet2DEmbedding::given(const Inputs& in, const std::string& name, const Shape& each) const {
  const auto at = in.extra.find(name);
  const Tensor value = name == "z" ? in.z : at == in.extra.end() ? Tensor() : at->second;
  require(value.defined(), "{}: this network also takes {} (n, ...) of {}", family, name, each);
  bool fits = value.rank() == each.rank() + 1 && value.dim(0) == in.x.dim(0) && value.size() > 0;
  for (int i = 0; fits && i < each.rank(); ++i) fits = each[i] == 0 || each[i] == value.dim(i + 1);
  require(fits, "{}: wants {} (n, ...) of {}, for n = {}; got {}", family, name, each, in.x.dim(0), value.shape());
  return value;
}

Tensor UNet2DEmbedding::embed_classes(const Tensor& classes) const {
  require(plan.labels == Labels::table || plan.labels == Labels::timestep,
          "{}: labels were given to a network without a label table{}", family,
          takes_vectors(plan.labels) ? "; it takes vectors (class_labels)" : "");
  require(classes.rank() == 1 && classes.dtype() == DType::i32, "{}: labels are (n) i32, got {} {}", family,
          classes.shape(), name_of(classes.dtype()));
  const std::vector<double> labels = classes.to_vector();
  if (class_embedding.mlp)
    return (*class_embedding.mlp)(time_proj(labels, class_embedding.mlp->linear_1.weight.kind()));
  for (const double label : labels)
    require(label >= 0 && label < static_cast<double>(plan.classes),
            "{}: label {} is outside this network's {} classes, 0 to {}", family, label, plan.classes,
            plan.classes - 1);
  return gather_rows(class_embedding.weight, classes);
}

Tensor UNet2DEmbedding::label_vector(const Inputs& in) const {
  if (plan.vectors_as_z && in.z.defined()) return given(in, "z", {plan.width});
  if (!takes_vectors(plan.labels)) return embed_classes(in.classes);
  const Tensor vectors = given(in, "class_labels", {plan.labels == Labels::identity ? plan.width : plan.label_width});
  if (class_embedding.linear) return (*class_embedding.linear)(vectors);
  return class_embedding.mlp ? (*class_embedding.mlp)(vectors) : vectors;
}

Tensor AttentionPooling::operator()(const Tensor& tokens) const {
  const std::int64_t n = tokens.dim(0), t = tokens.dim(1), width = tokens.dim(2);
  const Tensor mean = sum_to(tokens, {n, 1, width}) / static_cast<double>(t);
  const Tensor first = mean + reshape(positional_embedding, {1, 1, width});
  const Tensor all = concat({first, tokens}, 1);
  const double scale = 1 / std::sqrt(static_cast<double>(width) / static_cast<double>(heads));
  return reshape(attention(q_proj(first), k_proj(all), v_proj(all), heads, scale), {n, width});
}

Tensor UNet2DEmbedding::addition(const Inputs& in) const {
  const AddedEmbedding& a = add_embedding;
  switch (plan.added) {
    case Added::none:
      return {};
    case Added::text:
      return (*a.norm2)((*a.proj)((*a.pool)((*a.norm1)(given(in, "z", {0, plan.given_width})))));
    case Added::text_image:
      return (*a.image_proj)(given(in, "image_embeds", {plan.added_width})) +
             (*a.text_norm)((*a.text_proj)(given(in, "text_embeds", {plan.added_width})));
    case Added::text_time: {
      const Tensor text = given(in, "text_embeds", {0}), ids = given(in, "time_ids", {0});
      const Tensor waves = sinusoids(*numbers_of(ids), plan.id_width, plan.cos_first, plan.freq_shift, in.x.kind());
      const std::int64_t width = text.dim(1) + ids.dim(1) * plan.id_width;
      require(width == plan.added_width,
              "{}: text_embeds {} and time_ids {} with {} sinusoids each make vectors of {}; the network wants {}",
              family, text.shape(), ids.shape(), plan.id_width, width, plan.added_width);
      return (*a.mlp)(concat({text, reshape(waves, {ids.dim(0), ids.dim(1) * plan.id_width})}, 1));
    }
    case Added::image:
    case Added::image_hint:
      return (*a.image_norm)((*a.image_proj)(given(in, "image_embeds", {plan.added_width})));
  }
  fail("{}: unknown addition", family);
}

Tensor UNet2DEmbedding::operator()(const Inputs& in, const std::vector<double>& t) const {
  const bool conditional = plan.labels != Labels::none;
  const bool as_z = plan.vectors_as_z && in.z.defined();
  const bool labelled = in.classes.defined() || as_z || in.extra.count("class_labels") != 0;
  require(!(as_z && in.classes.defined()), "{}: takes labels or z, not both", family);
  require(conditional == labelled, "{}: this network {}", family,
          conditional ? "is conditional: it wants labels, or vectors (class_labels, z) in their place"
                      : "takes no condition, but one was given");
  Tensor features = time_proj(t, in.x.kind());
  if (in.extra.count("timestep_cond") != 0) {
    require(time_embedding.cond_proj.has_value(), "{}: timestep_cond was given to a network without time_cond_proj_dim",
            family);
    features = features + (*time_embedding.cond_proj)(given(in, "timestep_cond", {plan.guidance}));
  }
  Tensor e = time_embedding(features);
  if (conditional) {
    const Tensor row = label_vector(in);
    e = plan.concat ? concat({e, row}, 1) : e + row;
  }
  if (plan.added != Added::none) e = e + addition(in);
  return plan.activation_sum ? activate(*plan.activation_sum, e) : e;
}

Tensor UNet2DEmbedding::tokens(const Inputs& in) const {
  const TokenProjection& p = encoder_hid_proj;
  const std::int64_t n = in.x.dim(0);
  if (plan.vectors_as_z || (plan.tokens != Tokens::image && !in.z.defined())) return {};
  if (plan.tokens == Tokens::given) return given(in, "z", {0, plan.given_width});
  if (plan.tokens == Tokens::text) return (*p.text)(given(in, "z", {0, plan.given_width}));
  const Tensor picture = (*p.image_embeds)(given(in, "image_embeds", {picture_width(plan)}));
  if (plan.tokens == Tokens::image) return (*p.norm)(reshape(picture, {n, tokens_of_picture, plan.context_width}));
  return concat({reshape(picture, {n, tokens_beside_text, plan.context_width}),
                 (*p.text_proj)(given(in, "z", {0, plan.given_width}))},
                1);
}

Tensor UNet2DEmbedding::hint(const Inputs& in) const {
  const std::vector<Conv2d>& layers = add_embedding.hint;
  if (layers.empty()) return {};
  Tensor h = given(in, "hint", {0, 0, 3});
  for (std::size_t i = 0; i < layers.size(); ++i) h = layers[i](i == 0 ? h : activate(Activation::silu, h));
  return h;
}

void UNet2DEmbedding::describe(Signature& s, bool context) const {
  s.classes = plan.classes;
  s.time_rows = plan.time_steps;
  s.any_label = plan.labels == Labels::timestep;
  const bool text = plan.tokens != Tokens::image || plan.added == Added::text;
  if (plan.vectors_as_z && plan.labels != Labels::none) s.z = {plan.width};
  if (!plan.vectors_as_z && text) s.z = {0, plan.given_width};
  const bool pictures = plan.tokens == Tokens::text_image || plan.tokens == Tokens::image ||
                        plan.added == Added::text_image || plan.added == Added::image ||
                        plan.added == Added::image_hint;
  if (takes_vectors(plan.labels))
    s.extra.push_back({.name = "class_labels",
                       .shape = {plan.labels == Labels::identity ? plan.width : plan.label_width},
                       .required = !plan.vectors_as_z});
  if (plan.added == Added::text_image) s.extra.push_back({.name = "text_embeds", .shape = {plan.added_width}});
  if (plan.added == Added::text_time) {  // how many numbers there are is not said; SDXL has six
    const std::int64_t text_width = std::max<std::int64_t>(plan.added_width - 6 * plan.id_width, 1);
    s.extra.push_back({.name = "text_embeds", .shape = {0}, .usual = {text_width}});
    s.extra.push_back({.name = "time_ids", .shape = {0}, .usual = {6}, .differentiable = false});
  }
  if (pictures) s.extra.push_back({.name = "image_embeds", .shape = {picture_width(plan)}});
  if (plan.added == Added::image_hint)
    s.extra.push_back({.name = "hint", .shape = {0, 0, 3}, .usual = {8 * s.input[0], 8 * s.input[1], 3}});
  if (plan.guidance > 0) s.extra.push_back({.name = "timestep_cond", .shape = {plan.guidance}, .required = false});
  if (context && text)
    s.extra.push_back({.name = "encoder_attention_mask", .shape = {0}, .required = false, .differentiable = false});
  if (context) s.extra.push_back({.name = "attention_mask", .shape = {0}, .required = false, .differentiable = false});
}

}  // namespace costate
