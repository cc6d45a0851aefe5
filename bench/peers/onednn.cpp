// oneDNN on the convolutions of bench_kernels.cpp, under the same names: f32, plain NHWC, weights reordered beforehand into what
// oneDNN likes best. Built where Debian's libdnnl-dev is; bench/peers/layers.py runs both. Arguments are threads.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <algorithm>
#include <dnnl.hpp>
#include <string>
#include <unordered_map>

#include "bench/conv_shapes.h"
#include "bench/measured.h"

namespace costate {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

memory::desc f32(const memory::dims& shape, Tag tag) { return {shape, memory::data_type::f32, tag}; }

/// Memory full of a number that no kernel finds cheaper than others.
memory filled(const memory::desc& desc, const dnnl::engine& engine) {
  memory m(desc, engine);
  std::fill_n(static_cast<float*>(m.get_data_handle()), desc.get_size() / sizeof(float), 0.5F);
  return m;
}

void conv(benchmark::State& state, const ConvShape& s, bool gradient) {
  omp_set_num_threads(static_cast<int>(state.range(0)));
  const std::int64_t pad = s.pad(), out = s.outputs();
  const auto image = f32({s.batch, s.in, s.size, s.size}, Tag::nhwc),
             result = f32({s.batch, s.out, out, out}, Tag::nhwc),
             weights = f32({s.out, s.in, s.kernel, s.kernel}, Tag::any);
  const memory::dims strides{s.stride, s.stride}, pads{pad, pad};
  const auto how = dnnl::algorithm::convolution_auto;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_inference, how, image, weights, result, strides, pads, pads}, engine);
  const auto time = [&](const dnnl::primitive& work, const std::unordered_map<int, memory>& arguments) {
    const double best = least_seconds(state, [&] {
      work.execute(stream, arguments);
      stream.wait();
    });
    state.counters["best"] = static_cast<double>(s.flops()) / best / 1e9;
  };
  if (!gradient)
    return time(dnnl::convolution_forward(forward), {{DNNL_ARG_SRC, filled(image, engine)},
                                                     {DNNL_ARG_WEIGHTS, filled(forward.weights_desc(), engine)},
                                                     {DNNL_ARG_DST, filled(result, engine)}});
  const dnnl::convolution_backward_data::primitive_desc back({how, image, weights, result, strides, pads, pads}, engine,
                                                             forward);
  time(dnnl::convolution_backward_data(back), {{DNNL_ARG_DIFF_SRC, filled(image, engine)},
                                               {DNNL_ARG_WEIGHTS, filled(back.weights_desc(), engine)},
                                               {DNNL_ARG_DIFF_DST, filled(result, engine)}});
}

const bool registered = [] {
  for (const auto& shape : conv_shapes)
    for (const bool gradient : {false, true})
      benchmark::RegisterBenchmark((std::string("conv ") + shape.name + (gradient ? " dx" : " fwd")).c_str(), conv,
                                   shape, gradient)
          ->Apply(on_one_and_two_threads);
  return true;
}();

}  // namespace
}  // namespace costate
