// Times (and numbered labels) as vectors: sinusoids, Fourier features or a table, then a small MLP.
#pragma once

#include <optional>
#include <vector>

#include "nn/activation.h"
#include "nn/linear.h"

namespace costate {

/// Sinusoids of the numbers: with half = width / 2 and angle_k = t theta^(-k / (half - freq_shift)), each row is all
/// sines, then all cosines (or the other way round), and a zero if the width is odd. Angles and sines are f64, then
/// rounded to the dtype.
[[nodiscard]] Tensor sinusoids(const std::vector<double>& t, std::int64_t width, bool cos_first, double freq_shift,
                               Kind kind, double theta = 10000);

/// Rows of a table (steps, width) for whole times.
[[nodiscard]] Tensor table_rows(const std::vector<double>& t, const Tensor& table);

/// What a network makes of its time before any layer.
struct TimeProjection {
  enum class Kind {
    positional,  ///< sinusoids; no weights
    fourier,     ///< [sin, cos] of 2 pi W ln t, or of 2 pi W t (of W t where W is in radians), with W (width / 2)
    learned,     ///< row t of a table (steps, width)
  };

  Kind kind = Kind::positional;
  std::int64_t width = 0;  ///< of the result
  bool cos_first = true;   ///< cosines before sines
  double freq_shift = 0;   ///< positional only, like theta
  double theta = 10000;
  bool half_log = false;   ///< positional: of ln(t) / 2
  bool of_log = true;      ///< fourier only, like what follows
  bool radians = false;    ///< W is in radians, not in turns
  bool with_time = false;  ///< t itself goes before the sines; the width is odd
  Tensor weight;           ///< undefined for sinusoids
  const char* key = "weight";
  bool buffer = false;  ///< the weight is no parameter

  static void fields(auto& self, auto&& visit) { visit(self.key, self.weight, Layout::plain, self.buffer); }

  /// (rows, width) of this kind for one time a row.
  [[nodiscard]] Tensor operator()(const std::vector<double>& t, costate::Kind like) const;
};

/// [sin, cos] of t f with the frequencies f (width / 2) that lie under `key` in the file, as constants.
[[nodiscard]] inline TimeProjection stored_frequencies(std::int64_t count, const char* key) {
  return {.kind = TimeProjection::Kind::fourier,
          .width = 2 * count,
          .cos_first = false,
          .of_log = false,
          .radians = true,
          .weight = parameter({count}),
          .key = key,
          .buffer = true};
}

/// linear, activation (SiLU), linear
struct TimeEmbedding {
  Linear linear_1, linear_2;
  std::optional<Linear> cond_proj;  ///< of a further vector, added to what goes in
  Activation activation = Activation::silu;
  std::optional<Activation> after;

  TimeEmbedding() = default;
  TimeEmbedding(std::int64_t in, std::int64_t out) : linear_1(in, out), linear_2(out, out) {}

  static void fields(auto& self, auto&& visit) {
    visit("linear_1", self.linear_1);
    visit("cond_proj", self.cond_proj);
    visit("linear_2", self.linear_2);
  }

  [[nodiscard]] Tensor operator()(const Tensor& x) const {
    const Tensor y = linear_2(activate(activation, linear_1(x)));
    return after ? activate(*after, y) : y;
  }
};

}  // namespace costate
