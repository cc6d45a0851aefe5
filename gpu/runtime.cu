// The CUDA device: opening, the stream, raw memory and transfers.
#include "gpu/runtime.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>
#include <string>

#include "core/kernels/memory.h"
#include "gpu/ptx_sm90.h"

namespace costate::cuda {
namespace {

/// What was queued last: the best guess at what failed, since kernels run after their launch has returned.
std::atomic<const char*> last_op = "nothing";

std::atomic<int> chosen = 0;

/// Why no device was found.
std::string missing(cudaError_t found) {
  int driver = 0;
  static_cast<void>(cudaGetLastError());
  if (found == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0)
    return "this machine has no CUDA driver";
  return found == cudaSuccess ? "this machine has no CUDA device" : cudaGetErrorString(found);
}

constexpr int marked = 64, unmarked = 32;
/// Is in the build for every chip that the kernels are in, and says whether they have what code for 9.0 alone may hold.
__global__ void __launch_bounds__(warp_groups_here ? marked : unmarked) probe() {}

struct Runtime {
  int device = 0;
  bool clusters = false, warp_groups = false;
  cudaStream_t stream{};
  cudaMemPool_t pool{};

  Runtime() {
    int devices = 0;
    const cudaError_t found = cudaGetDeviceCount(&devices);
    require(found == cudaSuccess && devices > 0, "device cuda: {}; use --device cpu", missing(found));
    device = chosen % devices;
    cudaDeviceProp about{};
    check("device cuda", cudaGetDeviceProperties(&about, device));
    check("device cuda", cudaSetDevice(device));
    cudaFuncAttributes code{};
    const cudaError_t built = cudaFuncGetAttributes(&code, reinterpret_cast<const void*>(probe));
    require(built == cudaSuccess,
            "device cuda: {} has compute capability {}.{}, for which this build has no code; build with "
            "-DCMAKE_CUDA_ARCHITECTURES={}{}",
            about.name, about.major, about.minor, about.major, about.minor);
    clusters = code.ptxVersion >= 90;
    warp_groups = code.maxThreadsPerBlock == marked;
    check("device cuda", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    keep_freed_memory();
  }

  /// Memory that is given back waits in the driver's pool for the next request, which then costs no call that waits.
  void keep_freed_memory() {
    check("device cuda", cudaDeviceGetDefaultMemPool(&pool, device));
    std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    check("device cuda", cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all));
  }
};

/// Made at first use and never destroyed: tensors of static lifetime may be freed after it otherwise. A failure is tried again.
Runtime& runtime() {
  static Runtime& made = *new Runtime;
  return made;
}

}  // namespace

Watcher*& watcher() {
  thread_local Watcher* watching = nullptr;
  return watching;
}

int device() { return runtime().device; }

bool has_clusters() { return runtime().clusters; }
bool has_warp_group_code() { return runtime().warp_groups; }

cudaStream_t stream() {
  // Every thread has a device of its own, the first one unless it says otherwise.
  thread_local const bool said = (check("device cuda", cudaSetDevice(device())), true);
  static_cast<void>(said);
  return watcher() != nullptr && watcher()->into != nullptr ? watcher()->into : runtime().stream;
}

void check(const char* op, cudaError_t status) {
  if (status == cudaSuccess) {
    last_op = op;
    return;
  }
  static_cast<void>(cudaGetLastError());  // an error that does not stick is not met again by the next call
  fail("{}: CUDA: {} ({}); queued before it: {}", op, cudaGetErrorString(status), cudaGetErrorName(status),
       last_op.load());
}

void wait(const char* op) { check(op, cudaStreamSynchronize(stream())); }

void choose(int which) { chosen = which; }
void open() { runtime(); }
void finish() { wait("finish"); }

void allocate(std::size_t bytes, void*& p) {
  if (watcher() != nullptr && !watcher()->allocates()) {
    p = nullptr;
    return;
  }
  cudaError_t status = cudaMallocAsync(&p, bytes, stream());
  if (status == cudaErrorMemoryAllocation) {  // what waits in the pool may be in pieces that are too small
    static_cast<void>(cudaGetLastError());
    wait("allocate");
    check("allocate", cudaMemPoolTrimTo(runtime().pool, 0));
    status = cudaMallocAsync(&p, bytes, stream());
  }
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    p = nullptr;
    return;
  }
  check("allocate", status);
}

// In the stream's order: after the work on it that is still queued.
void release(void* p) {
  if (watcher() == nullptr || watcher()->releases(p)) static_cast<void>(cudaFreeAsync(p, stream()));
}

void to_host(const void* from, void* to, std::size_t bytes) {
  if (watcher() != nullptr) watcher()->reads_back();
  check("to_host", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()));
  wait("to_host");
}

namespace {

/// Page-locked memory for the numbers of a step (times, factors, indices): they are copied there, and the host goes on. Two
/// halves take turns; before a half is written again, what was queued from it is over.
class Staging {
 public:
  static constexpr std::size_t half = std::size_t{1} << 20, most = half / 4;

  void send(const void* from, void* to, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (memory_ == nullptr) start();
    if (used_ + bytes > half) turn();
    char* place = memory_ + (current_ * half) + used_;
    std::memcpy(place, from, bytes);
    check("from_host", cudaMemcpyAsync(to, place, bytes, cudaMemcpyHostToDevice, stream()));
    used_ += (bytes + 63) / 64 * 64;
  }

 private:
  void start() {
    for (auto& event : sent_) check("from_host", cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    void* p = nullptr;
    check("from_host", cudaMallocHost(&p, 2 * half));
    memory_ = static_cast<char*>(p);
  }
  void turn() {
    check("from_host", cudaEventRecord(sent_[current_], stream()));
    current_ = 1 - current_;
    used_ = 0;
    check("from_host", cudaEventSynchronize(sent_[current_]));  // at once if it was never recorded
  }

  std::mutex mutex_;
  std::array<cudaEvent_t, 2> sent_{};
  char* memory_ = nullptr;
  std::size_t current_ = 0, used_ = 0;
};

}  // namespace

void from_host(const void* from, void* to, std::size_t bytes) {
  if (watcher() != nullptr && !watcher()->sends(from, to, bytes)) return;
  static Staging& staging = *new Staging;
  if (bytes <= Staging::most) {
    staging.send(from, to, bytes);
    return;
  }
  check("from_host", cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream()));
  wait("from_host");
}

}  // namespace costate::cuda
