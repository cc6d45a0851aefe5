// The threads of a block as fibers that take turns at barriers and shuffles.
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include <cuda.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/gpu/shim/races.h"

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

namespace context = boost::context;

constexpr unsigned warp_size = 32, group_size = 128;
shim::Order order = shim::Order::forward;
int device_capability = 9;

/// What a thread waits for: `for_warp` until all of it are there, for a value, say; `to_meet_warp` knows then what they have done.
enum class Waits { no, for_warp, to_meet_warp, for_others, for_block, for_cluster };

struct Copy {
  void* to;
  const void* from;  ///< null: zeros
  std::size_t bytes;
  int group;
};

struct Product {
  int group;
  std::function<void()> make;
  std::vector<shim::Registers> of;
};

struct Thread {
  context::fiber fiber;
  context::fiber back;  ///< to the scheduler
  dim3 index, block_index;
  unsigned block = 0;  ///< in its cluster
  Waits waits = Waits::no;
  bool done = false;
  unsigned number = 0;  ///< in its block
  std::vector<Copy> copies;
  int group = 0;  ///< that copies belong to now
  std::vector<Product> products;
  int product_group = 0;
  bool may_multiply = false;
  std::size_t products_started = 0;  ///< which ones, in which order
  shim::Times news;                  ///< for the cluster, of when it arrived
  unsigned came = 0, waited = 0;     ///< at so many of the cluster's barriers
};

struct Warp {
  alignas(64) std::array<shim::Slot, warp_size> slot{};
};

thread_local std::vector<void*>* shared_memory = nullptr;  // of each block of the cluster
thread_local std::vector<unsigned>* ends_after = nullptr;  // so many barriers, for others read what it has
thread_local std::size_t shared_bytes = 0;
thread_local const void* kernel_here = nullptr;
thread_local Thread* running = nullptr;
thread_local std::vector<Warp>* warps = nullptr;

void give_way(Waits waits) {
  if (std::uncaught_exceptions() > 0) return;  // a rule is broken, and threads end where they are
  running->waits = waits;
  running->back = std::move(running->back).resume();
}

/// Blocks that run at one time: neighbours along x, from `first` on.
class Cluster {
 public:
  Cluster(unsigned blocks, dim3 first, dim3 shape, const std::function<void()>& body,
          context::pooled_fixedsize_stack& stacks)
      : block_(shape.x * shape.y * shape.z),
        first_block_(first.x + std::size_t{gridDim.x} * (first.y + std::size_t{gridDim.y} * first.z)),
        threads_(blocks * block_),
        warps_(blocks * ((block_ + warp_size - 1) / warp_size)),
        ends_after_(blocks) {
    for (unsigned k = 0; k < threads_.size(); ++k) {
      Thread& t = threads_[k];
      const unsigned i = k % block_;
      t.number = i;
      t.block = k / block_;
      t.block_index = dim3(first.x + t.block, first.y, first.z);
      t.index = dim3(i % shape.x, i / shape.x % shape.y, i / shape.x / shape.y);
      t.fiber = context::fiber(std::allocator_arg, stacks, [this, &t, &body](context::fiber&& back) {
        t.back = std::move(back);
        try {
          body();
          if (!t.products.empty()) shim::broken("a thread ends while its products are under way");
        } catch (const context::detail::forced_unwind&) {
          throw;
        } catch (...) {
          failed_ = std::current_exception();
        }
        t.done = true;
        return std::move(t.back);
      });
    }
  }

  void run() {
    warps = &warps_;
    ends_after = &ends_after_;
    shim::arrivals_begin();
    shim::races::cluster_begins(first_block_);
    while (step()) {
    }
    for (std::size_t i = 0; i < threads_.size(); ++i)
      if (const std::size_t first = i - i % block_ % group_size;
          threads_[i].products_started != threads_[first].products_started)
        running = &threads_[i], shim::broken("the four warps of a group do not start the same products");
    for (auto first = threads_.begin(); first != threads_.end();) {
      const auto end = first + static_cast<std::ptrdiff_t>(block_);
      if (std::all_of(first, end, [&](const Thread& t) { return t.waited < ends_after_[t.block]; }))
        running = &*first, shim::broken("a block ends while others may read its shared memory");
      first = end;
    }
    shim::arrivals_end();
  }

 private:
  /// Runs every warp until its threads wait for their block or the cluster, then opens those barriers that all have reached. A warp gets
  /// as far ahead of the others as it may. False once all threads are done.
  bool step() {
    const std::size_t of_a_block = (block_ + warp_size - 1) / warp_size;
    bool moved = false;
    for (std::size_t i = 0; i < warps_.size(); ++i) {
      const std::size_t warp = order == shim::Order::forward ? i : warps_.size() - 1 - i, block = warp / of_a_block,
                        first = block * block_ + warp % of_a_block * warp_size;
      while (step(first, std::min((block + 1) * block_, first + warp_size))) moved = true;
    }
    bool opened = open(0, threads_.size(), Waits::for_cluster);
    for (Thread& t : threads_)
      if (t.waits == Waits::for_others) t.waits = Waits::no, opened = true;
    for (std::size_t first = 0; first < threads_.size(); first += block_)
      opened |= open(first, first + block_, Waits::for_block);
    const bool done = std::all_of(threads_.begin(), threads_.end(), [](const Thread& t) { return t.done; });
    if (!done && !moved && !opened) throw std::logic_error("shim: threads of a block wait at different barriers");
    return !done;
  }

  /// Runs each thread of a warp that can to its next wait, then opens the warp's barrier. False if none could.
  bool step(std::size_t first, std::size_t last) {
    bool moved = false;
    for (std::size_t i = first; i < last; ++i) {
      const std::size_t number = order == shim::Order::forward ? i : first + last - 1 - i;
      Thread& t = threads_[number];
      if (t.done || t.waits != Waits::no) continue;
      moved = true;
      running = &t;
      shim::races::runs(number);
      threadIdx = t.index;
      blockIdx = t.block_index;
      t.fiber = std::move(t.fiber).resume();
      if (failed_) std::rethrow_exception(failed_);
    }
    return open(first, last, Waits::for_warp) || open(first, last, Waits::to_meet_warp) || moved;
  }

  bool open(std::size_t first, std::size_t last, Waits kind) {
    bool any = false;
    for (std::size_t i = first; i < last; ++i) {
      if (threads_[i].done) continue;
      if (threads_[i].waits != kind) return false;
      any = true;
    }
    if (any) meet(first, last, kind);
    for (std::size_t i = first; i < last; ++i) threads_[i].waits = Waits::no;
    return any;
  }

  /// Threads that are at one barrier learn what those before it have done.
  void meet(std::size_t first, std::size_t last, Waits kind) {
    if (!shim::races::watched || kind == Waits::for_warp) return;
    std::vector<std::size_t> there;
    for (std::size_t i = first; i < last; ++i)
      if (!threads_[i].done) there.push_back(i);
    if (kind != Waits::for_cluster) return shim::races::meet(there);
    shim::Times news;
    for (const std::size_t i : there) shim::Clocks::raise(news, std::exchange(threads_[i].news, {}));
    for (const std::size_t i : there) shim::races::runs(i), shim::races::hear(news);
  }

  std::size_t block_;  ///< threads of one
  std::size_t first_block_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<unsigned> ends_after_;
  std::exception_ptr failed_;  ///< of a thread
};

/// Of the running thread.
Warp& warp() {
  const std::size_t of_a_block = warps->size() / shared_memory->size();
  return (*warps)[running->block * of_a_block + running->number / warp_size];
}

}  // namespace

void __syncthreads() { give_way(Waits::for_block); }  // NOLINT(bugprone-reserved-identifier)
void __syncwarp() { give_way(Waits::to_meet_warp); }  // NOLINT(bugprone-reserved-identifier)

namespace shim {

void set_order(Order o) { order = o; }

std::size_t number_in_cluster() {
  return running->block * std::size_t{blockDim.x * blockDim.y * blockDim.z} + running->number;
}

unsigned lane_id() { return running->number % warp_size; }

void exchange(void* value, std::size_t bytes, unsigned lane) {
  auto& slots = warp().slot;
  std::memcpy(slots[lane_id()].data(), value, bytes);
  give_way(Waits::for_warp);
  std::memcpy(value, slots[lane % warp_size].data(), bytes);
  give_way(Waits::for_warp);
}

const Slot* show(const void* mine, std::size_t bytes) {
  auto& slots = warp().slot;
  std::memcpy(slots[lane_id()].data(), mine, bytes);
  give_way(Waits::for_warp);
  return slots.data();
}

void all_have_seen() { give_way(Waits::for_warp); }
void warp_together() { give_way(Waits::for_warp); }

void take_turns() { give_way(Waits::for_others); }

void broken(const std::string& rule) {
  Dl_info program{};
  const bool known = kernel_here != nullptr && dladdr(kernel_here, &program) != 0;
  const auto at = known ? static_cast<const char*>(kernel_here) - static_cast<const char*>(program.dli_fbase) : 0;
  const dim3 b = running->block_index;
  throw std::logic_error(fmt::format("shim: {}: the kernel at {:#x}, thread {} of block ({}, {}, {})", rule, at,
                                     running->number, b.x, b.y, b.z));
}

void* dynamic_shared() { return (*shared_memory)[running->block]; }
bool lies_in_shared(const void* p, std::size_t bytes) {
  const auto* const first = static_cast<const char*>(dynamic_shared());
  return p >= first && static_cast<const char*>(p) + bytes <= first + shared_bytes;
}

void come_to_cluster(bool with_news) {
  if (running->came++ != running->waited) broken("a thread comes to the cluster that has not waited since it came");
  if (with_news) races::tell(running->news);
}
void wait_for_cluster() {
  if (running->waited == running->came) broken("a thread waits for the cluster and has not come");
  give_way(Waits::for_cluster);
  ++running->waited;
}

const void* in_block(const void* shared, unsigned number) {
  if (number >= shared_memory->size()) broken("the cluster has no such block");
  if (number != running->block) (*ends_after)[number] = std::max((*ends_after)[number], running->came + 1);
  return static_cast<char*>((*shared_memory)[number]) +
         (static_cast<const char*>(shared) - static_cast<char*>(dynamic_shared()));
}

void copy_later(void* to, const void* from, std::size_t bytes) {
  for (const void* p : {static_cast<const void*>(to), from})
    if (reinterpret_cast<std::uintptr_t>(p) % bytes != 0) broken("a word is copied from or to where none begins");
  running->copies.push_back({to, from, bytes, running->group});
  races::copy_begins(to, bytes, races::By::thread);
  if (from != nullptr) races::reads(number_in_cluster(), from, bytes, races::By::thread);
}

void end_copy_group() { ++running->group; }

void wait_for_copies(int groups_left) {
  auto& copies = running->copies;
  const auto due = [&](const Copy& c) { return c.group < running->group - groups_left; };
  for (const Copy& c : copies) {
    if (!due(c)) continue;
    if (c.from == nullptr)
      std::memset(c.to, 0, c.bytes);
    else
      std::memcpy(c.to, c.from, c.bytes);
    races::copy_ends(c.to, c.bytes, nullptr);
  }
  std::erase_if(copies, due);
}

void products_may_start() {
  running->may_multiply = true;
  races::products_may_start();
}

void product_later(std::function<void()> product, std::initializer_list<Registers> of, std::size_t same) {
  if (!running->may_multiply) broken("a product starts behind a wait without products_may_start");
  if (running->number / group_size * group_size + group_size > blockDim.x * blockDim.y * blockDim.z)
    broken("a product starts in less than four warps");
  races::product_begins(of);
  running->products_started = running->products_started * 31 + same;
  running->products.push_back({running->product_group, std::move(product), of});
}

void products_end_group() { ++running->product_group; }

void products_wait(int groups_left) {
  auto& products = running->products;
  const auto due = [&](const Product& p) { return p.group < running->product_group - groups_left; };
  for (const Product& p : products)
    if (due(p)) p.make(), races::product_ends(p.of.size());
  std::erase_if(products, due);
  running->may_multiply = false;
}

void set_capability(int major) { device_capability = major; }
int capability() { return device_capability; }

namespace {

thread_local std::map<const void*, int> asked_for;

/// What lasts as long as a kernel runs, whether it ends or throws.
struct Running {
  std::vector<void*> memory;
  Running(dim3 blocks, dim3 threads, std::size_t shared, unsigned cluster, const void* kernel) : memory(cluster) {
    gridDim = blocks;
    blockDim = threads;
    for (void*& block : memory) cudaMallocAsync(&block, shared, nullptr), now_shared(block);
    shared_memory = &memory;
    shared_bytes = shared;
    kernel_here = kernel;
    races::kernel_begins(std::size_t{threads.x} * threads.y * threads.z, cluster);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    races::kernel_ends();
    for (void* block : memory) cudaFreeAsync(block, nullptr);
  }
};

}  // namespace

cudaError_t ask_for_shared(const void* kernel, int bytes) {
  if (bytes > most_shared) return cudaErrorInvalidValue;
  return asked_for[kernel] = bytes, cudaSuccess;
}

bool may_have_shared(const void* kernel, std::size_t bytes) {
  const auto asked = asked_for.find(kernel);
  return bytes <= static_cast<std::size_t>(asked == asked_for.end() ? 48 << 10 : asked->second);
}

void run(dim3 blocks, dim3 threads, const std::function<void()>& thread, std::size_t shared, unsigned cluster,
         const void* kernel) {
  if (threads.x * threads.y * threads.z > 1024) throw std::logic_error("shim: more than 1024 threads in a block");
  if (blocks.y > 65535 || blocks.z > 65535) throw std::logic_error("shim: more than 65535 blocks along y or z");
  if (cluster > 8 || blocks.x % cluster != 0) throw std::logic_error("shim: blocks that clusters do not divide");
  const Running now(blocks, threads, shared, cluster, kernel);
  context::pooled_fixedsize_stack stacks(std::size_t{64} << 10);
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; x += cluster) {
        for (void* block : now.memory) std::memset(block, 0xFF, shared);
        Cluster(cluster, dim3(x, y, z), threads, thread, stacks).run();
      }
    }
  }
}

}  // namespace shim
