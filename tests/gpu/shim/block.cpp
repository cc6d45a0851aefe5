// The threads of a block as fibers that take turns at barriers and shuffles.
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

namespace context = boost::context;

constexpr unsigned warp_size = 32;
shim::Order order = shim::Order::forward;
int device_capability = 9;

enum class Waits { no, for_warp, for_block };

struct Copy {
  void* to;
  const void* from;  ///< null: zeros
  int group;
};

struct Thread {
  context::fiber fiber;
  context::fiber back;  ///< to the scheduler
  dim3 index;
  Waits waits = Waits::no;
  bool done = false;
  unsigned number = 0;  ///< in its block
  std::vector<Copy> copies;
  int group = 0;  ///< that copies belong to now
  std::vector<std::pair<int, std::function<void()>>> products;
  int product_group = 0;
};

struct Warp {
  std::array<std::array<char, 64>, warp_size> slot{};
};

thread_local void* shared_memory = nullptr;
thread_local Thread* running = nullptr;
thread_local std::vector<Warp>* warps = nullptr;

void give_way(Waits waits) {
  running->waits = waits;
  running->back = std::move(running->back).resume();
}

class Block {
 public:
  Block(dim3 shape, const std::function<void()>& body, context::pooled_fixedsize_stack& stacks)
      : threads_(shape.x * shape.y * shape.z), warps_((threads_.size() + warp_size - 1) / warp_size) {
    for (unsigned i = 0; i < threads_.size(); ++i) {
      Thread& t = threads_[i];
      t.number = i;
      t.index = dim3(i % shape.x, i / shape.x % shape.y, i / shape.x / shape.y);
      t.fiber = context::fiber(std::allocator_arg, stacks, [&t, &body](context::fiber&& back) {
        t.back = std::move(back);
        body();
        t.done = true;
        return std::move(t.back);
      });
    }
  }

  void run() {
    warps = &warps_;
    while (step()) {
    }
  }

 private:
  /// Runs every warp until its threads wait for the block, then opens the block's barrier if all have reached it. A warp gets as far
  /// ahead of the others as it may. False once all threads are done.
  bool step() {
    bool moved = false;
    for (std::size_t i = 0; i < warps_.size(); ++i) {
      const std::size_t first = (order == shim::Order::forward ? i : warps_.size() - 1 - i) * warp_size;
      while (step(first, std::min(threads_.size(), first + warp_size))) moved = true;
    }
    const bool opened = open(0, threads_.size(), Waits::for_block);
    const bool done = std::all_of(threads_.begin(), threads_.end(), [](const Thread& t) { return t.done; });
    if (!done && !moved && !opened) throw std::logic_error("shim: threads of a block wait at different barriers");
    return !done;
  }

  /// Runs each thread of a warp that can to its next wait, then opens the warp's barrier. False if none could.
  bool step(std::size_t first, std::size_t last) {
    bool moved = false;
    for (std::size_t i = first; i < last; ++i) {
      Thread& t = threads_[order == shim::Order::forward ? i : first + last - 1 - i];
      if (t.done || t.waits != Waits::no) continue;
      moved = true;
      running = &t;
      threadIdx = t.index;
      t.fiber = std::move(t.fiber).resume();
    }
    return open(first, last, Waits::for_warp) || moved;
  }

  bool open(std::size_t first, std::size_t last, Waits kind) {
    bool any = false;
    for (std::size_t i = first; i < last; ++i) {
      if (threads_[i].done) continue;
      if (threads_[i].waits != kind) return false;
      any = true;
    }
    for (std::size_t i = first; i < last; ++i) threads_[i].waits = Waits::no;
    return any;
  }

  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
};

}  // namespace

void __syncthreads() { give_way(Waits::for_block); }  // NOLINT(bugprone-reserved-identifier)
void __syncwarp() { give_way(Waits::for_warp); }      // NOLINT(bugprone-reserved-identifier)

namespace shim {

void set_order(Order o) { order = o; }

unsigned lane_id() { return running->number % warp_size; }

void exchange(void* value, std::size_t bytes, unsigned lane) {
  auto& slots = (*warps)[running->number / warp_size].slot;
  std::memcpy(slots[lane_id()].data(), value, bytes);
  give_way(Waits::for_warp);
  std::memcpy(value, slots[lane % warp_size].data(), bytes);
  give_way(Waits::for_warp);
}

const void* gather(const void* mine, std::size_t bytes, void* all) {
  auto& slots = (*warps)[running->number / warp_size].slot;
  std::memcpy(slots[lane_id()].data(), mine, bytes);
  give_way(Waits::for_warp);
  for (std::size_t lane = 0; lane < warp_size; ++lane)
    std::memcpy(static_cast<char*>(all) + lane * bytes, slots[lane].data(), bytes);
  give_way(Waits::for_warp);
  return all;
}

void* dynamic_shared() { return shared_memory; }

void copy_later(void* to, const void* from) { running->copies.push_back({to, from, running->group}); }

void end_copy_group() { ++running->group; }

void wait_for_copies(int groups_left) {
  auto& copies = running->copies;
  const auto due = [&](const Copy& c) { return c.group < running->group - groups_left; };
  for (const Copy& c : copies) {
    if (!due(c)) continue;
    if (c.from == nullptr)
      std::memset(c.to, 0, 16);
    else
      std::memcpy(c.to, c.from, 16);
  }
  std::erase_if(copies, due);
}

void product_later(std::function<void()> product) {
  running->products.emplace_back(running->product_group, std::move(product));
}

void products_end_group() { ++running->product_group; }

void products_wait(int groups_left) {
  auto& products = running->products;
  const auto due = [&](const auto& p) { return p.first < running->product_group - groups_left; };
  for (const auto& p : products)
    if (due(p)) p.second();
  std::erase_if(products, due);
}

void set_capability(int major) { device_capability = major; }
int capability() { return device_capability; }

void run(dim3 blocks, dim3 threads, const std::function<void()>& thread, std::size_t shared) {
  if (threads.x * threads.y * threads.z > 1024) throw std::logic_error("shim: more than 1024 threads in a block");
  if (blocks.y > 65535 || blocks.z > 65535) throw std::logic_error("shim: more than 65535 blocks along y or z");
  gridDim = blocks;
  blockDim = threads;
  void* memory = nullptr;
  cudaMallocAsync(&memory, shared, nullptr);
  shared_memory = memory;
  context::pooled_fixedsize_stack stacks(std::size_t{64} << 10);
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; ++x) {
        blockIdx = dim3(x, y, z);
        std::memset(memory, 0xFF, shared);
        Block(threads, thread, stacks).run();
      }
    }
  }
  cudaFreeAsync(memory, nullptr);
}

}  // namespace shim
