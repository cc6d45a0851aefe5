// Leaves, flags and the pull back.
#include "tools/model/evaluation.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autodiff/by_groups.h"
#include "autodiff/ops/slice.h"
#include "autodiff/transform.h"
#include "core/config.h"
#include "nn/by_rows.h"
#include "nn/replayed.h"

namespace costate {

void check_wrt(const std::vector<std::string>& wrt, std::vector<std::string> names) {
  names.insert(names.end(), {"z", "theta"});
  for (const auto& word : wrt)
    if (std::find(names.begin(), names.end(), word) == names.end()) fail_unknown("gradient in", word, names);
}

Evaluation::Evaluation(const Inputs& inputs, const Model& model, const std::vector<std::string>& wrt) : in(inputs) {
  names = differentiable_inputs(in, model.network->signature());
  check_wrt(wrt, names);
  const auto asked = [&](const std::string& name) {
    return wrt.empty() || std::find(wrt.begin(), wrt.end(), name) != wrt.end();
  };
  for (const auto& name : names) {
    require_finite(input(in, name), name);
    leaves.push_back(input(in, name));
    wanted.push_back(asked(name));
  }
  for (const auto& p : model.network->parameters()) {
    leaves.push_back(p.value);
    wanted.push_back(asked("theta") && !p.buffer);
  }
  require(std::find(wanted.begin(), wanted.end(), true) != wanted.end(),
          "gradient in {}: the inputs hold none; there are {} and theta", fmt::join(wrt, ", "), fmt::join(names, ", "));
}

Evaluation::Outcome Evaluation::run_rows(const Network& network, const Inputs& rows, const Tensor& g) const {
  if (!g.defined()) return {network(rows), {}};
  const auto f = [&](const Tensors& at) {
    Inputs now = rows;
    for (std::size_t i = 0; i < names.size(); ++i) input(now, names[i]) = at[i];
    return Tensors{(*network.with(Tensors(at.begin() + static_cast<std::ptrdiff_t>(names.size()), at.end())))(now)};
  };
  const auto with_gradients = [&](const Tensors& now) {
    Tensors at = leaves;
    std::copy(now.begin(), now.end() - 1, at.begin());
    const Vjp back = vjp(f, at, wanted);
    require_same("eval (g against y)", now.back(), back.value[0]);
    Tensors all = back.pull_once({now.back()});
    all.push_back(back.value[0]);
    return all;
  };
  Inputs given = rows;
  Tensors now;
  for (const auto& name : names) now.push_back(input(given, name));
  now.push_back(g);
  Tensors all = (*replay)(with_gradients, now, host_numbers(rows));
  const Tensor y = all.back();
  all.pop_back();
  return {y, all};
}

Evaluation::Outcome Evaluation::run(const Network& network, const Tensor& g) const {
  const std::int64_t rows = in.x.dim(0);
  const bool weights =
      std::find(wanted.begin() + static_cast<std::ptrdiff_t>(names.size()), wanted.end(), true) != wanted.end();
  const std::int64_t each = weights || !g.defined() || g.dim(0) != rows ? rows : network.rows_at_once(in);
  if (each >= rows) return run_rows(network, in, g);
  Tensors all = by_groups(rows, each, std::vector<int>(1 + leaves.size()), [&](std::int64_t first, std::int64_t count) {
    Outcome part = run_rows(network, rows_of(in, first, count), slice(g, 0, first, count));
    part.g.insert(part.g.begin(), part.y);
    return part.g;
  });
  return {all.front(), Tensors(all.begin() + 1, all.end())};
}

std::vector<std::pair<std::string, Tensor>> theta_by_key(const Model& model, const Tensors& gradients) {
  std::vector<std::pair<std::string, Tensor>> all;
  const auto parameters = model.is_exact() ? std::vector<Parameter>() : model.network->parameters();
  // Of an exact problem's names those that are not z come last.
  const std::size_t first = model.is_exact() ? model.exact.p_names.size() - gradients.size() : 0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    if (model.is_exact())
      all.emplace_back(model.exact.p_names[first + i], gradients[i]);
    else
      all.emplace_back(model.keys[i], to_file_layout(gradients[i], parameters[i].layout, model.file_shapes[i]));
  }
  return all;
}

void require_finite(const Tensor& t, const std::string& what) {
  const std::int64_t at = first_non_finite(t);
  require(at < 0,
          "{}: NaN or infinity, first at flat index {} of shape {}; check the weights and inputs, or try dtype f64",
          what, at, t.shape());
}

}  // namespace costate
