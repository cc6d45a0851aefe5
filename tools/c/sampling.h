// What a costate_sampling asks for, as samplers and adjoints take it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/c/arrays.h"
#include "tools/model/classifier.h"
#include "tools/model/course.h"
#include "tools/model/latent.h"

struct costate_model {
  costate::Model model;
  std::string info = {};
};

namespace costate {

const Model& model_of(const costate_model* m);

class AskedSampling {
 public:
  /// `encodes`: the inputs hold x in place of x_T.
  AskedSampling(const costate_model* m, const costate_sampling* asked, bool encodes = false);

  /// x_0, and of a latent pipeline what it is decoded to.
  void sample(costate_result& result) const;
  /// What takes the sampler to x, and x after the way back.
  void encode(const std::string& states, costate_result& result) const;
  /// `wrt`: empty for all.
  void differentiate(const std::string& adjoint, const std::vector<std::string>& wrt, costate_result& result) const;

 private:
  void read_inputs(NamedTensors given, const costate_sampling& asked);
  [[nodiscard]] Conditioned conditioned(std::int64_t first, std::int64_t rows) const;
  [[nodiscard]] Sampler sampler(const Conditioned& c, std::int64_t first, std::int64_t rows) const;
  [[nodiscard]] Loss loss() const;
  /// by_groups over all samples: one by one where each has steps of its own, else at once.
  [[nodiscard]] Tensors over_rows(const std::vector<int>& axes,
                                  const std::function<Tensors(std::int64_t first, std::int64_t rows)>& f) const;

  Model model_;
  std::optional<LatentSpace> space_;
  Course course_;
  std::uint64_t seed_ = 0;
  std::optional<Classifier> classifier_;
  Condition condition_;
  Tensor x_T_;                      ///< or x_0, to be encoded
  Tensor noise_, memory_, labels_;  ///< labels: of the classifier
  Tensor w_;                        ///< of the loss
};

}  // namespace costate
