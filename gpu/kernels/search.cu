// Searching on the device: the least index that each block has found, brought to page-locked memory meanwhile, and the least of these on
// the host.
#include "core/kernels/search.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "gpu/block_sum.h"

namespace costate::cuda {
namespace {

constexpr int threads = 256;
constexpr std::int64_t most_blocks = 264;

struct Smaller {
  __device__ double operator()(double a, double b) const { return b < a ? b : a; }
};

/// found[block]: an index, which f64 holds exactly, or n.
template <class T>
__global__ void search_kernel(std::int64_t n, const T* x, double* found) {
  kernel_begins();
  __shared__ double shared[threads / 32];
  std::int64_t mine = n;
  const std::int64_t stride = std::int64_t{gridDim.x} * threads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x; i < n && mine == n; i += stride)
    if (is_non_finite(x[i])) mine = i;
  const double least = block_combine<threads>(static_cast<double>(mine), shared, Smaller{});
  if (threadIdx.x == 0) found[blockIdx.x] = least;
}

/// Where blocks' findings come down to, used again and again.
struct Landing {
  double* found = nullptr;
  cudaEvent_t there{};
};

class Landings {
 public:
  Landing take() {
    const std::lock_guard lock(mutex_);
    Landing l;
    if (!free_.empty()) {
      l = free_.back();
      free_.pop_back();
      return l;
    }
    void* p = nullptr;
    check("search", cudaMallocHost(&p, most_blocks * sizeof(double)));
    l.found = static_cast<double*>(p);
    check("search", cudaEventCreateWithFlags(&l.there, cudaEventDisableTiming));
    return l;
  }
  void give(Landing l) {
    const std::lock_guard lock(mutex_);
    free_.push_back(l);
  }

 private:
  std::mutex mutex_;
  std::vector<Landing> free_;
};

/// Never destroyed, as the runtime.
Landings& landings() {
  static Landings& all = *new Landings;
  return all;
}

class UnderWay final : public Finding {
 public:
  UnderWay(std::int64_t n, const Tensor& found) : n_(n), blocks_(found.size()) {
    check("search", cudaMemcpyAsync(landing_.found, found.device_data<double>(), found.bytes(), cudaMemcpyDeviceToHost,
                                    stream()));
    check("search", cudaEventRecord(landing_.there, stream()));
  }
  ~UnderWay() override {
    static_cast<void>(cudaEventSynchronize(landing_.there));  // nothing may land there later
    landings().give(landing_);
  }
  [[nodiscard]] bool is_known() const override { return false; }
  [[nodiscard]] std::int64_t at() override {
    check("search", cudaEventSynchronize(landing_.there));
    const auto least = static_cast<std::int64_t>(*std::min_element(landing_.found, landing_.found + blocks_));
    return least < n_ ? least : -1;
  }

 private:
  std::int64_t n_, blocks_;
  Landing landing_ = landings().take();
};

}  // namespace

void search(const Tensor& x, std::unique_ptr<Finding>& under_way) {
  const std::int64_t n = x.size(), blocks = std::min(most_blocks, (n + threads - 1) / threads);
  if (n == 0) {
    under_way = std::make_unique<Known>(-1);
    return;
  }
  Tensor found = Tensor::empty({blocks}, x.kind().with(DType::f64));
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    launch("search", dim3(static_cast<unsigned>(blocks)), dim3(threads), search_kernel<T>, n, x.device_data<T>(),
           found.mutable_device_data<double>());
  });
  if (watcher() != nullptr) watcher()->reads_back();
  under_way = std::make_unique<UnderWay>(n, found);
}

}  // namespace costate::cuda
