// Reading and making up a network's inputs.
#include "tools/model/inputs.h"

#include <algorithm>
#include <cmath>

#include "autodiff/ops/cast.h"
#include "core/random.h"

namespace costate {
namespace {

void refuse_unknown(const NamedTensors& given, const Signature& s, const std::string& where) {
  std::vector<std::string> known = {"x", "t", "z", "class", "g", "alpha", "sigma"};
  for (const auto& each : s.extra) known.push_back(each.name);
  for (const auto& [name, value] : given)
    if (std::find(known.begin(), known.end(), name) == known.end())
      fail_unknown("input of this network in " + where, name, known);
}

void check(const Inputs& in, const Model& model, const std::string& where) {
  const Signature s = model.network->signature();
  const std::int64_t n = in.x.rank() > 0 ? in.x.dim(0) : 0;
  require(in.x.rank() == s.input.rank() + 1 && (s.input.rank() == 0 || in.x.dim(-1) == s.input[-1]),
          "{}: x has shape {}; the network wants (n, ...) of {}", where, in.x.shape(), s.input);
  require(in.x.size() > 0, "{}: x has shape {} and holds nothing", where, in.x.shape());
  require(!s.takes_time || static_cast<std::int64_t>(in.t.size()) == n,
          "{}: the network takes a time t (n), one a row; found {} for {} rows", where, in.t.size(), n);
  for (const auto& each : s.extra) {
    const auto at = in.extra.find(each.name);
    require(at != in.extra.end() || !each.required, "{}: the network also takes {} (n, ...) of {}", where, each.name,
            each.shape);
    if (at == in.extra.end()) continue;
    const Shape& got = at->second.shape();
    bool fits = got.rank() == each.shape.rank() + 1 && got[0] == n;
    for (int i = 0; fits && i < each.shape.rank(); ++i) fits = each.shape[i] == 0 || each.shape[i] == got[i + 1];
    require(fits, "{}: {} has shape {}; the network wants (n, ...) of {} for {} rows", where, each.name, got,
            each.shape, n);
  }
}

/// A network that is told the level and not the time gets it from the schedule.
void derive_level(Inputs& in, const Model& model) {
  if (model.network->signature().takes_time || !in.alpha.empty() || !in.sigma.empty()) return;
  for (const double t : in.t) {
    in.alpha.push_back(model.schedule->alpha(t));
    in.sigma.push_back(model.schedule->sigma(t));
  }
}

/// Extents that are free, as they usually are: 77 tokens of text, images of 32 x 32.
Shape usual(Shape shape) {
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] == 0) shape = shape.with(i, shape.rank() == 3 ? 32 : 77);
  return shape;
}

}  // namespace

Tensor as_taken(const Tensor& t, const Model& model) {
  return is_floating(t.dtype()) ? cast(t, model.dtype).to(model.device) : t;
}

Tensor as_real(const Tensor& t, const Model& model) { return cast(t, model.dtype).to(model.device); }

Tensor as_labels(const Tensor& t, const std::string& where) {
  if (!t.defined() || t.dtype() == DType::i32) return t;
  for (const double label : t.to_vector())
    require(label == std::rint(label) && std::abs(label) < 1e9, "{}: class holds {}; labels are whole numbers", where,
            label);
  return cast(t, DType::i32);
}

Inputs make_inputs(const NamedTensors& given, const Model& model, const std::string& where) {
  const Signature s = model.network->signature();
  const auto find = [&](const std::string& name) {
    const auto at = given.find(name);
    return at == given.end() ? Tensor() : at->second;
  };
  const auto numbers = [&](const std::string& name) {
    return find(name).defined() ? find(name).to_vector() : std::vector<double>();
  };
  refuse_unknown(given, s, where);
  require(find("x").defined(), "{}: holds no x (n, ...)", where);
  Inputs in;
  in.x = as_real(find("x"), model);
  in.t = numbers("t");
  in.alpha = numbers("alpha");
  in.sigma = numbers("sigma");
  in.classes = as_labels(find("class"), where);
  if (find("z").defined()) in.z = as_real(find("z"), model);
  for (const auto& each : s.extra)
    if (const Tensor given = find(each.name); given.defined())
      in.extra[each.name] = each.differentiable ? as_real(given, model) : as_taken(given, model);
  check(in, model, where);
  derive_level(in, model);
  return in;
}

Inputs read_inputs(const Hdf5Reader& file, const Model& model) {
  NamedTensors given;
  for (const auto& name : file.datasets()) given[name] = name == "g" ? Tensor() : file.read(name);
  return make_inputs(given, model, file.path().string());
}

Inputs noise_inputs(const Model& model, std::uint64_t seed, std::int64_t rows) {
  const Signature s = model.network->signature();
  std::int64_t stream = 0;
  const auto noise = [&](const Shape& one) {
    return cast(normal_noise(seed, 0, rows, stream++, usual(one), {DType::f64, model.device}), model.dtype);
  };
  Inputs in;
  in.x = noise(s.input);
  const double middle = s.time_rows > 0 ? std::floor(static_cast<double>(s.time_rows) / 2) : model.schedule->t_max / 2;
  in.t.assign(static_cast<std::size_t>(rows), middle);
  if (s.z.rank() > 0 && !(s.classes > 0 && s.z.rank() == 1)) in.z = noise(s.z);
  if (s.classes > 0 || (s.any_label && s.z.rank() != 1)) in.classes = Tensor::zeros({rows}, DType::i32);
  for (const auto& each : s.extra)
    if (each.required) in.extra[each.name] = noise(each.usual.rank() > 0 ? each.usual : each.shape);
  derive_level(in, model);
  return in;
}

std::vector<std::string> differentiable_inputs(const Inputs& in, const Signature& s) {
  std::vector<std::string> names = {"x"};
  if (in.z.defined()) names.emplace_back("z");
  for (const auto& each : s.extra)
    if (each.differentiable && in.extra.count(each.name) != 0) names.push_back(each.name);
  return names;
}

}  // namespace costate
