// The C interface: arrays to tensors and back, and every exception to a status and a text.
#include "tools/c/costate.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "autodiff/ops/cast.h"
#include "autodiff/ops/scale.h"
#include "autodiff/ops/sum.h"
#include "core/parallel.h"
#include "solvers/adjoint.h"
#include "tools/model/conditioned.h"
#include "tools/model/course.h"
#include "tools/model/describe.h"
#include "tools/model/evaluation.h"
#include "tools/model/grid.h"
#include "tools/model/start.h"

using costate::cast;
using costate::Condition;
using costate::Conditioned;
using costate::Course;
using costate::DType;
using costate::NamedTensors;
using costate::require;
using costate::Shape;
using costate::Tensor;
using costate::Tensors;

struct costate_model {
  costate::Model model;
  std::string info;
};

struct costate_result {
  std::vector<std::string> names;  // before the arrays, which point into them
  Tensors values;                  // f64
  std::vector<costate_array> arrays;

  void add(const std::string& name, const Tensor& value) {
    if (!value.defined()) return;
    names.push_back(name);
    values.push_back(cast(value, DType::f64));
  }
  void seal() {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const Shape& s = values[i].shape();
      costate_array a{names[i].c_str(), values[i].data<double>(), s.rank(), {}};
      std::copy(s.begin(), s.end(), a.shape);
      arrays.push_back(a);
    }
  }
};

namespace {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

void set_error(const char* text) noexcept {
  try {
    last_error() = text;
  } catch (...) {
    last_error().clear();
  }
}

/// Runs `work`; whatever it throws becomes a status and the thread's text.
template <class Work>
costate_status guarded(Work&& work) noexcept {
  try {
    last_error().clear();
    work();
    return COSTATE_OK;
  } catch (const std::bad_alloc&) {
    set_error("out of memory; use a smaller batch, image or network");
    return COSTATE_OUT_OF_MEMORY;
  } catch (const std::exception& e) {
    set_error(e.what());
  } catch (...) {
    set_error("an exception of unknown kind");
  }
  return COSTATE_FAILED;
}

/// `work` fills a result, which is handed out only if all went well.
template <class Work>
costate_status with_result(costate_result** out, Work&& work) noexcept {
  if (out != nullptr) *out = nullptr;
  return guarded([&] {
    require(out != nullptr, "costate: the result's address is NULL");
    auto result = std::make_unique<costate_result>();
    work(*result);
    result->seal();
    *out = result.release();
  });
}

std::string text_or(const char* text, const char* otherwise) { return text == nullptr ? otherwise : text; }

std::vector<std::string> words(const char* list) {
  std::vector<std::string> all;
  std::string word;
  for (const char c : text_or(list, "") + ",") {
    if (c != ',') {
      word += c;
      continue;
    }
    if (!word.empty()) all.push_back(word);
    word.clear();
  }
  return all;
}

Tensor tensor_of(const costate_array& a) {
  const std::string name = text_or(a.name, "");
  require(!name.empty(), "costate: an array has no name");
  require(a.rank >= 0 && a.rank <= COSTATE_MAX_RANK, "costate: array {} has rank {}; there are 0 to {}", name, a.rank,
          COSTATE_MAX_RANK);
  std::int64_t count = 1;
  for (int i = 0; i < a.rank; ++i) {
    require(a.shape[i] >= 0 && a.shape[i] <= (std::int64_t{1} << 56) / std::max<std::int64_t>(count, 1),
            "costate: array {} has the extent {}", name, a.shape[i]);
    count *= a.shape[i];
  }
  require(a.data != nullptr || count == 0, "costate: array {} has no data", name);
  Tensor t = Tensor::empty(Shape(std::vector<std::int64_t>(a.shape, a.shape + a.rank)), DType::f64);
  std::copy_n(a.data, count, t.mutable_data<double>());
  return name == "class" ? cast(t, DType::i32) : t;
}

NamedTensors tensors_of(const costate_array* arrays, std::size_t count) {
  require(arrays != nullptr || count == 0, "costate: {} inputs at NULL", count);
  NamedTensors all;
  for (std::size_t i = 0; i < count; ++i) {
    const Tensor t = tensor_of(arrays[i]);
    require(all.emplace(arrays[i].name, t).second, "costate: the input {} is given twice", arrays[i].name);
  }
  return all;
}

Tensor take(NamedTensors& from, const std::string& name) {
  const auto at = from.find(name);
  if (at == from.end()) return {};
  const Tensor t = at->second;
  from.erase(at);
  return t;
}

const costate::Model& model_of(const costate_model* m) {
  require(m != nullptr, "costate: the model is NULL");
  return m->model;
}

void evaluate(const costate_model* m, const char* part, NamedTensors inputs, const Tensor& g, const char* wrt,
              costate_result& result) {
  costate::Model model = model_of(m);
  require(!model.is_exact(), "eval: {} is an exact problem, not a network", model.name);
  if (part != nullptr) model.network = model.network->part(part);
  const costate::Evaluation at(make_inputs(inputs, model, "inputs"), model, words(wrt));
  const auto outcome = at.run(*model.network, g.defined() ? cast(g, model.dtype) : g);
  costate::require_finite(outcome.y, "eval, y");
  result.add("y", outcome.y);
  if (!g.defined()) return;
  const auto inputs_end = outcome.g.begin() + static_cast<std::ptrdiff_t>(at.names.size());
  for (std::size_t i = 0; i < at.names.size(); ++i) result.add("g_" + at.names[i], outcome.g[i]);
  for (const auto& [key, value] : theta_by_key(model, Tensors(inputs_end, outcome.g.end())))
    result.add("g_theta/" + key, value);
}

/// A sampler with what it starts from.
struct Sampling {
  Condition condition;
  Conditioned conditioned;
  costate::Sampler sampler;
  Tensor x_T, w;
};

Sampling sampling_of(const costate::Model& model, const costate_sampling* asked) {
  const costate_sampling defaults = COSTATE_SAMPLING_DEFAULTS;
  const costate_sampling& o = asked == nullptr ? defaults : *asked;
  NamedTensors given = tensors_of(o.inputs, o.input_count);
  Sampling s;
  const Course course =
      make_course(model, {.sampler = text_or(o.sampler, ""),
                          .grid = text_or(o.grid, ""),
                          .steps = costate::step_count("sample: steps", o.steps),
                          .options = costate::Config::parse(text_or(o.options, "{}"), "options of the sampler"),
                          .correct = text_or(o.correct, "")});
  s.w = take(given, "w");
  s.x_T = take(given, "x_T");
  require(s.x_T.defined() || o.count >= 1, "sample: count {}; give at least one sample", o.count);
  if (!s.x_T.defined()) s.x_T = draw_start(model, course.grid, o.seed, 0, o.count);
  check_start(model, s.x_T, "x_T");
  s.condition.classes = take(given, "class");
  s.condition.z = take(given, "z");
  s.condition.z_null = take(given, "z_null");
  s.condition.guidance = o.guidance;
  std::vector<std::string> known = {"x_T", "class", "z", "z_null", "w"};
  if (!model.is_exact())
    for (const auto& each : model.network->signature().extra) {
      for (const std::string& name : {each.name, each.name + "_null"}) known.push_back(name);
      if (const Tensor t = take(given, each.name); t.defined()) s.condition.extra[each.name] = t;
      if (const Tensor t = take(given, each.name + "_null"); t.defined()) s.condition.extra_null[each.name] = t;
    }
  if (!given.empty()) costate::fail_unknown("input of sampling", given.begin()->first, known);
  s.conditioned = make_conditioned(model, s.condition, s.x_T.dim(0), course.grid);
  s.sampler = course.sampler(model, s.conditioned, costate::fresh_noise(o.seed, 0));
  return s;
}

void differentiate(const costate::Model& model, const Sampling& s, const std::string& adjoint,
                   const std::vector<std::string>& wrt, costate_result& result) {
  for (const auto& word : wrt)
    if (word != "x_T" && word != "z" && word != "theta")
      costate::fail_unknown("gradient in", word, {"x_T", "z", "theta"});
  const auto asked = [&](const char* name) {
    return wrt.empty() || std::find(wrt.begin(), wrt.end(), name) != wrt.end();
  };
  const costate::Loss loss = [w = s.w](const Tensor& x_0) {
    return w.defined() ? inner(x_0, w) : costate::scale(inner(x_0, x_0), 0.5);
  };
  const costate::Gradient g = costate::make_adjoint(adjoint).gradient(
      {.sampler = s.sampler,
       .x_T = s.x_T,
       .p = s.conditioned.p,
       .wrt_x_T = asked("x_T"),
       .wrt_p = s.conditioned.wanted(asked("z") || asked("theta"), asked("theta")),
       .loss = loss});
  result.add("x_0", g.x_0);
  result.add("loss", Tensor::from({g.loss}, {}));
  result.add("g_x_T", g.x_T);
  for (std::size_t i = 0; asked("z") && i < s.conditioned.first_theta; ++i)
    result.add("g_" + s.conditioned.names[i], g.p[i]);
  if (!asked("theta")) return;
  for (const auto& [key, value] : theta_by_key(model, total_theta_gradient(model, s.condition, s.conditioned, g.p)))
    result.add("g_theta/" + key, value);
}

}  // namespace

const char* costate_version(void) {
  static const std::string text = costate::version();
  return text.c_str();
}

const char* costate_error(void) { return last_error().c_str(); }

costate_status costate_set_threads(int n) {
  return guarded([&] {
    require(n >= 1 && n <= 1024, "threads: {}; there are 1 to 1024", n);
    costate::set_thread_count(n);
  });
}

costate_status costate_open(const char* model, const costate_open_options* options, costate_model** out) {
  if (out != nullptr) *out = nullptr;
  return guarded([&] {
    require(out != nullptr && model != nullptr, "costate_open: the model's name or the handle's address is NULL");
    const costate_open_options defaults = COSTATE_OPEN_DEFAULTS, &o = options == nullptr ? defaults : *options;
    const std::string dtype = text_or(o.dtype, "f32");
    costate::LoadOptions load{.config = text_or(o.config, ""),
                              .scheduler = text_or(o.scheduler, ""),
                              .compat = o.compat != 0,
                              .key = text_or(o.key, "")};
    const std::array types = {DType::f32, DType::f64, DType::bf16};
    const auto* type = std::find_if(types.begin(), types.end(), [&](DType t) { return dtype == name_of(t); });
    require(type != types.end(), "dtype {}: there are f32, f64 and bf16", dtype);
    load.dtype = *type;
    *out = new costate_model{costate::load_model(model, load), {}};
  });
}

void costate_close(costate_model* model) { delete model; }

const char* costate_info(costate_model* model) {
  const costate_status status = guarded([&] {
    const auto text = describe(model_of(model)).dump(2);
    model->info = text;
  });
  return status == COSTATE_OK ? model->info.c_str() : nullptr;
}

costate_status costate_eval(costate_model* model, const char* part, const costate_array* inputs, size_t count,
                            costate_result** out) {
  return with_result(
      out, [&](costate_result& result) { evaluate(model, part, tensors_of(inputs, count), {}, nullptr, result); });
}

costate_status costate_vjp(costate_model* model, const char* part, const costate_array* inputs, size_t count,
                           const char* wrt, costate_result** out) {
  return with_result(out, [&](costate_result& result) {
    NamedTensors given = tensors_of(inputs, count);
    const Tensor g = take(given, "g");
    require(g.defined(), "costate_vjp: wants the cotangent g among the inputs");
    evaluate(model, part, given, g, wrt, result);
  });
}

costate_status costate_sample(costate_model* model, const costate_sampling* sampling, costate_result** out) {
  return with_result(out, [&](costate_result& result) {
    const Sampling s = sampling_of(denoising_part(model_of(model)), sampling);
    require(!s.w.defined(), "costate_sample: w is for costate_grad");
    result.add("x", sample(s.sampler, s.x_T, s.conditioned.p));
    result.add("x_T", s.x_T);
  });
}

costate_status costate_grad(costate_model* model, const costate_sampling* sampling, const char* adjoint,
                            const char* wrt, costate_result** out) {
  return with_result(out, [&](costate_result& result) {
    const costate::Model part = denoising_part(model_of(model));
    const Sampling s = sampling_of(part, sampling);
    differentiate(part, s, text_or(adjoint, "checkpointed"), words(wrt), result);
  });
}

size_t costate_result_size(const costate_result* result) { return result == nullptr ? 0 : result->arrays.size(); }

const costate_array* costate_result_at(const costate_result* result, size_t index) {
  return index < costate_result_size(result) ? &result->arrays[index] : nullptr;
}

const costate_array* costate_result_find(const costate_result* result, const char* name) {
  for (size_t i = 0; name != nullptr && i < costate_result_size(result); ++i)
    if (result->names[i] == name) return &result->arrays[i];
  return nullptr;
}

void costate_result_free(costate_result* result) { delete result; }
