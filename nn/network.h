// What every network looks like from outside: named parameters, and a differentiable evaluation.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/neighbours.h"

namespace costate {

/// How a parameter lies in checkpoints, against how it lies here.
enum class Layout {
  plain,   ///< the same
  linear,  ///< file (out, in), here (in, out)
  conv,    ///< file (out, in, kh, kw), here (kh, kw, in, out)
  image,   ///< file (c, h, w), here (h, w, c)
  either,  ///< a 1x1 convolution or a matrix in the file, (in, out) here: files disagree
};

/// What a network is evaluated on. Row i of everything belongs to sample i.
struct Inputs {
  Tensor x;               ///< (n, h, w, c), (n, t, c) or (n, d), in the dtype of the parameters
  std::vector<double> t;  ///< the network's own time, one a row; empty where it has none
  Tensor classes;         ///< (n) i32 labels, or undefined
  Tensor z;               ///< condition: class embedding rows (n, d) in place of `classes`, tokens ...; or undefined
  std::map<std::string, Tensor> extra;  ///< further inputs by their names in the family's documentation
  std::vector<double> alpha, sigma;  ///< the level, for networks that take it instead of a time; filled by the denoiser
};

/// The input of this name: x, z or one of `extra`, which is made if it is not there yet.
[[nodiscard]] Tensor& input(Inputs& in, const std::string& name);

/// A further input a network takes, by its name in files.
struct ExtraInput {
  std::string name;
  Shape shape;                 ///< one sample's; an extent of 0 is free
  Shape usual = {};            ///< an example of it, where `shape` leaves extents free
  bool required = true;        ///< evaluation throws without it
  bool differentiable = true;  ///< not: masks, and numbers that become sinusoids
};

/// Facts a user asks about before evaluating.
struct Signature {
  Shape input;  ///< one sample, e.g. (h, w, c), of the usual size: a convolutional network takes others; 0 = not said
  std::int64_t out_channels = 0;
  bool whole = true;            ///< false: only its parts can be evaluated
  bool takes_time = true;       ///< does it read Inputs::t?
  std::int64_t time_rows = 0;   ///< times are rows of a table of so many; 0: any time
  std::int64_t classes = 0;     ///< rows of the label table, 0 if there is none
  bool null_class = true;       ///< the last row of the table is "no class", where trained so
  bool any_label = false;       ///< it takes labels without a table: numbers that are embedded like a time
  Shape z;                      ///< one sample's condition, rank 0 if it takes none; an extent of 0 is free
  bool needs_condition = true;  ///< where it takes one: without labels or z an evaluation throws
  std::vector<ExtraInput> extra = {};
  std::string summary;  ///< a line on the structure
  /// What the family brings where no file says otherwise: {"prediction", "schedule", "sampling"} as JSON text.
  std::string defaults = "{}";
};

struct Parameter {
  std::string key;  ///< canonical key, joined with dots
  Tensor value;     ///< a ghost (shape only) until weights are loaded
  Layout layout = Layout::plain;
  bool buffer = false;  ///< a constant (running statistics, frequency table): loaded and saved, without a gradient
};

/// A network with its parameters: an immutable value behind a pointer.
class Network {
 public:
  Network() = default;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  virtual ~Network() = default;

  [[nodiscard]] virtual std::vector<Parameter> parameters() const = 0;
  /// The same network on other parameter values (same order, shapes in this library's layout).
  [[nodiscard]] virtual std::shared_ptr<const Network> with(const Tensors& values) const = 0;
  [[nodiscard]] virtual Tensor operator()(const Inputs& in) const = 0;
  [[nodiscard]] virtual Signature signature() const = 0;
  /// How many of the rows of `in` are best evaluated at a time, where the caller can choose: no bit depends on it.
  [[nodiscard]] virtual std::int64_t rows_at_once(const Inputs& in) const { return in.x.dim(0); }
  /// Names of the functions of a network that has several on the same parameters: {"encode", "decode"}.
  [[nodiscard]] virtual std::vector<std::string> parts() const { return {}; }
  /// This network with evaluation and signature of one of them; throws, naming them all, for any other.
  [[nodiscard]] std::shared_ptr<const Network> part(const std::string& name) const;
  /// The rows of the label table for (n) i32 labels, differentiable; throws where the network has none.
  [[nodiscard]] virtual Tensor embed_classes(const Tensor& classes) const;
  /// Pieces of keys that older files spell differently: {here, there}.
  [[nodiscard]] virtual std::vector<std::pair<std::string, std::string>> spellings() const { return {}; }

 protected:
  [[nodiscard]] virtual std::shared_ptr<const Network> select(const std::string& part) const;
};

/// A plain struct with `fields`, `operator()(const Inputs&)` and `signature()` as a Network.
/// `fields` visits (name, member) or (name, member, Layout) or (name, member, Layout, buffer). A model of several functions has
/// `parts()` and a string `part`, which its `operator()` and `signature` read; it is empty until one is chosen.
template <class Model>
class NetworkOf final : public Network {
 public:
  explicit NetworkOf(Model model) : model_(std::move(model)) {}

  [[nodiscard]] std::vector<Parameter> parameters() const override {
    std::vector<Parameter> all;
    for_each_tensor("", model_, [&](const std::string& key, const Tensor& t, const auto&... how) {
      if (t.defined()) all.push_back({key, t, how...});
    });
    return all;
  }
  [[nodiscard]] std::shared_ptr<const Network> with(const Tensors& values) const override {
    Model model = with_leaves(model_, values);
    move_together(model);
    return std::make_shared<const NetworkOf>(std::move(model));
  }
  [[nodiscard]] Tensor operator()(const Inputs& in) const override { return model_(in); }
  [[nodiscard]] Signature signature() const override { return model_.signature(); }
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const override {
    if constexpr (requires { model_.embed_classes(classes); })
      return model_.embed_classes(classes);
    else
      return Network::embed_classes(classes);
  }
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> spellings() const override {
    if constexpr (requires { model_.spellings(); })
      return model_.spellings();
    else
      return {};
  }
  [[nodiscard]] std::vector<std::string> parts() const override {
    if constexpr (requires { model_.parts(); })
      return model_.parts();
    else
      return {};
  }
  [[nodiscard]] const Model& model() const { return model_; }

 protected:
  [[nodiscard]] std::shared_ptr<const Network> select(const std::string& part) const override {
    if constexpr (requires { model_.part; }) {
      Model chosen = model_;
      chosen.part = part;
      return std::make_shared<const NetworkOf>(std::move(chosen));
    } else {
      return Network::select(part);
    }
  }

 private:
  Model model_;
};

/// One number a row, from one a row or one for all; throws, calling them `name`, for any other count.
std::vector<double> per_row(const char* name, const std::vector<double>& values, std::int64_t rows);

/// A parameter as it lies in files, from how it lies here, and back. `rank` of `either` is taken from `like`.
Tensor to_file_layout(const Tensor& here, Layout layout, const Shape& like);
Tensor from_file_layout(const Tensor& file, Layout layout);
/// The shape a checkpoint must hold for a parameter of this shape and layout.
Shape file_shape(const Shape& here, Layout layout);

}  // namespace costate
