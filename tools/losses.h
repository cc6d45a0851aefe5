// Losses of samples by name: for `grad` and `guide`.
#pragma once

#include <functional>
#include <string>

#include "solvers/adjoint.h"
#include "tools/common.h"
#include "tools/model/conditioned.h"
#include "tools/model/latent.h"

namespace costate {

/// Mean over samples of -ln p(label), from logits (n, classes) and (n) i32 labels.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels);

/// The names that make_loss takes, for --help.
inline constexpr const char* loss_names =
    "norm (half the squared norm of x_0), mean, sum, dot:FILE.h5 (<w, x_0>), image:FILE (mean squared distance to a "
    ".png, or to x of an .h5), "
    "class:K "
    "(-ln p of the classifier), features:FILE (1 - cosine of the classifier's features, likewise)";

/// Throws UsageError for a classifier that is named where the loss has no use for one.
void check_loss_classifier(const std::string& loss, const std::string& classifier);

/// 1 - cosine between the classifier's features of samples (n, ...) and of targets, (n, ...) or (1, ...): a column (n, 1), as
/// losses of identity are built.
std::function<Tensor(const Tensor& x, const Tensor& targets)> feature_distance(const Model& model, const Common& common,
                                                                               const std::string& classifier);

/// <w, x> for w of the shape of x; throws, naming `file`, for another shape, a NaN or an infinity.
Loss weighed(const Tensor& w, const std::string& file);

/// A loss of pixels as one of the latents that they are decoded from.
Loss of_pixels(const Loss& loss, const LatentSpace& space);

/// A loss of x_0 (n, ...) of a model, rows of shape `sample`; of a latent pipeline, of the pixels (dot: of whichever w has the channels of).
/// `classifier` is a MODEL for class and features; empty: the bundled one. Unknown names and files that do not fit the model throw.
Loss make_loss(const std::string& name, const Model& model, const Shape& sample, const Common& common,
               const std::string& classifier);

}  // namespace costate
