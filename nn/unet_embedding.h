// What a U-Net's blocks are told beside the image: time, label and augmentation, as one activated vector.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/activation.h"
#include "nn/network.h"
#include "nn/time_embedding.h"

namespace costate {

/// Labels as vectors (n, width): rows of a table, in some families through SiLU and a linear layer.
struct LabelEmbedding {
  Tensor table;  ///< (rows, width); in files so, or as the weight of a linear layer on one-hot labels (Layout::linear)
  Tensor bias;   ///< (width) of that layer, or undefined
  Layout layout = Layout::plain;
  double gain = 1;               ///< of the one-hot label
  bool null_class = false;       ///< the last row is "no class"
  std::optional<Linear> linear;  ///< after SiLU
  std::string table_key, bias_key, linear_key;

  static void fields(auto& self, auto&& visit) {
    visit(self.table_key.c_str(), self.table, self.layout);
    visit(self.bias_key.c_str(), self.bias);
    visit(self.linear_key.c_str(), self.linear);
  }

  [[nodiscard]] std::int64_t rows() const { return table.dim(0); }
  [[nodiscard]] std::int64_t width() const { return table.dim(1); }
  [[nodiscard]] Tensor operator()(const Tensor& classes) const;
  /// The rows of in.classes, or in.z in their place; throws unless exactly one of them is given, of the right size.
  [[nodiscard]] Tensor operator()(const Inputs& in) const;
};

struct UNetEmbedding {
  TimeProjection projection;
  std::optional<Linear> linear_1, linear_2;  ///< absent in networks that are not told the time
  Activation between = Activation::silu, last = Activation::silu;
  std::optional<LabelEmbedding> label;
  bool label_first = false;       ///< added before linear_1, not after linear_2
  bool label_optional = false;    ///< no label counts as a label of zeros
  std::optional<Linear> augment;  ///< of augmentation labels, added before linear_1; without bias
  std::string projection_key, key_1, key_2, augment_key = "map_augment";

  static void fields(auto& self, auto&& visit) {
    visit(self.projection_key.c_str(), self.projection);
    visit("", self.label);
    visit(self.augment_key.c_str(), self.augment);
    visit(self.key_1.c_str(), self.linear_1);
    visit(self.key_2.c_str(), self.linear_2);
  }

  /// (n, width) for a time a row, label rows or `classes` in their place, and augmentation labels (n, d), both where
  /// given. Undefined for a network that is not told the time.
  [[nodiscard]] Tensor operator()(const std::vector<double>& t, const Inputs& in, Kind kind) const;

 private:
  [[nodiscard]] Tensor label_rows(const Inputs& in) const;
};

}  // namespace costate
