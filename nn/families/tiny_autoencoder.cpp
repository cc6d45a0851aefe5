// Family tiny_autoencoder: small distilled autoencoders of latent diffusion (github madebyollin/taesd: TAESD, TAESD3, TAEF1, TAEF2,
// TAESANA; diffusers' AutoencoderTiny). A checkpoint holds an encoder, a decoder or both; parts encode and decode.
#include <fmt/ranges.h>

#include "autodiff/ops/arithmetic.h"
#include "nn/sizes.h"
#include "nn/tiny_sequence.h"

namespace costate {
namespace {

struct TinyAutoencoder {
  TinySteps encoder, decoder;
  std::string encoder_key, decoder_key;
  bool diffusers = false;  ///< images in [-1, 1] outside, and the clamp is no place of the sequence
  std::int64_t size = 64;
  std::string part;

  static void fields(auto& self, auto&& visit) {
    visit(self.encoder_key.c_str(), self.encoder);
    visit(self.decoder_key.c_str(), self.decoder);
  }

  [[nodiscard]] std::vector<std::string> parts() const {
    std::vector<std::string> all;
    if (!encoder.empty()) all.emplace_back("encode");
    if (!decoder.empty()) all.emplace_back("decode");
    return all;
  }
  [[nodiscard]] bool whole() const { return !part.empty() || encoder.empty() || decoder.empty(); }
  [[nodiscard]] bool encodes() const { return part == "encode" || (part.empty() && decoder.empty()); }
  [[nodiscard]] const TinySteps& steps() const { return encodes() ? encoder : decoder; }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    require(whole(), "tiny_autoencoder: say which part is meant: encode or decode");
    const Shape each = signature().input;
    const std::int64_t step = encodes() ? factor() : 1;
    require(in.x.rank() == 4 && in.x.dim(3) == each[2] && in.x.dim(1) % step == 0 && in.x.dim(2) % step == 0,
            "tiny_autoencoder: wants x (n, h, w, {}) with h and w divisible by {}, got {}", each[2], step,
            in.x.shape());
    require(!in.classes.defined() && !in.z.defined(), "tiny_autoencoder: takes no condition");
    if (!diffusers) return through(steps(), in.x);
    return encodes() ? through(steps(), (in.x + 1) / 2) : 2 * through(steps(), within_three(in.x)) - 1;
  }

  /// Pixels a latent has in each direction.
  [[nodiscard]] std::int64_t factor() const {
    std::int64_t f = 1;
    for (const auto& step : steps())
      if (step.kind == TinyStep::Kind::up || (step.conv && step.conv->geometry.stride_h == 2)) f *= 2;
    return f;
  }

  [[nodiscard]] Signature signature() const {
    const auto first = [](const TinySteps& s) {
      for (const auto& step : s)
        if (step.conv) return step.conv->weight.dim(2);
      return std::int64_t{0};
    };
    Signature s;
    const std::int64_t side = encodes() ? size : size / factor();
    s.input = {side, side, first(steps())};
    s.out_channels = steps().back().conv->weight.dim(3);
    s.whole = whole();
    s.takes_time = false;
    s.summary = fmt::format("tiny autoencoder, {} latent channels at 1/{} of the size; parts {}",
                            encodes() ? s.out_channels : s.input[2], factor(), fmt::join(parts(), ", "));
    s.defaults = fmt::format(R"({{"scaling_factor": 1, "sampling": {{"range": [{}, 1]}}}})", diffusers ? -1 : 0);
    return s;
  }
};

/// Where sequences lie: alone in a file of either, named in the authors' whole, or in diffusers'.
struct Place {
  const char *encoder, *decoder;
};
constexpr Place places[] = {{"encoder", "decoder"}, {"encoder.layers", "decoder.layers"}};

bool has_blocks(const KeyShapes& keys, const std::string& prefix) {
  for (int i = 0; i < 8; ++i)
    if (keys.count(join_key(prefix, fmt::format("{}.conv.4.weight", i))) != 0) return true;
  return false;
}

TinyAutoencoder make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config,
                 "in_channels out_channels encoder_block_out_channels decoder_block_out_channels block_out_channels "
                 "act_fn upsample_fn latent_channels upsampling_scaling_factor num_encoder_blocks num_decoder_blocks "
                 "latent_magnitude latent_shift force_upcast scaling_factor shift_factor sample_size");
  static_cast<void>(config.choice("upsample_fn", "nearest", {"nearest"}));
  if (config.integer("upsampling_scaling_factor", 2) != 2)
    config.unsupported("upsampling_scaling_factor", "supported: 2");
  TinyAutoencoder m;
  const Activation activation = activation_from(config, "act_fn", {"relu", "silu", "swish", "mish", "gelu"});
  m.size = size_from(config, "sample_size", m.size);
  for (const auto& [encoder, decoder] : places) {
    if (!has_blocks(keys, encoder) && !has_blocks(keys, decoder)) continue;
    m.encoder_key = encoder, m.decoder_key = decoder;
    m.diffusers = m.encoder_key == places[1].encoder;
    m.encoder = tiny_steps_of(keys, encoder, true, activation);
    m.decoder = tiny_steps_of(keys, decoder, false, activation);
  }
  if (m.encoder_key.empty()) {
    const bool encodes = keys.count("0.weight") != 0;  // a decoder begins with the clamp
    (encodes ? m.encoder : m.decoder) = tiny_steps_of(keys, "", encodes, activation);
  }
  for (const TinySteps* steps : {&m.encoder, &m.decoder})
    require(steps->empty() || steps->back().conv, "tiny_autoencoder: the sequence should end in a convolution");
  require(!m.encoder.empty() || !m.decoder.empty(),
          "tiny_autoencoder: neither an encoder's nor a decoder's keys are there");
  return m;
}

}  // namespace

Family tiny_autoencoder_family() {
  return {"tiny_autoencoder", "tiny autoencoders of latent diffusion, TAESD and its kin: parts encode and decode",
          [](const Config& config, const KeyShapes& keys) -> std::string {
            if (config.text("_class_name", "") == "AutoencoderTiny") return "_class_name = AutoencoderTiny";
            for (const char* prefix : {"", "encoder", "decoder", "encoder.layers", "decoder.layers"})
              if (has_blocks(keys, prefix)) return fmt::format("keys {} of a sequence", join_key(prefix, "N.conv.4"));
            return "";
          },
          network_by(make)};
}

}  // namespace costate
