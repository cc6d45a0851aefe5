// costate train-classifier: trains the small image classifier that losses of samples use, from IDX files.
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/rows.h"
#include "autodiff/transform.h"
#include "core/random.h"
#include "io/idx.h"
#include "nn/family.h"
#include "solvers/optimiser.h"
#include "tools/losses.h"
#include "tools/result.h"

namespace costate {
namespace {

struct Options {
  Common common;
  std::string images, labels;
  std::int64_t epochs = 12, batch = 100, held_out = 2000;
  double rate = 2e-3;
};

struct Data {
  Tensor x;  // (n, h w), f32 in [-1, 1]
  std::vector<int> label;
  std::int64_t height = 0, width = 0;
  [[nodiscard]] std::int64_t count() const { return x.dim(0); }
};

Data read_data(const Options& o) {
  const Tensor images = read_idx(o.images), labels = read_idx(o.labels);
  require(images.rank() == 3, "{}: holds {}, not images (n, h, w)", o.images, images.shape());
  require(labels.rank() == 1 && labels.dim(0) == images.dim(0), "{}: holds {} labels for {} images", o.labels,
          labels.size(), images.dim(0));
  require(o.held_out > 0 && o.held_out < images.dim(0), "--held-out {}: should be between 1 and {}", o.held_out,
          images.dim(0) - 1);
  Data d{images.reshaped({images.dim(0), images.dim(1) * images.dim(2)}) * (2.0 / 255) + -1.0,
         {},
         images.dim(1),
         images.dim(2)};
  for (const double v : labels.to_vector()) d.label.push_back(static_cast<int>(v));
  return d;
}

/// Numbers 0 ... n - 1 in an order that seed and epoch alone decide.
std::vector<std::int64_t> shuffled(std::int64_t n, std::uint64_t seed, std::int64_t epoch) {
  const auto keys = normal_noise(seed, 1, 1, static_cast<std::uint32_t>(epoch), {n}).to_vector();
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return keys[static_cast<std::size_t>(a)] < keys[static_cast<std::size_t>(b)]; });
  return order;
}

struct Batch {
  Tensor x, labels;
};
Batch rows_of(const Data& d, const std::vector<std::int64_t>& index, Device device) {
  std::vector<double> rows, labels;
  for (const auto i : index) {
    rows.push_back(static_cast<double>(i));
    labels.push_back(d.label[static_cast<std::size_t>(i)]);
  }
  const auto n = static_cast<std::int64_t>(index.size());
  const Tensor x = gather_rows(d.x, Tensor::from(rows, {n}, DType::i32));
  return {x.reshaped({n, d.height, d.width, 1}).to(device), Tensor::from(labels, {n}, DType::i32)};
}

/// Weights with the variance of He et al. 2015; biases zero.
Tensors first_values(const Network& network, std::uint64_t seed, Kind kind) {
  Tensors values;
  for (const auto& p : network.parameters()) {
    const Shape& shape = p.value.shape();
    const auto fan_in = static_cast<double>(shape.size() / shape[-1]);
    const Tensor noise = normal_noise(seed, 0, 1, static_cast<std::uint32_t>(values.size()), shape, kind);
    values.push_back(shape.rank() == 1 ? Tensor::zeros(shape, kind) : noise.reshaped(shape) * std::sqrt(2 / fan_in));
  }
  return values;
}

Tensor logits_of(const Network& network, const Tensor& x) {
  Inputs in;
  in.x = x;
  return network(in);
}

/// Share of right answers on images first ... of the data.
double accuracy(const Network& network, const Data& d, std::int64_t first, Device device) {
  std::int64_t right = 0;
  for (std::int64_t at = first; at < d.count(); at += 500) {
    std::vector<std::int64_t> index(static_cast<std::size_t>(std::min<std::int64_t>(500, d.count() - at)));
    std::iota(index.begin(), index.end(), at);
    const Batch b = rows_of(d, index, device);
    const auto logits = logits_of(network, b.x).to_vector();
    const std::size_t classes = logits.size() / index.size();
    for (std::size_t i = 0; i < index.size(); ++i) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * classes);
      const auto best = std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row;
      right += best == b.labels.data<std::int32_t>()[i] ? 1 : 0;
    }
  }
  return static_cast<double>(right) / static_cast<double>(d.count() - first);
}

void write_model(const std::string& file, const Network& network, const Config& config, const Common& common) {
  Hdf5Writer out(file);
  for (const auto& p : network.parameters())
    out.write("weights/" + p.key, to_file_layout(p.value, p.layout, file_shape(p.value.shape(), p.layout)));
  out.attribute("", "format", "costate model");
  out.attribute("", "format_version", 1);
  out.attribute("", "config", config.dump());
  out.attribute("", "version", version());
  out.attribute("", "command", command_line());
  out.attribute("", "seed", common.seed);
  out.attribute("", "model", config.text("family", ""));
  out.finish();
}

void run_training(const Options& o) {
  o.common.apply();
  if (o.common.out.size() != 1) throw UsageError("--out: give one .h5 file for the classifier");
  const Device device = o.common.place();
  const Data data = read_data(o);
  const std::int64_t train = data.count() - o.held_out;
  const int classes = 1 + *std::max_element(data.label.begin(), data.label.end());
  const Config config(nlohmann::json{{"family", "image_classifier"},
                                     {"channels", {16, 32, 64}},
                                     {"classes", classes},
                                     {"input", {data.height, data.width, 1}}},
                      "train-classifier");
  std::string reason;
  const auto blank = find_family(config, {}, reason).make(config, {});
  Tensors values = first_values(*blank, o.common.seed, {DType::f32, device});
  Optimiser adam{.rate = o.rate};
  Optimiser::State state;
  const Progress progress = o.common.progress("training");
  const std::int64_t steps = train / o.batch;
  double loss = 0;
  for (std::int64_t epoch = 0; epoch < o.epochs; ++epoch) {
    const auto order = shuffled(train, o.common.seed, epoch);
    loss = 0;
    for (std::int64_t i = 0; i < steps; ++i) {
      // The rate falls to zero along a cosine.
      const double part = static_cast<double>(epoch * steps + i) / static_cast<double>(o.epochs * steps);
      adam.rate = o.rate * (1 + std::cos(part * 3.14159265358979)) / 2;
      const auto from = order.begin() + i * o.batch;
      const Batch b = rows_of(data, {from, from + o.batch}, device);
      const auto [l, g] = value_and_grad(
          [&](const Tensors& v) { return cross_entropy(logits_of(*blank->with(v), b.x), b.labels); }, values);
      values = adam.step(values, g, state);
      loss += l.item() / static_cast<double>(steps);
      report(progress, epoch * steps + i + 1, o.epochs * steps);
    }
  }
  const auto network = blank->with(values);
  const double held_out = accuracy(*network, data, train, device);
  write_model(o.common.out[0], *network, config, o.common);
  if (o.common.json)
    std::cout << nlohmann::ordered_json{{"loss", loss}, {"accuracy", held_out}, {"trained_on", train}}.dump(2) << "\n";
  else
    fmt::print("{} images: loss {:.4f}; {} held out: {:.2f} % right\nwrote {}\n", train, loss, o.held_out,
               100 * held_out, o.common.out[0]);
}

}  // namespace

Command train_classifier_command() {
  return {"train-classifier", "train the small classifier that losses of samples use, from IDX files",
          "  costate train-classifier --images t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz --out "
          "classifier.h5\n"
          "  costate guide fashion-unet --class 3 --loss class:7 --loss-classifier classifier.h5",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, {".h5"}, false);
            a.option("--images", o->images, "images (n, h, w), IDX, gzipped or plain", "FILE");
            a.option("--labels", o->labels, "labels (n), IDX, gzipped or plain", "FILE");
            a.option("--epochs", o->epochs, "passes over the images [12]");
            a.option("--batch", o->batch, "images a step [100]");
            a.option("--rate", o->rate, "first learning rate of Adam [0.002]");
            a.option("--held-out", o->held_out, "last images of the file, kept for the measured accuracy [2000]");
            return [o] {
              if (o->images.empty() || o->labels.empty()) throw UsageError("--images and --labels: give both files");
              run_training(*o);
            };
          }};
}

}  // namespace costate
