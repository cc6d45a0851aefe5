// What all adjoints share from outside: making one, checks and counting, the gradient of a loss, sample() with an adjoint.
#include "solvers/adjoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "autodiff/by_groups.h"
#include "autodiff/ops/slice.h"
#include "autodiff/transform.h"
#include "core/finding.h"
#include "solvers/norm.h"

namespace costate {
namespace {

/// The problem with one flag a parameter and a sampler that counts its evaluations.
GradientProblem checked(GradientProblem problem) {
  check_grid(problem.sampler.grid, "gradient");
  require(problem.wrt_p.empty() || problem.wrt_p.size() == problem.p.size(),
          "gradient: {} flags in wrt_p for {} parameters", problem.wrt_p.size(), problem.p.size());
  problem.wrt_p.resize(problem.p.size(), false);
  const bool any_p = std::find(problem.wrt_p.begin(), problem.wrt_p.end(), true) != problem.wrt_p.end();
  require(problem.wrt_x_T || any_p,
          "gradient: nothing to differentiate with respect to; ask for x_T or for parameters");
  problem.effort = std::make_shared<Effort>();
  problem.sampler.denoiser.net = [effort = problem.effort, net = problem.sampler.denoiser.net](
                                     const Tensor& x, const Level& at, const Tensors& p) {
    ++effort->nfe;
    return net(x, at, p);
  };
  return problem;
}

Tensor scalar_loss(const Loss& loss, const Tensor& x_0) {
  Tensor value = loss(x_0);
  require(value.size() == 1, "gradient: the loss returned shape {}, not a scalar; sum or average it", value.shape());
  return value;
}

/// Samples first ... first + count - 1 of a problem: all groups go there, then all come back.
GradientProblem group_of(const GradientProblem& problem, std::int64_t first, std::int64_t count, std::int64_t each) {
  const std::int64_t rows = problem.x_T.dim(0);
  require(problem.groups.axes.size() == problem.p.size(), "gradient: {} axes of groups for {} parameters",
          problem.groups.axes.size(), problem.p.size());
  GradientProblem group = problem;
  group.groups = {};
  group.sampler = problem.groups.sampler(first, count);
  group.x_T = slice(problem.x_T, 0, first, count);
  for (std::size_t i = 0; i < problem.p.size(); ++i)
    if (const int axis = problem.groups.axes[i]; axis >= 0) group.p[i] = slice(problem.p[i], axis, first, count);
  group.progress = [all = problem.progress, k = first / each, number = (rows + each - 1) / each](std::int64_t at,
                                                                                                 std::int64_t steps) {
    const std::int64_t there = steps / 2;
    report(all, at <= there ? k * there + at : (number - 1) * there + k * (steps - there) + at, number * steps);
  };
  return group;
}

/// No gradient leaves an adjoint with a NaN in it; those of states were looked at step by step. All searches are under way before
/// the first is waited for.
void require_finite(const std::string& name, const GradientProblem& problem, const Tensor& x_0, const Pulled& back) {
  std::vector<std::pair<std::string, std::unique_ptr<Finding>>> searches;
  const auto search = [&](const Tensor& g, const std::string& what) {
    if (g.defined()) searches.emplace_back(what, find_non_finite(g));
  };
  search(back.x_T, "x_T");
  for (std::size_t i = 0; i < back.p.size(); ++i) search(back.p[i], fmt::format("parameter {}", i));
  for (const auto& [what, found] : searches) {
    if (found->at() < 0) continue;
    fail(
        "{}: the gradient in {} holds a NaN or an infinity after {} steps back (t = {:.6g} to {:.6g}); the norm of the "
        "state x_0 is {:.3e}. Take more and shorter steps, or a smaller loss",
        name, what, problem.sampler.steps(), problem.sampler.grid.back().t, problem.sampler.grid.front().t, norm(x_0));
  }
}

/// The sampler's own derivative, but for that of the steps it chose: to a tape they are numbers.
std::string chosen_steps_warning(const std::string& name, const Stepper& stepper) {
  return fmt::format(
      "{}: {} chooses its steps by its errors, and this is the gradient with the steps held as they were; that of the "
      "sampler differs from it by what the tolerance leaves, and is none where a step is refused. Take smaller rtol, "
      "atol, or a sampler that steps on its grid",
      name, stepper.name);
}

Tensor or_zero(const Tensor& t, const Tensor& like) {
  return t.defined() ? t : Tensor::zeros(like.shape(), like.kind());
}

}  // namespace

Adjoint make_adjoint(const std::string& name, const Config& options) {
  std::vector<std::string> names;
  for (const auto& type : adjoints()) {
    names.push_back(type.name);
    if (type.name != name) continue;
    check_options("adjoint " + name, options, type.options);
    Adjoint adjoint = type.make(options);
    adjoint.name = name;
    adjoint.forward = [name, exact = adjoint.exact, forward = adjoint.forward](const GradientProblem& problem) {
      Forward run = forward(problem);
      run.pull = [name, exact, problem, x_0 = stop_gradient(run.x_0), pull = run.pull](const Tensor& a_0) {
        Pulled back = pull(a_0);
        const Stepper& stepper = problem.sampler.stepper;
        if (exact && stepper.evaluations == 0) back.warning = chosen_steps_warning(name, stepper);
        require_finite(name, problem, x_0, back);
        return back;
      };
      return run;
    };
    return adjoint;
  }
  fail_unknown("adjoint", name, names);
}

Gradient Adjoint::gradient(const GradientProblem& problem) const {
  require(problem.loss != nullptr, "gradient: no loss was given");
  const bool alone = batching == Batching::one_by_one && problem.groups.sampler != nullptr;
  const std::int64_t asked = alone ? 1 : problem.groups.rows, rows = asked > 0 ? problem.x_T.dim(0) : 1,
                     each = std::max<std::int64_t>(asked, 1);
  std::vector<GradientProblem> groups;
  std::vector<Forward> runs;
  double running = 0;
  const Tensor x_0 = by_groups(rows, each, {0}, [&](std::int64_t first, std::int64_t count) {
    groups.push_back(checked(count == rows ? problem : group_of(problem, first, count, each)));
    runs.push_back(forward(groups.back()));
    if (runs.back().running.defined()) running += runs.back().running.item();
    return Tensors{runs.back().x_0};
  })[0];
  const auto [value, a] = value_and_grad([&](const Tensors& in) { return scalar_loss(problem.loss, in[0]); }, {x_0});
  Gradient g{.x_0 = stop_gradient(x_0), .loss = value.item() + running};
  std::vector<int> axes{0};
  axes.insert(axes.end(), problem.groups.axes.begin(), problem.groups.axes.end());
  std::size_t k = 0;
  Tensors all = by_groups(rows, each, axes, [&](std::int64_t first, std::int64_t count) {
    const GradientProblem& group = groups[k];
    const Pulled back = std::exchange(runs[k++], {}).pull(count == rows ? a[0] : slice(a[0], 0, first, count));
    g.warning = back.warning;
    Tensors own{group.wrt_x_T ? or_zero(back.x_T, group.x_T) : Tensor()};
    for (std::size_t i = 0; i < group.p.size(); ++i)
      own.push_back(group.wrt_p[i] ? or_zero(back.p[i], group.p[i]) : Tensor());
    return own;
  });
  g.x_T = all.front();
  g.p.assign(all.begin() + 1, all.end());
  for (const GradientProblem& group : groups) {
    g.nfe = std::max(g.nfe, group.effort->nfe);
    g.vjps = std::max(g.vjps, group.effort->vjps);
  }
  return g;
}

Tensor sample(const GradientProblem& problem) {
  const std::int64_t rows = problem.groups.rows > 0 ? problem.x_T.dim(0) : 1,
                     each = std::max<std::int64_t>(problem.groups.rows, 1);
  return by_groups(rows, each, {0}, [&](std::int64_t first, std::int64_t count) {
    const GradientProblem group = count == rows ? problem : group_of(problem, first, count, each);
    return Tensors{sample(group.sampler, group.x_T, group.p)};
  })[0];
}

Tensor sample(const Sampler& sampler, const Tensor& x_T, const Tensors& p, const Adjoint& adjoint,
              const Progress& progress) {
  Tensors inputs{x_T};
  inputs.insert(inputs.end(), p.begin(), p.end());
  if (!watched(inputs)) return sample(sampler, x_T, p, progress);
  GradientProblem problem{.sampler = sampler, .x_T = {}, .p = {}, .wrt_x_T = watched({x_T}), .progress = progress};
  for (const auto& one : p) problem.wrt_p.push_back(watched({one}));
  const auto run_at = [problem, adjoint](const Tensors& in) {
    GradientProblem here = problem;
    here.x_T = in[0];
    here.p.assign(in.begin() + 1, in.end());
    return adjoint.forward(checked(here));
  };
  // The run is kept for the first way back, unless that itself is to be differentiated.
  const auto kept = std::make_shared<Forward>();
  const auto value = [=](const Tensors& in) {
    *kept = run_at(in);
    return Tensors{kept->x_0};
  };
  const auto back = [=](const Tensors& in, const Tensors&, const Tensors& g) {
    const Forward run = watched(in) || !kept->pull ? run_at(in) : std::exchange(*kept, {});
    Pulled pulled = run.pull(g[0]);
    Tensors all{pulled.x_T};
    all.insert(all.end(), pulled.p.begin(), pulled.p.end());
    return all;
  };
  Function own;
  if (adjoint.exact)
    own = [sampler](const Tensors& in) { return Tensors{sample(sampler, in[0], Tensors(in.begin() + 1, in.end()))}; };
  return custom_derivative("sample", value, back, inputs, own)[0];
}

}  // namespace costate
