// A model and a condition as solvers see them.
#include "tools/model/conditioned.h"

#include <algorithm>

#include "autodiff/ops/add.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"

namespace costate {
namespace {

/// One evaluation of the network on x (n, ...) with condition rows z (or none).
Tensor evaluate(const Network& network, const Tensor& x, const Level& at, const Tensor& z) {
  const auto n = static_cast<std::size_t>(x.dim(0));
  Inputs in;
  in.x = x;
  in.t.assign(n, at.t);
  in.alpha.assign(n, at.alpha);
  in.sigma.assign(n, at.sigma);
  in.z = z;
  return network(in);
}

/// The weight of guidance at each level: one number, or one a level of the grid.
std::function<double(const Level&)> guidance_of(const Condition& c, const Grid& grid) {
  if (c.guidance_steps.empty()) return [w = c.guidance](const Level&) { return w; };
  require(c.guidance_steps.size() + 1 == grid.size(), "guidance: {} weights for a grid of {} steps",
          c.guidance_steps.size(), grid.empty() ? 0 : grid.size() - 1);
  return [grid, weights = c.guidance_steps](const Level& at) {
    const auto it =
        std::find_if(grid.begin(), grid.end(), [&](const Level& l) { return l.t == at.t && l.sigma == at.sigma; });
    require(it != grid.end() && it + 1 != grid.end(),
            "guidance: a weight a step was given, but this sampler evaluates t = {} between the levels", at.t);
    return weights[static_cast<std::size_t>(it - grid.begin())];
  };
}

/// p = {z?, z_null?, weights...}
Net network_net(const Model& model, bool has_z, bool has_null, std::function<double(const Level&)> guidance) {
  const auto base = model.network;
  return [=](const Tensor& x, const Level& at, const Tensors& p) {
    const std::size_t first = (has_z ? 1U : 0U) + (has_null ? 1U : 0U);
    const auto network = base->with(Tensors(p.begin() + static_cast<std::ptrdiff_t>(first), p.end()));
    if (!has_null) return evaluate(*network, x, at, has_z ? p[0] : Tensor());
    // Both halves as one batch: rows are independent, so their bits are those of two calls.
    const std::int64_t n = x.dim(0);
    const Tensor both = concat({p[0], broadcast_to(p[1], p[1].shape().with(0, n))}, 0);
    const Tensor y = evaluate(*network, concat({x, x}, 0), at, both);
    const double w = guidance(at);
    return lincomb(w, slice(y, 0, 0, n), 1 - w, slice(y, 0, n, n));
  };
}

void check_condition(const Model& model, const Condition& c, std::int64_t rows) {
  const Signature s = model.network->signature();
  if (c.classes.defined()) {
    require(s.classes > 0 || s.z.rank() > 0, "{}: takes no class; leave --class out", model.name);
    require(c.classes.shape() == Shape{rows}, "class: {} labels for {} samples", c.classes.size(), rows);
    for (std::int64_t i = 0; s.classes > 0 && i < rows; ++i) {  // labels that are embedded like a time have no bound
      const auto label = c.classes.data<std::int32_t>()[i];
      require(label >= 0 && label < s.classes, "class {}: {} has classes 0 to {}", label, model.name, s.classes - 1);
    }
  }
  if (c.z.defined()) {
    require(s.z.rank() > 0, "{}: takes no condition z", model.name);
    require(c.z.rank() == s.z.rank() + 1 && c.z.dim(0) == rows, "z: shape {} for {} samples of condition {}",
            c.z.shape(), rows, s.z);
  }
  require(c.classes.defined() || c.z.defined() || s.z.rank() == 0, "{}: is conditional; give it a class or z",
          model.name);
}

}  // namespace

Wanted Conditioned::wanted(bool z, bool theta) const {
  Wanted w(p.size());
  for (std::size_t i = 0; i < p.size(); ++i) w[i] = i < first_theta ? z : theta && differentiable[i];
  return w;
}

Tensor repeat_labels(const std::vector<std::int64_t>& list, std::int64_t first, std::int64_t count) {
  require(!list.empty(), "class: the list is empty");
  std::vector<double> labels;
  for (std::int64_t i = first; i < first + count; ++i)
    labels.push_back(static_cast<double>(list[static_cast<std::size_t>(i) % list.size()]));
  return Tensor::from(labels, {count}, DType::i32);
}

namespace {

/// {z, z_null}: the rows that the condition stands for, from the network's own table where they come from labels.
std::pair<Tensor, Tensor> condition_rows(const Network& network, const Condition& c, bool guided, DType dtype) {
  Tensor z = c.z.defined() ? cast(c.z, dtype) : c.classes.defined() ? network.embed_classes(c.classes) : Tensor();
  Tensor z_null;
  if (guided && c.z_null.defined())
    z_null = cast(c.z_null, dtype);
  else if (guided && network.signature().classes == 0)
    fail("guidance: the network has no label table to take \"no class\" from; give z_null");
  else if (guided)
    z_null = network.embed_classes(Tensor::full({1}, static_cast<double>(network.signature().classes - 1), DType::i32));
  return {z, z_null};
}

bool is_guided(const Condition& c) { return !c.guidance_steps.empty() || c.guidance != 1; }

}  // namespace

Conditioned make_conditioned(const Model& model, const Condition& c, std::int64_t rows, const Grid& grid) {
  Conditioned out;
  out.denoiser.prediction = model.prediction;
  out.denoiser.dtype = model.dtype;
  if (model.is_exact()) {
    require(!c.classes.defined() && !c.z.defined() && !is_guided(c),
            "{}: an exact problem takes no class, z or guidance", model.name);
    out.denoiser.net = model.exact.net;
    out.p = model.exact.p;
    out.names = model.exact.p_names;
    out.differentiable.assign(out.p.size(), true);
    return out;
  }
  check_condition(model, c, rows);
  const bool guided = is_guided(c);
  require(!guided || c.classes.defined() || c.z.defined(),
          "guidance: {} takes no condition, so there is nothing to guide by", model.name);
  const auto [z, z_null] = condition_rows(*model.network, c, guided, model.dtype);
  if (z.defined()) out.p.push_back(z), out.names.emplace_back("z");
  if (z_null.defined()) out.p.push_back(z_null), out.names.emplace_back("z_null");
  out.first_theta = out.p.size();
  out.differentiable.assign(out.p.size(), true);
  const auto parameters = model.network->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    out.p.push_back(parameters[i].value);
    out.names.push_back(model.keys[i]);
    out.differentiable.push_back(!parameters[i].buffer);
  }
  out.denoiser.net = network_net(model, z.defined(), z_null.defined(), guidance_of(c, grid));
  return out;
}

Tensors total_theta_gradient(const Model& model, const Condition& condition, const Conditioned& c,
                             const Tensors& gradient_p) {
  const auto at = static_cast<std::ptrdiff_t>(c.first_theta);
  Tensors theta(gradient_p.begin() + at, gradient_p.end());
  if (model.is_exact() || !condition.classes.defined() || c.first_theta == 0) return theta;
  const Tensors values(c.p.begin() + at, c.p.end());
  const Wanted wanted(c.differentiable.begin() + at, c.differentiable.end());
  const auto rows = [&](const Tensors& weights) {
    const auto [z, z_null] =
        condition_rows(*model.network->with(weights), condition, is_guided(condition), model.dtype);
    return z_null.defined() ? Tensors{z, z_null} : Tensors{z};
  };
  const Tensors g(gradient_p.begin(), gradient_p.begin() + at);
  const Tensors through = vjp(rows, values, wanted).pull_once(g);
  for (std::size_t i = 0; i < theta.size(); ++i) {
    if (theta[i].defined() && through[i].defined()) theta[i] = add(theta[i], through[i]);
  }
  return theta;
}

}  // namespace costate
