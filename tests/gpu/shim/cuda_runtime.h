// Stands in for CUDA's header of this name when gpu/ is compiled for the host: kernels run as fibers, device memory is the host's.
//
// Only what gpu/ uses is here. A block's threads take turns at barriers and shuffles only, in an order that a test chooses
// (shim::set_order): a missing barrier shows as a result that depends on the order.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>

#define COSTATE_SHIM  // for tests that ask more of the shim than a device can do

// Keywords. A block runs on one host thread, so what its threads share is that thread's; a kernel whose blocks form clusters shares
// dynamic memory only.
#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned i = 1, unsigned j = 1, unsigned k = 1) : x(i), y(j), z(k) {}
};
extern thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();  // NOLINT(bugprone-reserved-identifier): CUDA's name
void __syncwarp();     // NOLINT(bugprone-reserved-identifier)

namespace shim {

enum class Order { forward, backward };
/// In which order the threads of a block run between two barriers.
void set_order(Order order);

/// Writes past the end or before the start of device blocks, found when they were released.
int guard_violations();

/// Runs `thread` once for every thread of the grid. Throws std::logic_error where threads wait at barriers that others never
/// reach, or break a rule of the device's. `cluster` neighbouring blocks run at a time; `kernel` is named in what is thrown.
void run(dim3 blocks, dim3 threads, const std::function<void()>& thread, std::size_t shared = 0, unsigned cluster = 1,
         const void* kernel = nullptr);
[[noreturn]] void broken(const std::string& rule);

/// `value`, 16 bytes at most, as lane `lane` of this thread's warp has it; every thread of the warp must call.
void exchange(void* value, std::size_t bytes, unsigned lane);
unsigned lane_id();
std::size_t number_in_cluster();
/// What each lane of this thread's warp has, 64 bytes at most; every thread of the warp must have one, and may have one at a time. As
/// long as it lives the lanes' values stay where they are.
using Slot = std::array<char, 64>;
const Slot* show(const void* mine, std::size_t bytes);
void all_have_seen();
/// Until all of the warp are there, who know no more of each other then.
void warp_together();
template <class T>
class OfWarp {
 public:
  explicit OfWarp(const T& mine) : slots_(show(&mine, sizeof(T))) {}
  OfWarp(const OfWarp&) = delete;
  OfWarp& operator=(const OfWarp&) = delete;
  ~OfWarp() noexcept(false) { all_have_seen(); }  // where a broken rule has a thread end
  const T& operator[](std::size_t lane) const { return *reinterpret_cast<const T*>(slots_[lane].data()); }

 private:
  const Slot* slots_;
};

/// Lets the block's other threads run.
void take_turns();

/// The block's dynamic shared memory: NaN at first, fenced.
void* dynamic_shared();
bool lies_in_shared(const void* p, std::size_t bytes);

/// A thread comes to the cluster's barrier; those who wait there then know what it has done so far, if it comes with news.
void come_to_cluster(bool with_news);
/// Until all threads of the cluster's blocks have come.
void wait_for_cluster();
/// Where the cluster's block of this number has what this one has at `shared`. It may not end before this thread has come once more.
const void* in_block(const void* shared, unsigned number);

/// An asynchronous copy, of zeros if `from` is null: made when the thread waits for its group, no sooner.
void copy_later(void* to, const void* from, std::size_t bytes);
void end_copy_group();
void wait_for_copies(int groups_left);

/// Numbers of a thread that a product has while it is under way.
struct Registers {
  const void* first;
  std::size_t bytes;
};
/// Products of a warp group, made when the thread waits for their group. Before the first, and behind each wait, products_may_start is
/// due. All threads of the group start the `same` ones.
void product_later(std::function<void()> product, std::initializer_list<Registers> of, std::size_t same);
void products_may_start();
void products_end_group();
void products_wait(int groups_left);

/// The compute capability that the device says it has: 9 or less.
void set_capability(int major);
int capability();

}  // namespace shim

template <class T>
T __shfl_xor_sync(unsigned, T value, unsigned mask) {  // NOLINT(bugprone-reserved-identifier)
  shim::exchange(&value, sizeof(T), shim::lane_id() ^ mask);
  return value;
}

template <class T>
T __shfl_sync(unsigned, T value, unsigned lane) {  // NOLINT(bugprone-reserved-identifier)
  shim::exchange(&value, sizeof(T), lane);
  return value;
}

inline bool __any_sync(unsigned, bool mine) {  // NOLINT(bugprone-reserved-identifier)
  const shim::OfWarp all(mine);
  bool any = false;
  for (std::size_t lane = 0; lane < 32; ++lane) any |= all[lane];
  return any;
}

inline double rsqrt(double x) { return 1 / std::sqrt(x); }

// The runtime calls that gpu/ makes.
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaDeviceAttr {
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrMaxSharedMemoryPerBlockOptin,
  cudaDevAttrMultiProcessorCount
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
using cudaStream_t = void*;
inline constexpr unsigned cudaStreamNonBlocking = 1;
struct cudaDeviceProp {
  char name[16] = "shim";
  int major = shim::capability(), minor = 0;
};
struct cudaFuncAttributes {
  int ptxVersion = 90, maxThreadsPerBlock = 64;
};
enum cudaLaunchAttributeID { cudaLaunchAttributeProgrammaticStreamSerialization, cudaLaunchAttributeClusterDimension };
struct cudaLaunchAttribute {
  cudaLaunchAttributeID id;
  struct {
    int programmaticStreamSerializationAllowed;
    dim3 clusterDim;
  } val;
};
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  cudaLaunchAttribute* attrs = nullptr;
  unsigned numAttrs = 0;
};

using cudaEvent_t = void*;
using cudaMemPool_t = void*;
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold };
inline constexpr unsigned cudaEventDisableTiming = 2;

cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t);  ///< filled with NaN, between two guard zones
cudaError_t cudaFreeAsync(void* p, cudaStream_t);
cudaError_t cudaMallocHost(void** p, std::size_t bytes);
inline cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t*, int) { return cudaSuccess; }
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
inline cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t*, unsigned) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t);
#define CUDART_VERSION 12000
inline cudaError_t cudaDriverGetVersion(int* version) { return *version = 0, cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* n) { return *n = 1, cudaSuccess; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) { return *p = {}, cudaSuccess; }
namespace shim {
/// Dynamic shared memory that a kernel may have on a device of 9.0: 48 KiB unless it has asked for more, up to 227.
constexpr int most_shared = 227 << 10;
cudaError_t ask_for_shared(const void* kernel, int bytes);
bool may_have_shared(const void* kernel, std::size_t bytes);
}  // namespace shim
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr what, int) {
  const bool major = what == cudaDevAttrComputeCapabilityMajor, bytes = what == cudaDevAttrMaxSharedMemoryPerBlockOptin;
  return *value = major ? shim::capability() : bytes ? shim::most_shared : 2, cudaSuccess;
}
inline cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int bytes) {
  return shim::ask_for_shared(kernel, bytes);
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, const void*) { return cudaSuccess; }

// Streams and graphs (stream.cpp). What is queued runs at once, but for a stream that is being captured, where it is noted: a graph
// is a list of calls with their arguments.
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal };
using cudaGraph_t = struct shimGraph*;
using cudaGraphExec_t = struct shimGraph*;
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned);
cudaError_t cudaStreamDestroy(cudaStream_t);
cudaError_t cudaStreamSynchronize(cudaStream_t);
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*);  ///< an error if one met a call that cannot be captured
cudaError_t cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, unsigned long long);
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphDestroy(cudaGraph_t);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t);
namespace shim {
/// Now, or when the stream's graph is launched.
void queue(cudaStream_t stream, std::function<void()> call);
/// A call that must not be made on a stream that is captured. False, and the capture fails, where it is.
bool allowed(cudaStream_t stream);
/// Launches of graphs so far; kernels and copies that were queued one by one; waits for all that was queued.
int graphs_launched();
int calls_queued();
int waited();
}  // namespace shim
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "as the shim was told"; }
inline const char* cudaGetErrorName(cudaError_t) { return "shim"; }

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* how, void (*kernel)(P...), A&&... args) {
  unsigned cluster = 1;
  for (unsigned i = 0; i < how->numAttrs; ++i)
    if (how->attrs[i].id == cudaLaunchAttributeClusterDimension) cluster = how->attrs[i].val.clusterDim.x;
  const auto* const name = reinterpret_cast<const void*>(kernel);
  if (!shim::may_have_shared(name, how->dynamicSmemBytes)) return cudaErrorInvalidValue;
  shim::queue(how->stream, [how = *how, cluster, kernel, name, ... given = P(args)] {
    shim::run(
        how.gridDim, how.blockDim, [&] { kernel(given...); }, how.dynamicSmemBytes, cluster, name);
  });
  return cudaSuccess;
}
