// What a diffusers U-Net is told besides the image - time, labels, text, pictures - made into the time embedding of its blocks
// and the tokens they attend to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/conv2d.h"
#include "nn/layer_norm.h"
#include "nn/time_embedding.h"
#include "nn/transformer_2d.h"

namespace costate {

struct EmbeddingPlan {
  enum class Labels {
    none,
    table,       ///< a row each
    timestep,    ///< embedded like a time, by an MLP of their own
    identity,    ///< vectors are given, to be added to the time embedding
    projection,  ///< vectors through an MLP
    linear,      ///< vectors through a matrix
  };
  enum class Added { none, text, text_image, text_time, image, image_hint };
  enum class Tokens { given, text, text_image, image };

  TimeProjection::Kind time = TimeProjection::Kind::positional;
  bool of_log = true;         ///< Fourier features of the time's logarithm
  std::int64_t features = 0;  ///< width of what the time is projected to
  bool cos_first = true;
  double freq_shift = 0;
  std::int64_t time_steps = 0;                 ///< rows of a learned table
  std::int64_t width = 0;                      ///< of the embedding after the MLP
  Activation activation = Activation::silu;    ///< inside the MLPs of time and numbered labels
  std::optional<Activation> activation_after;  ///< after the time's MLP
  std::optional<Activation> activation_sum;    ///< after all is added up
  std::int64_t guidance = 0;                   ///< width of the guidance embedding `timestep_cond`, or 0

  Labels labels = Labels::none;
  bool vectors_as_z = false;     ///< z stands in for labels: rows of the embedding
  std::int64_t classes = 0;      ///< rows of the label table
  std::int64_t label_width = 0;  ///< of vectors
  bool concat = false;           ///< the label's embedding goes beside the time's, not onto it

  Added added = Added::none;
  std::int64_t added_width = 0;  ///< what its MLP reads
  std::int64_t id_width = 0;     ///< text_time: sinusoids of each number
  std::int64_t pool_heads = 64;  ///< text

  Tokens tokens = Tokens::given;
  std::int64_t given_width = 0;    ///< of the tokens (or the picture's vector) that are given
  std::int64_t context_width = 0;  ///< of those attended to

  /// What residual blocks read.
  [[nodiscard]] std::int64_t block_width() const { return concat ? 2 * width : width; }
};

/// What labels add to the time embedding: rows of a table, a matrix, or an MLP.
struct ClassEmbedding {
  Tensor weight;  ///< (classes, width), or undefined
  std::optional<Linear> linear;
  std::optional<TimeEmbedding> mlp;

  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("", self.linear);
    visit("", self.mlp);
  }
};

/// One vector from tokens: the mean of them, moved to a learned place, attends to itself and to them.
struct AttentionPooling {
  Tensor positional_embedding;  ///< (1, width)
  Linear k_proj, q_proj, v_proj;
  std::int64_t heads = 1;

  static void fields(auto& self, auto&& visit) {
    visit("positional_embedding", self.positional_embedding);
    visit("k_proj", self.k_proj);
    visit("q_proj", self.q_proj);
    visit("v_proj", self.v_proj);
  }

  /// (n, t, width) -> (n, width)
  [[nodiscard]] Tensor operator()(const Tensor& tokens) const;
};

/// What text and pictures add to the time embedding.
struct AddedEmbedding {
  std::optional<TimeEmbedding> mlp;  ///< text_time
  std::optional<LayerNorm> norm1, norm2;
  std::optional<AttentionPooling> pool;
  std::optional<Linear> proj, text_proj, image_proj;
  std::optional<LayerNorm> text_norm, image_norm;
  std::vector<Conv2d> hint;  ///< layers 0, 2, 4 ... of a sequence

  static void fields(auto& self, auto&& visit) {
    visit("", self.mlp);
    visit("norm1", self.norm1);
    visit("pool", self.pool);
    visit("proj", self.proj);
    visit("norm2", self.norm2);
    visit("text_proj", self.text_proj);
    visit("text_norm", self.text_norm);
    visit("image_proj", self.image_proj);
    visit("image_norm", self.image_norm);
    for (std::size_t i = 0; i < self.hint.size(); ++i)
      visit(("input_hint_block." + std::to_string(2 * i)).c_str(), self.hint[i]);
  }
};

/// Tokens from what is given.
struct TokenProjection {
  std::optional<Linear> text, text_proj, image_embeds;
  std::optional<LayerNorm> norm;

  static void fields(auto& self, auto&& visit) {
    visit("", self.text);
    visit("image_embeds", self.image_embeds);
    visit("text_proj", self.text_proj);
    visit("norm", self.norm);
  }
};

struct UNet2DEmbedding {
  TimeProjection time_proj;
  TimeEmbedding time_embedding;
  ClassEmbedding class_embedding;
  AddedEmbedding add_embedding;
  TokenProjection encoder_hid_proj;
  EmbeddingPlan plan;
  std::string family;

  UNet2DEmbedding() = default;
  UNet2DEmbedding(const EmbeddingPlan& p, std::string name);

  static void fields(auto& self, auto&& visit) {
    visit("time_proj", self.time_proj);
    visit("time_embedding", self.time_embedding);
    visit("class_embedding", self.class_embedding);
    visit("add_embedding", self.add_embedding);
    visit("encoder_hid_proj", self.encoder_hid_proj);
  }

  /// (n, block width), without the activation that blocks apply; t one a row.
  [[nodiscard]] Tensor operator()(const Inputs& in, const std::vector<double>& t) const;
  /// (n, width): what labels add.
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const;
  /// What blocks attend to; undefined where nothing is given.
  [[nodiscard]] Tensor tokens(const Inputs& in) const;
  /// The picture's hint as further channels of x.
  [[nodiscard]] Tensor hint(const Inputs& in) const;
  /// Adds what is read here: z, labels and further inputs. `context`: whether blocks attend to tokens.
  void describe(Signature& s, bool context) const;

 private:
  [[nodiscard]] Tensor label_vector(const Inputs& in) const;
  [[nodiscard]] Tensor addition(const Inputs& in) const;
  /// z or a further input; throws where it is missing or of another shape than (n, ...) of `each` (0: any extent).
  [[nodiscard]] Tensor given(const Inputs& in, const std::string& name, const Shape& each) const;
};

}  // namespace costate
