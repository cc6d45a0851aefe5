// Stands in for the driver's header: descriptions of tensors, which the driver would pack, as they were asked for (tensor_map.cpp).
#pragma once

#include <cuda_runtime.h>

using cuuint32_t = std::uint32_t;
using cuuint64_t = std::uint64_t;
enum CUresult { CUDA_SUCCESS = 0, CUDA_ERROR_INVALID_VALUE = 1 };
enum CUtensorMapDataType { CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, CU_TENSOR_MAP_DATA_TYPE_TFLOAT32 };
enum CUtensorMapInterleave { CU_TENSOR_MAP_INTERLEAVE_NONE };
enum CUtensorMapSwizzle { CU_TENSOR_MAP_SWIZZLE_128B };
enum CUtensorMapL2promotion { CU_TENSOR_MAP_L2_PROMOTION_L2_256B };
enum CUtensorMapFloatOOBfill { CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE };

struct alignas(64) CUtensorMap {
  const char* data;
  std::int64_t size[4], stride[3];  ///< strides in bytes
  bool tf32;                        ///< or bf16
  bool patches;
  int lines;          ///< of a box
  int low[2], up[2];  ///< corners of the pixels that patches go over
  int step[4];
};

CUresult cuTensorMapEncodeTiled(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                                const cuuint64_t*, const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave,
                                CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
CUresult cuTensorMapEncodeIm2col(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*,
                                 const cuuint64_t*, const int*, const int*, cuuint32_t, cuuint32_t, const cuuint32_t*,
                                 CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion,
                                 CUtensorMapFloatOOBfill);

enum { cudaEnableDefault };
enum cudaDriverEntryPointQueryResult { cudaDriverEntryPointSuccess };
cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned version, unsigned long long,
                                             cudaDriverEntryPointQueryResult*);

namespace shim {

/// Starts a count of threads to come and bytes to arrive, anew.
void start_arrival(void* arrival, unsigned threads);
/// A thread comes, and so many bytes are to arrive.
void arrive(void* arrival, unsigned bytes);
/// A box, made when a thread waits for its round, no sooner. `at`: coordinates; `off`: of patches.
void box_later(void* to, const CUtensorMap& map, const int (&at)[4], const int (&off)[2], void* arrival);
/// Bytes as they lie in memory, likewise.
void bytes_later(void* to, const void* from, unsigned count, void* arrival);
/// Each thread waits for a round once at most.
void wait_for_round(void* arrival, bool odd);
/// A block has none at first, and nothing may be on its way when it ends.
void arrivals_begin();
void arrivals_end();

}  // namespace shim
