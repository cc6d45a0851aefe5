// Recorded work as a CUDA graph: a node a launch, and a copy for each of the numbers that the host sends, which lie together in one
// place that is filled before.
#include "core/kernels/replay.h"

#include <exception>
#include <utility>
#include <vector>

#include "core/kernels/memory.h"
#include "core/memory.h"
#include "gpu/runtime.h"

namespace costate::cuda {
namespace {

class Graph final : public Recorder, private Watcher {
 public:
  ~Graph() override { drop(); }

  bool rehearse(const Work& work) override {
    watch(Pass::rehearse, work);
    place_ = Block(sent_.size(), Device::cuda);
    return !read_back_;
  }

  bool record(const Work& work) override {
    drop();
    // A stream of its own: what other threads queue meanwhile is not recorded.
    check("replay", cudaStreamCreateWithFlags(&into, cudaStreamNonBlocking));
    bool whole = cudaStreamBeginCapture(into, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    try {
      if (whole) watch(Pass::record, work);
    } catch (const std::exception&) {  // met again by who does the work as it comes, if it is the work's
      whole = false;
    }
    cudaGraph_t graph{};
    whole = cudaStreamEndCapture(into, &graph) == cudaSuccess && whole;
    static_cast<void>(cudaStreamDestroy(into));
    into = nullptr;
    for (void* p : left_) static_cast<void>(cudaFreeAsync(p, stream()));
    left_.clear();
    whole = whole && cudaGraphInstantiate(&runs_, graph, 0) == cudaSuccess;
    if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
    return whole || forget();
  }

  bool spell_out(const Work& work) override try {
    at_launch_ = at_send_ = 0;
    watch(Pass::spell_out, work);
    return at_launch_ == launches_.size() && at_send_ == sizes_.size();
  } catch (const Departs&) {
    return false;
  }

  [[nodiscard]] const std::string& sent() const override { return sent_; }

  void repeat(const std::string& numbers) override {
    if (!filled_ || numbers != filled_with_) {
      if (!numbers.empty()) from_host(numbers.data(), place_.data(), numbers.size());
      filled_ = true;
      filled_with_ = numbers;
    }
    check("replay", cudaGraphLaunch(runs_, stream()));
  }

 private:
  enum class Pass { rehearse, record, spell_out };
  struct Departs {};  // from what is recorded: thrown through the work before it goes by what was not computed
  struct Launch {
    const void* kernel;
    dim3 blocks, threads;
    bool operator==(const Launch& o) const {
      const auto same = [](dim3 a, dim3 b) { return a.x == b.x && a.y == b.y && a.z == b.z; };
      return kernel == o.kernel && same(blocks, o.blocks) && same(threads, o.threads);
    }
  };
  static std::size_t padded(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

  void drop() {
    launches_.clear();
    sizes_.clear();
    filled_ = false;
    if (runs_ == nullptr) return;
    static_cast<void>(cudaStreamSynchronize(stream()));  // it may be running
    static_cast<void>(cudaGraphExecDestroy(std::exchange(runs_, nullptr)));
  }

  static bool forget() { return static_cast<void>(cudaGetLastError()), false; }

  void watch(Pass pass, const Work& work) {
    struct Turn {
      explicit Turn(Watcher* w) { watcher() = w; }
      ~Turn() { watcher() = nullptr; }
    };
    require(watcher() == nullptr, "replay: inside another");
    const Turn turn(this);
    pass_ = pass;
    sent_.clear();
    work();
  }

  bool launches(const void* kernel, dim3 blocks, dim3 threads) override {
    const Launch now{kernel, blocks, threads};
    if (pass_ == Pass::record) launches_.push_back(now);
    if (pass_ != Pass::spell_out) return true;
    if (at_launch_ == launches_.size() || !(launches_[at_launch_++] == now)) throw Departs();
    return false;
  }

  bool sends(const void* from, void* to, std::size_t bytes) override {
    const std::size_t place = sent_.size();
    sent_.append(static_cast<const char*>(from), bytes);
    sent_.resize(place + padded(bytes));
    if (pass_ == Pass::rehearse) return true;
    if (pass_ == Pass::spell_out) {
      if (at_send_ == sizes_.size() || sizes_[at_send_++] != bytes) throw Departs();
      return false;
    }
    require(sent_.size() <= place_.bytes(), "replay: more is sent than before");
    check("replay",
          cudaMemcpyAsync(to, static_cast<char*>(place_.data()) + place, bytes, cudaMemcpyDeviceToDevice, into));
    sizes_.push_back(bytes);
    return false;
  }

  bool allocates() override { return pass_ != Pass::record; }

  bool releases(void* p) override {
    if (pass_ == Pass::record) left_.push_back(p);
    return pass_ != Pass::record;
  }

  void reads_back() override {
    read_back_ = true;
    if (pass_ == Pass::spell_out) throw Departs();
    require(pass_ != Pass::record, "replay: a result is read on the host");
  }

  Pass pass_ = Pass::rehearse;
  bool read_back_ = false;
  std::string sent_;
  std::vector<Launch> launches_;
  std::vector<std::size_t> sizes_;  // of what is sent, in order
  Block place_;                     // where it lies
  std::vector<void*> left_;         // raw memory that was given back while recording
  cudaGraphExec_t runs_{};
  bool filled_ = false;
  std::string filled_with_;
  std::size_t at_send_ = 0, at_launch_ = 0;  // of what is spelt out
};

}  // namespace

void make_recorder(std::unique_ptr<Recorder>& made) { made = std::make_unique<Graph>(); }

}  // namespace costate::cuda
