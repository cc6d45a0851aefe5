// Family smalldiffusion-mlp: the toy networks TimeInputMLP and ConditionalMLP of yuanchenyang/smalldiffusion.
//
// Points with [sin, cos] of ln(sigma) / 2, and in the second the label's embedding; linear layers with GELU between.
// The structure is read off the keys.
#include "autodiff/ops/concat.h"
#include "autodiff/ops/gelu.h"
#include "nn/family.h"
#include "nn/preconditioning.h"
#include "nn/sizes.h"
#include "nn/smalldiffusion.h"

namespace costate {
namespace {

struct SmallMlp {
  std::vector<Linear> net;  ///< under even numbers: GELUs count too
  std::optional<LabelEmbedding> label;
  bool scaled = false;
  std::string defaults;

  static void fields(auto& self, auto&& visit) {
    for (std::size_t i = 0; i < self.net.size(); ++i) visit(fmt::format("net.{}", 2 * i).c_str(), self.net[i]);
    visit("", self.label);
  }

  [[nodiscard]] std::int64_t width() const { return net.back().weight.dim(1); }

  [[nodiscard]] Tensor operator()(const Inputs& in) const {
    const std::int64_t n = in.x.rank() == 2 ? in.x.dim(0) : 0;
    require(in.x.shape() == Shape{n, width()}, "smalldiffusion-mlp: wants x (n, {}), got {}", width(), in.x.shape());
    const std::vector<double> sigma = per_row("times", in.t, n);
    const TimeProjection waves{.width = 2, .cos_first = false, .half_log = true, .weight = {}};
    Tensors parts{scaled ? unit_scale(in.x, sigma) : in.x, waves(sigma, in.x.kind())};
    require(label.has_value() == (in.z.defined() || in.classes.defined()), "smalldiffusion-mlp: this network {}",
            label ? "is conditional: it wants labels, or vectors (z) in their place" : "takes no condition");
    if (label) parts.push_back((*label)(in));
    Tensor h = net.front()(concat(parts, 1));
    for (std::size_t i = 1; i < net.size(); ++i) h = net[i](gelu(h));
    return h;
  }
  [[nodiscard]] Tensor embed_classes(const Tensor& classes) const {
    require(label.has_value(), "smalldiffusion-mlp: labels were given to a network without a label table");
    return (*label)(classes);
  }

  [[nodiscard]] Signature signature() const {
    Signature s;
    s.input = {width()};
    s.out_channels = width();
    if (label) {
      s.classes = label->rows();
      s.z = {label->width()};
    }
    s.summary = fmt::format("MLP of points, {} linear layers", net.size());
    s.defaults = defaults;
    return s;
  }
};

SmallMlp make(const Config& config, const KeyShapes& keys) {
  refuse_unknown(config,
                 "dim output_dim hidden_dims cond_dim num_classes dropout_prob cond_embed Scaled PredX0 PredV "
                 "PredFlow");
  SmallMlp m;
  for (auto at = keys.find("net.0.weight"); at != keys.end();
       at = keys.find(fmt::format("net.{}.weight", 2 * m.net.size()))) {
    require(at->second.rank() == 2, "smalldiffusion-mlp: {} should be (out, in), is {}", at->first, at->second);
    m.net.emplace_back(at->second[1], at->second[0]);
  }
  require(m.net.size() >= 2, "smalldiffusion-mlp: {} linear layers (net.N.weight); wants two or more", m.net.size());
  if (const auto at = keys.find("cond_embed.embeddings.weight"); at != keys.end())
    m.label = smalldiffusion_labels(at->second[0] - 1, at->second[1]);
  const std::int64_t in = m.width() + 2 + (m.label ? m.label->width() : 0);
  require(m.net.front().weight.dim(0) == in, "smalldiffusion-mlp: net.0 takes {} numbers where x, sigma{} make {}",
          m.net.front().weight.dim(0), m.label ? " and label" : "", in);
  m.scaled = config.flag("Scaled", false);
  m.defaults = smalldiffusion_defaults(config);
  return m;
}

}  // namespace

Family smalldiffusion_mlp_family() {
  return {"smalldiffusion-mlp",
          "TimeInputMLP and ConditionalMLP of smalldiffusion: points, told sigma",
          [](const Config&, const KeyShapes& keys) -> std::string {
            bool found = keys.count("net.0.weight") != 0 && keys.count("net.2.weight") != 0;
            for (const auto& [key, shape] : keys)
              found = found && (key.rfind("net.", 0) == 0 || key.rfind("cond_embed.", 0) == 0);
            return found ? "only keys net.N and cond_embed" : "";
          },
          network_by(make),
          {"smalldiffusion-condmlp"}};
}

}  // namespace costate
