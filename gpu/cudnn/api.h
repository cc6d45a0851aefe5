// The part of cuDNN 9's graph interface that is used here, spelled out, since the library is looked for at run time and a build needs
// neither it nor its headers. The numbers are cudnn_graph.h's; tests/gpu/cudnn_numbers.cpp compares them where that header is.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace costate::cuda::cudnn {

enum class Kind : int {
  convolution = 1,
  engine = 2,
  engine_configuration = 3,
  heuristics = 4,
  plan = 5,
  knob_choice = 7,
  forward = 10,
  filter_gradient = 11,
  data_gradient = 12,
  graph = 15,
  variant_pack = 16,
  tensor = 17,
  device = 38,
  attention = 41,
};

enum class Attribute : int {
  convolution_compute_type = 100,
  convolution_mode = 101,
  convolution_dilations = 102,
  convolution_strides = 103,
  convolution_padding_after = 104,
  convolution_padding_before = 105,
  convolution_rank = 106,
  heuristics_mode = 200,
  heuristics_graph = 201,
  heuristics_results = 202,
  heuristics_device = 204,
  configuration_engine = 300,
  configuration_knobs = 302,
  plan_handle = 400,
  plan_configuration = 401,
  plan_workspace = 402,
  plan_device = 407,
  knob_type = 600,
  knob_value = 601,
  forward_alpha = 700,
  forward_beta = 701,
  forward_convolution = 702,
  forward_w = 703,
  forward_x = 704,
  forward_y = 705,
  data_alpha = 706,
  data_beta = 707,
  data_convolution = 708,
  data_w = 709,
  data_dx = 710,
  data_dy = 711,
  filter_alpha = 712,
  filter_beta = 713,
  filter_convolution = 714,
  filter_dw = 715,
  filter_x = 716,
  filter_dy = 717,
  graph_handle = 800,
  graph_operations = 801,
  tensor_alignment = 900,
  tensor_type = 901,
  tensor_extents = 902,
  tensor_strides = 903,
  tensor_id = 906,
  tensor_by_value = 908,
  pack_ids = 1000,
  pack_pointers = 1001,
  pack_workspace = 1003,
  engine_graph = 1300,
  engine_index = 1301,
  engine_notes = 1303,
  engine_device = 1307,
  device_json = 2702,
  attention_q = 2800,
  attention_k = 2801,
  attention_v = 2802,
  attention_y = 2803,
  attention_scale = 2805,
};

enum class DataType : int { f32 = 0, f64 = 1, bf16 = 9 };
enum class ConvolutionMode : int { cross_correlation = 1 };
enum class HeuristicsMode : int { fallback = 2, best = 3 };
enum class Knob : int {};
enum class Note : int {
  tensor_cores = 0,
  rounds_inputs = 1,
  rounds_sums = 2,
  fourier = 3,
  not_deterministic = 4,
  winograd_6x6 = 7,
  winograd_13x13 = 8,
};
constexpr int note_count = 10;

struct Context;
using Handle = Context*;
using Raw = struct Backend*;  ///< a descriptor

/// How an attribute's elements are told from others.
enum class Element : int {
  handle = 0,
  data_type = 1,
  boolean = 2,
  int64 = 3,
  f32 = 4,
  f64 = 5,
  pointer = 6,
  convolution_mode = 7,
  heuristics_mode = 8,
  knob = 9,
  note = 11,
  descriptor = 15,
  character = 24,
};
template <class T>
inline constexpr Element element_of = Element::pointer;
template <>
inline constexpr Element element_of<Handle> = Element::handle;
template <>
inline constexpr Element element_of<DataType> = Element::data_type;
template <>
inline constexpr Element element_of<bool> = Element::boolean;
template <>
inline constexpr Element element_of<std::int64_t> = Element::int64;
template <>
inline constexpr Element element_of<float> = Element::f32;
template <>
inline constexpr Element element_of<double> = Element::f64;
template <>
inline constexpr Element element_of<ConvolutionMode> = Element::convolution_mode;
template <>
inline constexpr Element element_of<HeuristicsMode> = Element::heuristics_mode;
template <>
inline constexpr Element element_of<Knob> = Element::knob;
template <>
inline constexpr Element element_of<Note> = Element::note;
template <>
inline constexpr Element element_of<Raw> = Element::descriptor;
template <>
inline constexpr Element element_of<char> = Element::character;

constexpr int success = 0;

/// What is called in the library.
struct Functions {
  std::size_t (*version)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  void (*last_error)(char*, std::size_t) = nullptr;
  int (*create)(Handle*) = nullptr;
  int (*set_stream)(Handle, cudaStream_t) = nullptr;
  int (*make)(Kind, Raw*) = nullptr;
  int (*destroy)(Raw) = nullptr;
  int (*finalize)(Raw) = nullptr;
  int (*set)(Raw, Attribute, Element, std::int64_t, const void*) = nullptr;
  int (*get)(Raw, Attribute, Element, std::int64_t, std::int64_t*, void*) = nullptr;
  int (*execute)(Handle, Raw, Raw) = nullptr;
};

}  // namespace costate::cuda::cudnn
