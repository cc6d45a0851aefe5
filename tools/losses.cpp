// From a name to a loss of x_0.
#include "tools/losses.h"

#include <filesystem>
#include <memory>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/log.h"
#include "autodiff/ops/softmax.h"
#include "autodiff/ops/sqrt.h"
#include "autodiff/ops/sum.h"
#include "io/hdf5.h"
#include "io/png.h"
#include "solvers/norm.h"
#include "tools/model/classifier.h"

namespace costate {
namespace {

/// What losses see: a model's samples, or what those of a latent pipeline are decoded to.
struct Pictures {
  std::string maker;
  Shape shape;  ///< (h, w, c)
  ValueRange range;
  Device device;
};

Pictures pictures_of(const Model& model, const Shape& sample, const std::optional<LatentSpace>& space) {
  if (!space) return {model.name, sample, model.range, model.device};
  const Tensor pixels = space->decode(Tensor::zeros(sample.with_front(1), {DType::f64, model.device}));
  return {model.name, {pixels.dim(1), pixels.dim(2), pixels.dim(3)}, space->range, model.device};
}

/// The classifier (or its part) on pictures x (n, h, w, c), in its own range and dtype; f64 comes out.
std::function<Tensor(const Tensor& x)> classifier_of(const std::string& name, const Pictures& have,
                                                     const Common& common, const std::string& part) {
  const Model c =
      load_model(name.empty() ? "fashion-classifier" : name, {.dtype = common.type(), .device = have.device});
  require(!c.is_exact() && !c.network->signature().takes_time,
          "classifier {}: should be a network of images without a time, such as fashion-classifier", c.name);
  const Shape want = c.network->signature().input;
  require(want == have.shape, "classifier {}: takes images {}, and {} makes {}", c.name, want, have.maker, have.shape);
  const auto network = part.empty() ? c.network : c.network->part(part);
  return [network, dtype = c.dtype, from = have.range, to = c.range](const Tensor& x) {
    Inputs in;
    in.x = cast(from.convert(x, to), dtype);
    return cast((*network)(in), DType::f64);
  };
}

/// A file's picture as those that are made lie: (1, h, w, c) in their range. Of a result in HDF5 its first sample.
Tensor target_of(const std::string& file, const Pictures& like) {
  const bool result = std::filesystem::path(file).extension() == ".h5";
  const Tensor found = result ? cast(Hdf5Reader(file).read("x").rows(0, 1), DType::f64) : read_png(file);
  const Shape one = like.shape.with_front(1);
  require(found.shape() == (result ? one : like.shape),
          "{}: is {}, and {} makes {}; pictures of samples are enlarged, results in .h5 are not", file, found.shape(),
          like.maker, like.shape);
  return (result ? found : unit_range().convert(found, like.range).reshaped(one)).to(like.device);
}

Loss image_loss(const std::string& file, const Pictures& of) {
  return [target = target_of(file, of)](const Tensor& x) { return mean(square(x - broadcast_to(target, x.shape()))); };
}

Loss class_loss(const std::string& text, const Pictures& of, const Common& common, const std::string& classifier) {
  const auto labels = integer_list("--loss class", text);
  const auto logits = classifier_of(classifier, of, common, "");
  return [labels, logits](const Tensor& x) {
    const Tensor l = logits(x);
    return cross_entropy(l, repeat_labels(labels, 0, l.dim(0)));
  };
}

using Distance = std::function<Tensor(const Tensor& x, const Tensor& targets)>;

Distance distance_in(const std::function<Tensor(const Tensor&)>& features) {
  return [features](const Tensor& x, const Tensor& targets) {
    const Tensor f = features(x), t = broadcast_to(features(targets), f.shape());
    const Shape rows{f.dim(0), 1};
    const Tensor lengths = sqrt(sum_to(f * f, rows) * sum_to(t * t, rows));
    return add_scalar(-(sum_to(f * t, rows) / lengths), 1);
  };
}

Loss feature_loss(const std::string& file, const Pictures& of, const Common& common, const std::string& classifier) {
  return [distance = distance_in(classifier_of(classifier, of, common, "features")),
          target = target_of(file, of)](const Tensor& x) { return mean(distance(x, target)); };
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& labels) {
  const Tensor chosen = one_hot(labels, logits.dim(1), logits.kind());
  return mean(log_sum_exp(logits) - sum_to(logits * chosen, {logits.dim(0), 1}));
}

void check_loss_classifier(const std::string& loss, const std::string& classifier) {
  if (classifier.empty() || loss.starts_with("class:") || loss.starts_with("features:")) return;
  throw UsageError("--loss-classifier " + classifier + ": is for --loss class:K and features:FILE; leave it out");
}

Distance feature_distance(const Model& model, const Common& common, const std::string& classifier) {
  return distance_in(
      classifier_of(classifier, pictures_of(model, model.sample_shape(), std::nullopt), common, "features"));
}

Loss weighed(const Tensor& w, const std::string& file) {
  require(first_non_finite(w) < 0, "{}: w holds a NaN or an infinity", file);
  return [w, file](const Tensor& x) {
    require(x.shape() == w.shape(), "{}: w has shape {}; what it weighs has {}", file, w.shape(), x.shape());
    return inner(x, cast(w, x.dtype()).to(x.device()));
  };
}

Loss of_pixels(const Loss& loss, const LatentSpace& space) {
  return [loss, space](const Tensor& x_0) { return loss(space.decode(x_0)); };
}

Loss make_loss(const std::string& name, const Model& model, const Shape& sample, const Common& common,
               const std::string& classifier) {
  const auto space = latent_space(model);
  const auto seen = [&](const Loss& loss) { return space ? of_pixels(loss, *space) : loss; };
  if (name == "norm") return seen([](const Tensor& x) { return 0.5 * sum(square(x)); });
  if (name == "mean") return seen([](const Tensor& x) { return mean(x); });
  if (name == "sum") return seen([](const Tensor& x) { return sum(x); });
  const auto colon = name.find(':');
  const std::string kind = name.substr(0, colon), of = colon == std::string::npos ? "" : name.substr(colon + 1);
  const auto pictures = [&] { return pictures_of(model, sample, space); };
  if (!of.empty() && kind == "class") return seen(class_loss(of, pictures(), common, classifier));
  if (!of.empty() && kind == "image") return seen(image_loss(of, pictures()));
  if (!of.empty() && kind == "features") return seen(feature_loss(of, pictures(), common, classifier));
  if (!of.empty() && kind == "dot") {
    const Tensor w = Hdf5Reader(of).read("w");
    const Loss loss = weighed(w, of);
    return space && w.dim(-1) == space->gain.dim(0) ? loss : seen(loss);
  }
  as_usage([&] {
    fail_unknown("loss", name, {"norm", "mean", "sum", "class:K", "image:FILE", "features:FILE", "dot:FILE.h5"});
  });
  return {};
}

}  // namespace costate
