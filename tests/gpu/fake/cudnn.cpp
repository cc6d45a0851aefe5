// Stands in for libcudnn.so.9 beside the shim: descriptors are checked as they are filled in, plans run by plain loops.
//
// It proposes three engines for everything: 1 is not deterministic, 2 takes tensor cores, 3 is plain and has a knob.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "core/kernels/pointwise.h"
#include "gpu/cudnn/api.h"

using namespace costate::cuda::cudnn;
using A = Attribute;

struct costate::cuda::cudnn::Backend {
  Kind kind;
  bool ready = false;
  std::map<A, std::pair<Element, std::vector<char>>> attributes = {};

  template <class T>
  [[nodiscard]] std::vector<T> all(A a) const {
    const auto found = attributes.find(a);
    if (found == attributes.end() || found->second.first != element_of<T>) return {};
    std::vector<T> values(found->second.second.size() / sizeof(T));
    std::memcpy(values.data(), found->second.second.data(), found->second.second.size());
    return values;
  }
  template <class T>
  [[nodiscard]] T one(A a) const {
    return all<T>(a).at(0);
  }
  template <class T>
  void put(A a, const std::vector<T>& values) {
    auto& [type, bytes] = attributes[a];
    type = element_of<T>;
    const char* from = reinterpret_cast<const char*>(values.data());
    bytes.assign(from, from + values.size() * sizeof(T));
  }
};

namespace {

constexpr int bad = 2000, unknown_engine = 3000, knob_type = 5;
constexpr std::int64_t knob_value = 7, workspace = 48;

std::string last_error;
std::int64_t last_engine = 0;

int refuse(int status, const std::string& why) { return last_error = why, status; }

/// What a kind needs before it is finalized, with the number of values of each.
struct Need {
  A attribute;
  Element type;
  std::size_t count;
};
std::vector<Need> needs_of(Kind kind) {
  const auto operation = [](A alpha, A x, A w, A y, A how) {
    return std::vector<Need>{{x, Element::descriptor, 1},
                             {w, Element::descriptor, 1},
                             {y, Element::descriptor, 1},
                             {how, Element::descriptor, 1},
                             {alpha, Element::f32, 1}};
  };
  if (kind == Kind::tensor)
    return {{A::tensor_type, Element::data_type, 1},
            {A::tensor_extents, Element::int64, 4},
            {A::tensor_strides, Element::int64, 4},
            {A::tensor_id, Element::int64, 1},
            {A::tensor_alignment, Element::int64, 1}};
  if (kind == Kind::convolution)
    return {{A::convolution_mode, Element::convolution_mode, 1},
            {A::convolution_compute_type, Element::data_type, 1},
            {A::convolution_rank, Element::int64, 1},
            {A::convolution_strides, Element::int64, 2},
            {A::convolution_dilations, Element::int64, 2},
            {A::convolution_padding_before, Element::int64, 2},
            {A::convolution_padding_after, Element::int64, 2}};
  if (kind == Kind::forward)
    return operation(A::forward_alpha, A::forward_x, A::forward_w, A::forward_y, A::forward_convolution);
  if (kind == Kind::data_gradient)
    return operation(A::data_alpha, A::data_dx, A::data_w, A::data_dy, A::data_convolution);
  if (kind == Kind::filter_gradient)
    return operation(A::filter_alpha, A::filter_x, A::filter_dw, A::filter_dy, A::filter_convolution);
  if (kind == Kind::attention)
    return {{A::attention_q, Element::descriptor, 1},
            {A::attention_k, Element::descriptor, 1},
            {A::attention_v, Element::descriptor, 1},
            {A::attention_y, Element::descriptor, 1},
            {A::attention_scale, Element::descriptor, 1}};
  if (kind == Kind::graph)
    return {{A::graph_operations, Element::descriptor, 1}, {A::graph_handle, Element::handle, 1}};
  if (kind == Kind::heuristics)
    return {{A::heuristics_graph, Element::descriptor, 1}, {A::heuristics_mode, Element::heuristics_mode, 1}};
  if (kind == Kind::engine) return {{A::engine_graph, Element::descriptor, 1}, {A::engine_index, Element::int64, 1}};
  if (kind == Kind::knob_choice) return {{A::knob_type, Element::knob, 1}, {A::knob_value, Element::int64, 1}};
  if (kind == Kind::engine_configuration) return {{A::configuration_engine, Element::descriptor, 1}};
  if (kind == Kind::plan)
    return {{A::plan_configuration, Element::descriptor, 1}, {A::plan_handle, Element::handle, 1}};
  return {};
}

std::size_t size_of(Element e) {
  return e == Element::boolean || e == Element::character ? 1
         : e == Element::data_type || e == Element::convolution_mode || e == Element::heuristics_mode ||
                 e == Element::knob || e == Element::note || e == Element::f32
             ? 4
             : 8;
}

/// A tensor as its descriptor has it, in memory.
struct View {
  DataType type;
  std::vector<std::int64_t> extent, stride;
  char* data = nullptr;

  View(Raw d, const Backend& pack) : type(d->one<DataType>(A::tensor_type)) {
    extent = d->all<std::int64_t>(A::tensor_extents);
    stride = d->all<std::int64_t>(A::tensor_strides);
    const auto ids = pack.all<std::int64_t>(A::pack_ids);
    const auto pointers = pack.all<void*>(A::pack_pointers);
    const auto at = std::find(ids.begin(), ids.end(), d->one<std::int64_t>(A::tensor_id));
    data = static_cast<char*>(pointers.at(static_cast<std::size_t>(at - ids.begin())));
  }
  [[nodiscard]] std::int64_t at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
    return a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3];
  }
  [[nodiscard]] std::int64_t size() const { return at(extent[0] - 1, extent[1] - 1, extent[2] - 1, extent[3] - 1) + 1; }
  template <class F>
  void visit(const F& f) const {
    if (type == DataType::f64) f(reinterpret_cast<double*>(data));
    if (type == DataType::f32) f(reinterpret_cast<float*>(data));
    if (type == DataType::bf16) f(reinterpret_cast<costate::bf16*>(data));
  }
  [[nodiscard]] std::vector<double> read() const {
    std::vector<double> all;
    visit([&](auto* p) {
      for (std::int64_t i = 0; i < size(); ++i) all.push_back(costate::widen(p[i]));
    });
    return all;
  }
  void write(const std::vector<double>& all) const {
    visit([&](auto* p) {
      using T = std::remove_pointer_t<decltype(p)>;
      for (std::size_t i = 0; i < all.size(); ++i)
        p[i] = T(static_cast<std::conditional_t<sizeof(T) == 8, double, float>>(all[i]));
    });
  }
};

/// f(element of x, of w, of y) for all products of a convolution.
template <class F>
void products(const Backend& how, const View& x, const View& w, const View& y, const F& f) {
  const auto stride = how.all<std::int64_t>(A::convolution_strides),
             dilation = how.all<std::int64_t>(A::convolution_dilations),
             before = how.all<std::int64_t>(A::convolution_padding_before);
  const std::int64_t out = w.extent[0], in = w.extent[1], groups = x.extent[1] / in;
  for (std::int64_t n = 0; n < y.extent[0]; ++n)
    for (std::int64_t k = 0; k < out; ++k)
      for (std::int64_t i = 0; i < y.extent[2]; ++i)
        for (std::int64_t j = 0; j < y.extent[3]; ++j)
          for (std::int64_t c = 0; c < in; ++c)
            for (std::int64_t r = 0; r < w.extent[2]; ++r)
              for (std::int64_t s = 0; s < w.extent[3]; ++s) {
                const std::int64_t h = i * stride[0] + r * dilation[0] - before[0],
                                   v = j * stride[1] + s * dilation[1] - before[1];
                if (h < 0 || h >= x.extent[2] || v < 0 || v >= x.extent[3]) continue;
                f(static_cast<std::size_t>(x.at(n, k / (out / groups) * in + c, h, v)),
                  static_cast<std::size_t>(w.at(k, c, r, s)), static_cast<std::size_t>(y.at(n, k, i, j)));
              }
}

void convolve(const Backend& operation, const Backend& pack, A x_name, A w_name, A y_name, A how_name) {
  const View x(operation.one<Raw>(x_name), pack), w(operation.one<Raw>(w_name), pack),
      y(operation.one<Raw>(y_name), pack);
  const Backend& how = *operation.one<Raw>(how_name);
  const View& result = operation.kind == Kind::forward ? y : operation.kind == Kind::data_gradient ? x : w;
  std::vector<double> sum(static_cast<std::size_t>(result.size())), left, right;
  if (operation.kind == Kind::forward) {
    left = x.read(), right = w.read();
    products(how, x, w, y, [&](auto a, auto b, auto c) { sum[c] += left[a] * right[b]; });
  } else if (operation.kind == Kind::data_gradient) {
    left = w.read(), right = y.read();
    products(how, x, w, y, [&](auto a, auto b, auto c) { sum[a] += left[b] * right[c]; });
  } else {
    left = x.read(), right = y.read();
    products(how, x, w, y, [&](auto a, auto b, auto c) { sum[b] += left[a] * right[c]; });
  }
  result.write(sum);
}

void attend(const Backend& o, const Backend& pack, double factor) {
  const View q(o.one<Raw>(A::attention_q), pack), k(o.one<Raw>(A::attention_k), pack),
      v(o.one<Raw>(A::attention_v), pack), y(o.one<Raw>(A::attention_y), pack);
  const auto qs = q.read(), ks = k.read(), vs = v.read();
  std::vector<double> out(static_cast<std::size_t>(y.size()));
  const auto at = [](const View& t, auto... i) { return static_cast<std::size_t>(t.at(i...)); };
  for (std::int64_t n = 0; n < q.extent[0]; ++n)
    for (std::int64_t h = 0; h < q.extent[1]; ++h)
      for (std::int64_t t = 0; t < q.extent[2]; ++t) {
        std::vector<double> p;
        for (std::int64_t s = 0; s < k.extent[2]; ++s) {
          double dot = 0;
          for (std::int64_t d = 0; d < q.extent[3]; ++d) dot += qs[at(q, n, h, t, d)] * ks[at(k, n, h, s, d)];
          p.push_back(factor * dot);
        }
        const double most = *std::max_element(p.begin(), p.end());
        double sum = 0;
        for (auto& e : p) sum += e = std::exp(e - most);
        for (std::int64_t s = 0; s < k.extent[2]; ++s)
          for (std::int64_t e = 0; e < v.extent[3]; ++e)
            out[at(y, n, h, t, e)] += p[static_cast<std::size_t>(s)] / sum * vs[at(v, n, h, s, e)];
      }
  y.write(out);
}

void run(const Backend& o, const Backend& pack, double factor) {
  if (o.kind == Kind::forward) convolve(o, pack, A::forward_x, A::forward_w, A::forward_y, A::forward_convolution);
  if (o.kind == Kind::data_gradient) convolve(o, pack, A::data_dx, A::data_w, A::data_dy, A::data_convolution);
  if (o.kind == Kind::filter_gradient)
    convolve(o, pack, A::filter_x, A::filter_dw, A::filter_dy, A::filter_convolution);
  if (o.kind == Kind::attention) attend(o, pack, factor);
}

std::vector<Note> notes_of(std::int64_t engine) {
  if (engine == 3) return {};
  return {engine == 1 ? Note::not_deterministic : Note::tensor_cores};
}

/// Configurations of the three engines, into descriptors that the caller has made.
void propose(const Backend& asked, Raw* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    auto* engine = new Backend{Kind::engine, true};
    engine->put<Raw>(A::engine_graph, {asked.one<Raw>(A::heuristics_graph)});
    engine->put<std::int64_t>(A::engine_index, {i + 1});
    to[i]->put<Raw>(A::configuration_engine, {engine});
    to[i]->ready = true;
  }
}

}  // namespace

extern "C" {

std::size_t cudnnGetVersion() { return 99'999; }
const char* cudnnGetErrorString(int status) { return status == bad ? "BAD_PARAM" : "NOT_SUPPORTED"; }
void cudnnGetLastErrorString(char* to, std::size_t most) { std::strncpy(to, last_error.c_str(), most); }
int cudnnCreate(Handle* made) { return *made = reinterpret_cast<Handle>(&last_error), success; }

static cudaStream_t queue_of_context = nullptr;
int cudnnSetStream(Handle, cudaStream_t stream) { return queue_of_context = stream, success; }

int cudnnBackendCreateDescriptor(Kind kind, Raw* made) { return *made = new Backend{kind}, success; }
int cudnnBackendDestroyDescriptor(Raw d) { return delete d, success; }

int cudnnBackendSetAttribute(Raw d, A a, Element type, std::int64_t count, const void* values) {
  if (d->ready) return refuse(bad, "it is finalized");
  const auto* from = static_cast<const char*>(values);
  d->attributes[a] = {type, std::vector<char>(from, from + static_cast<std::size_t>(count) * size_of(type))};
  return success;
}

int cudnnBackendFinalize(Raw d) {
  for (const Need& need : needs_of(d->kind)) {
    const auto found = d->attributes.find(need.attribute);
    const std::string name = std::to_string(static_cast<int>(need.attribute));
    if (found == d->attributes.end()) return refuse(bad, name + " is missing");
    const bool factor = need.type == Element::f32 && found->second.first == Element::f64;  // a factor of f64 work
    if (found->second.first != need.type && !factor) return refuse(bad, name + " has another type");
    if (found->second.second.size() != need.count * size_of(found->second.first))
      return refuse(bad, name + ": how many?");
  }
  if (d->kind == Kind::convolution)
    for (const A a : {A::convolution_padding_before, A::convolution_padding_after})
      for (const std::int64_t zeros : d->all<std::int64_t>(a))
        if (zeros < 0) return refuse(bad, "negative padding");
  if (d->kind == Kind::engine &&
      (d->one<std::int64_t>(A::engine_index) < 1 || d->one<std::int64_t>(A::engine_index) > 3))
    return refuse(unknown_engine, "there is no such engine");
  d->ready = true;
  return success;
}

int cudnnBackendGetAttribute(Raw d, A a, Element type, std::int64_t most, std::int64_t* count, void* values) {
  if (!d->ready) return refuse(bad, "it is not finalized");
  const auto give = [&](const auto& all) {
    *count = static_cast<std::int64_t>(all.size());
    std::memcpy(values, all.data(), static_cast<std::size_t>(std::min(most, *count)) * sizeof(all[0]));
    return success;
  };
  if (a == A::heuristics_results) {
    const bool best = d->one<HeuristicsMode>(A::heuristics_mode) == HeuristicsMode::best;
    *count = best ? 3 : 0;
    propose(*d, static_cast<Raw*>(values), std::min(most, *count));
    return success;
  }
  const auto engine = [&] { return d->one<Raw>(A::configuration_engine)->one<std::int64_t>(A::engine_index); };
  if (a == A::configuration_engine) {
    *count = 1;
    if (most > 0) **static_cast<Raw*>(values) = *d->one<Raw>(A::configuration_engine);
    return success;
  }
  if (a == A::configuration_knobs) {
    *count = engine() == 3 ? 1 : 0;
    if (*count == 0 || most == 0) return success;
    Backend& knob = **static_cast<Raw*>(values);
    knob.put<Knob>(A::knob_type, {Knob{knob_type}});
    knob.put<std::int64_t>(A::knob_value, {knob_value});
    knob.ready = true;
    return success;
  }
  if (a == A::engine_notes) return give(notes_of(d->one<std::int64_t>(A::engine_index)));
  if (a == A::plan_workspace) return give(std::vector<std::int64_t>{workspace});
  if (a == A::knob_type) return give(d->all<Knob>(a));
  if (type == Element::int64) return give(d->all<std::int64_t>(a));
  return refuse(bad, "there is no such property");
}

int cudnnBackendExecute(Handle, Raw plan, Raw pack) {
  const Backend& configuration = *plan->one<Raw>(A::plan_configuration);
  const Backend& engine = *configuration.one<Raw>(A::configuration_engine);
  last_engine = engine.one<std::int64_t>(A::engine_index);
  const auto knobs = configuration.all<Raw>(A::configuration_knobs);
  if (last_engine == 3 && (knobs.size() != 1 || knobs[0]->one<std::int64_t>(A::knob_value) != knob_value))
    return refuse(bad, "the knob is not where it was");
  void* const room = pack->one<void*>(A::pack_workspace);
  if (room == nullptr) return refuse(bad, "there is no workspace");
  const Backend operation = *engine.one<Raw>(A::engine_graph)->one<Raw>(A::graph_operations), addresses = *pack;
  // A number is read now; all else when the stream comes to it.
  const bool scaled = operation.kind == Kind::attention;
  const double factor = scaled ? View(operation.one<Raw>(A::attention_scale), addresses).read()[0] : 1;
  shim::queue(queue_of_context, [operation, addresses, room, factor] {
    std::memset(room, 0, workspace);
    run(operation, addresses, factor);
  });
  return success;
}

/// Which engine ran last.
std::int64_t fake_cudnn_last_engine() { return last_engine; }
}
