// The numbers of gpu/cudnn/api.h against cuDNN's own header, where a CUDA build has it.
#include "gpu/cudnn/api.h"

#if __has_include(<cudnn_graph.h>)
#include <cudnn_graph.h>

namespace {

using namespace costate::cuda::cudnn;

template <auto ours, auto theirs>
constexpr bool same = static_cast<int>(ours) == static_cast<int>(theirs);

static_assert(same<Kind::convolution, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR> &&
              same<Kind::engine, CUDNN_BACKEND_ENGINE_DESCRIPTOR>);
static_assert(same<Kind::engine_configuration, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR>);
static_assert(same<Kind::heuristics, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR>);
static_assert(same<Kind::plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR>);
static_assert(same<Kind::knob_choice, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR>);
static_assert(same<Kind::forward, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR>);
static_assert(same<Kind::filter_gradient, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR>);
static_assert(same<Kind::data_gradient, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR>);
static_assert(same<Kind::graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR>);
static_assert(same<Kind::variant_pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR>);
static_assert(same<Kind::tensor, CUDNN_BACKEND_TENSOR_DESCRIPTOR> &&
              same<Kind::device, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR>);
static_assert(same<Kind::attention, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR>);

static_assert(same<Attribute::convolution_compute_type, CUDNN_ATTR_CONVOLUTION_COMP_TYPE>);
static_assert(same<Attribute::convolution_mode, CUDNN_ATTR_CONVOLUTION_CONV_MODE>);
static_assert(same<Attribute::convolution_dilations, CUDNN_ATTR_CONVOLUTION_DILATIONS>);
static_assert(same<Attribute::convolution_strides, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES>);
static_assert(same<Attribute::convolution_padding_after, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS>);
static_assert(same<Attribute::convolution_padding_before, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS>);
static_assert(same<Attribute::convolution_rank, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS>);
static_assert(same<Attribute::heuristics_mode, CUDNN_ATTR_ENGINEHEUR_MODE>);
static_assert(same<Attribute::heuristics_graph, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH>);
static_assert(same<Attribute::heuristics_results, CUDNN_ATTR_ENGINEHEUR_RESULTS>);
static_assert(same<Attribute::heuristics_device, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP>);
static_assert(same<Attribute::configuration_engine, CUDNN_ATTR_ENGINECFG_ENGINE>);
static_assert(same<Attribute::configuration_knobs, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES>);
static_assert(same<Attribute::plan_handle, CUDNN_ATTR_EXECUTION_PLAN_HANDLE>);
static_assert(same<Attribute::plan_configuration, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG>);
static_assert(same<Attribute::plan_workspace, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE>);
static_assert(same<Attribute::plan_device, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP>);
static_assert(same<Attribute::knob_type, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE>);
static_assert(same<Attribute::knob_value, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE>);
static_assert(same<Attribute::forward_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA>);
static_assert(same<Attribute::forward_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA>);
static_assert(same<Attribute::forward_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC>);
static_assert(same<Attribute::forward_w, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W>);
static_assert(same<Attribute::forward_x, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X>);
static_assert(same<Attribute::forward_y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y>);
static_assert(same<Attribute::data_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA>);
static_assert(same<Attribute::data_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA>);
static_assert(same<Attribute::data_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC>);
static_assert(same<Attribute::data_w, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W>);
static_assert(same<Attribute::data_dx, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX>);
static_assert(same<Attribute::data_dy, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY>);
static_assert(same<Attribute::filter_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA>);
static_assert(same<Attribute::filter_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA>);
static_assert(same<Attribute::filter_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC>);
static_assert(same<Attribute::filter_dw, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW>);
static_assert(same<Attribute::filter_x, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X>);
static_assert(same<Attribute::filter_dy, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY>);
static_assert(same<Attribute::graph_handle, CUDNN_ATTR_OPERATIONGRAPH_HANDLE>);
static_assert(same<Attribute::graph_operations, CUDNN_ATTR_OPERATIONGRAPH_OPS>);
static_assert(same<Attribute::tensor_alignment, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT>);
static_assert(same<Attribute::tensor_type, CUDNN_ATTR_TENSOR_DATA_TYPE>);
static_assert(same<Attribute::tensor_extents, CUDNN_ATTR_TENSOR_DIMENSIONS>);
static_assert(same<Attribute::tensor_strides, CUDNN_ATTR_TENSOR_STRIDES>);
static_assert(same<Attribute::tensor_id, CUDNN_ATTR_TENSOR_UNIQUE_ID>);
static_assert(same<Attribute::tensor_by_value, CUDNN_ATTR_TENSOR_IS_BY_VALUE>);
static_assert(same<Attribute::pack_ids, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS>);
static_assert(same<Attribute::pack_pointers, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS>);
static_assert(same<Attribute::pack_workspace, CUDNN_ATTR_VARIANT_PACK_WORKSPACE>);
static_assert(same<Attribute::engine_graph, CUDNN_ATTR_ENGINE_OPERATION_GRAPH>);
static_assert(same<Attribute::engine_index, CUDNN_ATTR_ENGINE_GLOBAL_INDEX>);
static_assert(same<Attribute::engine_notes, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE>);
static_assert(same<Attribute::engine_device, CUDNN_ATTR_ENGINE_DEVICEPROP>);
static_assert(same<Attribute::device_json, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION>);
static_assert(same<Attribute::attention_q, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC>);
static_assert(same<Attribute::attention_k, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC>);
static_assert(same<Attribute::attention_v, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC>);
static_assert(same<Attribute::attention_y, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC>);
static_assert(same<Attribute::attention_scale, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC>);

static_assert(same<Element::handle, CUDNN_TYPE_HANDLE> && same<Element::data_type, CUDNN_TYPE_DATA_TYPE>);
static_assert(same<Element::boolean, CUDNN_TYPE_BOOLEAN> && same<Element::int64, CUDNN_TYPE_INT64>);
static_assert(same<Element::f32, CUDNN_TYPE_FLOAT> && same<Element::f64, CUDNN_TYPE_DOUBLE>);
static_assert(same<Element::pointer, CUDNN_TYPE_VOID_PTR> && same<Element::knob, CUDNN_TYPE_KNOB_TYPE>);
static_assert(same<Element::convolution_mode, CUDNN_TYPE_CONVOLUTION_MODE> &&
              same<Element::heuristics_mode, CUDNN_TYPE_HEUR_MODE>);
static_assert(same<Element::note, CUDNN_TYPE_NUMERICAL_NOTE> &&
              same<Element::descriptor, CUDNN_TYPE_BACKEND_DESCRIPTOR>);
static_assert(same<Element::character, CUDNN_TYPE_CHAR>);

static_assert(same<DataType::f32, CUDNN_DATA_FLOAT> && same<DataType::f64, CUDNN_DATA_DOUBLE> &&
              same<DataType::bf16, CUDNN_DATA_BFLOAT16>);
static_assert(same<ConvolutionMode::cross_correlation, CUDNN_CROSS_CORRELATION>);
static_assert(same<HeuristicsMode::fallback, CUDNN_HEUR_MODE_FALLBACK> &&
              same<HeuristicsMode::best, CUDNN_HEUR_MODE_A>);
static_assert(same<Note::tensor_cores, CUDNN_NUMERICAL_NOTE_TENSOR_CORE> &&
              same<Note::rounds_inputs, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS>);
static_assert(same<Note::rounds_sums, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION> &&
              same<Note::fourier, CUDNN_NUMERICAL_NOTE_FFT>);
static_assert(same<Note::not_deterministic, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC>);
static_assert(same<Note::winograd_6x6, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6> &&
              same<Note::winograd_13x13, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13>);
static_assert(same<success, CUDNN_STATUS_SUCCESS>);

}  // namespace
#endif
