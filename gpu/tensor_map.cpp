// Descriptions of tensors, made by the driver, which is asked for its functions when one is first made: nothing links to it.
#include "gpu/tensor_map.h"

#include "core/error.h"
#include "gpu/runtime.h"

namespace costate::cuda {
namespace {

constexpr cuuint32_t line_bytes = 128;  // the most that is swizzled

cuuint32_t bytes_of(BoxType type) { return type == BoxType::bf16 ? 2 : 4; }
CUtensorMapDataType name_of(BoxType type) {
  return type == BoxType::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_TFLOAT32;
}

template <class F>
F* function(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult status{};
  check("device cuda", cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &status));
  require(status == cudaDriverEntryPointSuccess && found != nullptr,
          "device cuda: the driver has no {}; use one for CUDA 12 or later", name);
  return reinterpret_cast<F*>(found);
}

struct Global {
  std::array<cuuint64_t, 4> size;
  std::array<cuuint64_t, 3> stride;  ///< bytes
  Global(const Extent4& e, BoxType type) {
    for (std::size_t i = 0; i < 4; ++i) size[i] = static_cast<cuuint64_t>(e.size[i]);
    for (std::size_t i = 0; i < 3; ++i) stride[i] = static_cast<cuuint64_t>(e.step[i] * bytes_of(type));
  }
};

/// Places end here, counted from the last pixel.
int end_of(const Walk& w) { return w.first + (w.outputs - 1) * w.step - (w.pixels - 1); }

}  // namespace

CUtensorMap boxes_of(const char* op, BoxType type, const void* data, const Extent4& extent, int lines) {
  static const auto encode = function<decltype(cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
  const Global g(extent, type);
  const cuuint32_t box[4] = {line_bytes / bytes_of(type), static_cast<cuuint32_t>(lines), 1, 1},
                   every[4] = {1, 1, 1, 1};
  CUtensorMap map{};
  const CUresult status = encode(&map, name_of(type), 4, const_cast<void*>(data), g.size.data(), g.stride.data(), box,
                                 every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(status == CUDA_SUCCESS, "{}: the driver cannot describe a matrix of {} x {} elements (error {})", op,
          extent.size[1], extent.size[0], static_cast<int>(status));
  return map;
}

CUtensorMap patches_of(const char* op, BoxType type, const void* data, int images, const Walk& rows,
                       const Walk& columns, int width, int pixel, int pixels) {
  static const auto encode = function<decltype(cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
  const std::int64_t line = std::int64_t{columns.pixels} * pixel;
  const Global g({{width, columns.pixels, rows.pixels, images}, {pixel, line, line * rows.pixels}}, type);
  const int first[2] = {columns.first, rows.first}, last[2] = {end_of(columns), end_of(rows)};
  const cuuint32_t every[4] = {1, static_cast<cuuint32_t>(columns.step), static_cast<cuuint32_t>(rows.step), 1};
  CUtensorMap map{};
  const CUresult status =
      encode(&map, name_of(type), 4, const_cast<void*>(data), g.size.data(), g.stride.data(), first, last,
             line_bytes / bytes_of(type), static_cast<cuuint32_t>(pixels), every, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  require(status == CUDA_SUCCESS, "{}: the driver cannot describe pictures of {} x {} x {} (error {})", op, rows.pixels,
          columns.pixels, width, static_cast<int>(status));
  return map;
}

bool can_walk(const Walk& w) {
  const auto held = [](int corner) { return corner >= -128 && corner <= 127; };
  return held(w.first) && held(end_of(w)) && w.step >= 1 && w.step <= 8;
}

}  // namespace costate::cuda
