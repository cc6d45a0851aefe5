// Latent optimisation: the loop's body, and what is kept of it.
#include "tools/latent_optimisation.h"

#include "autodiff/ops/cast.h"
#include "autodiff/ops/reshape.h"
#include "autodiff/ops/sum.h"
#include "core/spec.h"
#include "tools/arguments.h"

namespace costate {

Free free_from(const std::string& list) {
  Free f;
  for (const auto& word : words_of("--wrt", list)) {
    if (word == "x_T")
      f.x_T = true;
    else if (word == "z")
      f.z = true;
    else if (word == "z_t")
      f.z = f.z_scheduled = true;
    else if (word == "theta")
      f.theta = true;
    else
      throw UsageError("--wrt " + word + ": there are x_T, z, z_t (a z for every step) and theta");
  }
  if (!f.x_T && !f.z && !f.theta) throw UsageError("--wrt: the list is empty");
  return f;
}

Condition scheduled(const Model& model, const Condition& condition, std::int64_t rows, std::int64_t steps) {
  if (condition.z_scheduled) return condition;
  if (model.is_exact())
    throw UsageError("--wrt z_t: the z of " + model.name + ", an exact problem, is constant; take z");
  const Conditioned c = make_conditioned(model, condition, rows);
  require(!c.names.empty() && c.names[0] == "z", "{}: has no z to give every step one of its own; take x_T or theta",
          model.name);
  Condition out = condition;
  out.z = broadcast_to(reshape(c.p[0], c.p[0].shape().with_front(1)), c.p[0].shape().with_front(steps));
  out.z_scheduled = true;
  out.classes = {};
  return out;
}

LatentOptimisation::LatentOptimisation(GradientProblem problem, const Conditioned& c, const Free& free, Adjoint adjoint,
                                       Optimiser optimiser)
    : problem_(std::move(problem)), names_(c.names), adjoint_(std::move(adjoint)), optimiser_(optimiser) {
  problem_.p = c.p;
  problem_.wrt_x_T = free.x_T;
  problem_.wrt_p = c.wanted(free.z, free.theta);
  require(!free.z || c.first_theta > 0 || free.theta, "--wrt z: the model has no condition z; take x_T or theta");
}

std::vector<std::size_t> LatentOptimisation::chosen() const {
  std::vector<std::size_t> places;
  if (problem_.wrt_x_T) places.push_back(0);
  for (std::size_t i = 0; i < problem_.p.size(); ++i) {
    if (problem_.wrt_p[i]) places.push_back(i + 1);
  }
  return places;
}

void LatentOptimisation::descend(const Gradient& g) {
  const auto places = chosen();
  Tensors values, slopes;
  for (const std::size_t place : places) {
    values.push_back(value(place));
    slopes.push_back(place == 0 ? g.x_T : g.p[place - 1]);
  }
  const Tensors next = optimiser_.step(values, slopes, state_);
  for (std::size_t i = 0; i < places.size(); ++i) value(places[i]) = next[i];
  losses_.push_back(g.loss);
}

std::pair<Tensor, double> LatentOptimisation::look() const {
  const Tensor x_0 = sample(problem_);
  return {x_0, problem_.loss(x_0).item()};
}

void LatentOptimisation::save(const std::function<void(const std::string&, const Tensor&)>& write) const {
  const auto places = chosen();
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::string name = name_of(places[i]);
    write("value/" + name, places[i] == 0 ? problem_.x_T : problem_.p[places[i] - 1]);
    if (i < state_.first.size() && state_.first[i].defined()) write("first/" + name, state_.first[i]);
    if (i < state_.second.size() && state_.second[i].defined()) write("second/" + name, state_.second[i]);
  }
  write("losses", Tensor::from(losses_, {static_cast<std::int64_t>(losses_.size())}));
}

void LatentOptimisation::restore(const std::function<Tensor(const std::string&)>& read) {
  const auto places = chosen();
  state_.first.resize(places.size());
  state_.second.resize(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::string name = name_of(places[i]);
    const Tensor v = read("value/" + name);
    Tensor& mine = value(places[i]);
    require(v.defined() && v.shape() == mine.shape(),
            "resume: the file holds no {} of shape {}; it was written for another model, count or --wrt", name,
            mine.shape());
    const Device device = mine.device();
    const auto there = [&](const Tensor& t) { return t.defined() ? t.to(device) : t; };
    mine = cast(v, mine.dtype()).to(device);
    state_.first[i] = there(read("first/" + name));
    state_.second[i] = there(read("second/" + name));
  }
  losses_ = read("losses").to_vector();
  state_.steps = static_cast<std::int64_t>(losses_.size());
}

}  // namespace costate
