// The attention of one place in a U-Net, whichever kind its plan asks for.
#pragma once

#include <optional>

#include "nn/added_attention.h"
#include "nn/attention_block.h"
#include "nn/transformer_2d.h"

namespace costate {

/// The attention of a level or of the middle.
struct AttentionChoice {
  enum class Kind {
    none,
    pixels,       ///< pixels to pixels
    transformer,  ///< layers of attention to pixels, to a context, and a feed-forward network
    added,        ///< to pixels and a context at once
    k,            ///< in K blocks, which build it themselves
  };
  enum class ContextNorm { none, layer, group };

  Kind kind = Kind::none;
  std::int64_t heads = 1;                   ///< transformer
  std::int64_t head_width = 1;              ///< the others: channels of a head
  std::optional<std::int64_t> groups = {};  ///< of the norm before; nothing: pixels attend without one
  double eps = 1e-5;                        ///< pixels
  double divisor = 1;                       ///< pixels
  std::int64_t context = 0;                 ///< width of the tokens
  std::vector<std::int64_t> depths = {};    ///< transformer: layers of each attention; one number stands for all
  bool only_context = false;
  bool dual = false;  ///< transformer: two of them, each to a part of the context
  ContextNorm context_norm = ContextNorm::none;

  [[nodiscard]] bool reads_context() const {
    return kind == Kind::transformer || kind == Kind::added || (kind == Kind::k && context > 0);
  }
};

struct SpatialAttention {
  std::optional<AttentionBlock> pixels;
  std::optional<Transformer2D> transformer;
  std::optional<DualTransformer> dual;
  std::optional<AddedAttention> added;

  SpatialAttention() = default;
  /// The `index`-th of its level.
  SpatialAttention(const AttentionChoice& plan, std::int64_t channels, std::size_t index);

  static void fields(auto& self, auto&& visit) {
    visit("", self.pixels);
    visit("", self.transformer);
    visit("", self.dual);
    visit("", self.added);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x, const Context& context) const {
    if (pixels) return (*pixels)(x);
    if (transformer) return (*transformer)(x, context);
    return dual ? (*dual)(x, context) : (*added)(x, context);
  }
};

}  // namespace costate
