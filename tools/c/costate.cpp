// The C interface: arrays to tensors and back, and every exception to a status and a text.
#include "tools/c/costate.h"

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "autodiff/ops/cast.h"
#include "core/parallel.h"
#include "tools/c/sampling.h"
#include "tools/model/describe.h"
#include "tools/model/evaluation.h"

using costate::cast;
using costate::DType;
using costate::model_of;
using costate::NamedTensors;
using costate::names_in;
using costate::require;
using costate::take;
using costate::Tensor;
using costate::Tensors;
using costate::tensors_of;
using costate::text_or;

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
  } catch (const costate::OutOfMemory& e) {
    set_error(e.what());
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

void evaluate(const costate_model* m, const char* part, NamedTensors inputs, const Tensor& g, const char* wrt,
              costate_result& result) {
  costate::Model model = model_of(m);
  require(!model.is_exact(), "eval: {} is an exact problem, not a network", model.name);
  if (part != nullptr) model.network = model.network->part(part);
  const costate::Evaluation at(make_inputs(inputs, model, "inputs"), model, names_in(wrt));
  const auto outcome = at.run(*model.network, g.defined() ? cast(g, model.dtype) : g);
  costate::require_finite(outcome.y, "eval, y");
  result.add("y", outcome.y);
  if (!g.defined()) return;
  const auto inputs_end = outcome.g.begin() + static_cast<std::ptrdiff_t>(at.names.size());
  for (std::size_t i = 0; i < at.names.size(); ++i) result.add("g_" + at.names[i], outcome.g[i]);
  for (const auto& [key, value] : theta_by_key(model, Tensors(inputs_end, outcome.g.end())))
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
    *out = new costate_model{costate::load_model(model, load)};
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
  return with_result(out, [&](costate_result& result) { costate::AskedSampling(model, sampling).sample(result); });
}

costate_status costate_encode(costate_model* model, const costate_sampling* sampling, const char* states,
                              costate_result** out) {
  return with_result(out, [&](costate_result& result) {
    costate::AskedSampling(model, sampling, true).encode(text_or(states, "posterior"), result);
  });
}

costate_status costate_grad(costate_model* model, const costate_sampling* sampling, const char* adjoint,
                            const char* wrt, costate_result** out) {
  return with_result(out, [&](costate_result& result) {
    costate::AskedSampling(model, sampling).differentiate(text_or(adjoint, "checkpointed"), names_in(wrt), result);
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
