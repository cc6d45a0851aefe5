// Races in kernels on the shim: accesses to shared or device memory, at least one of them a write, that no barrier orders.
//
// The .cu files are compiled for the shim with -fsanitize=thread, of which only the calls are taken that it puts before each access
// (races.cpp has them); barriers say who knows of whom (clocks.h). Which thread ran first does not matter: what is found is what could
// happen in another order. Blocks of different clusters never know of each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/gpu/shim/clocks.h"

namespace shim {

/// Looks while it lives, at kernels that this thread starts. One at a time.
class RaceWatch {
 public:
  RaceWatch();
  RaceWatch(const RaceWatch&) = delete;
  RaceWatch& operator=(const RaceWatch&) = delete;
  ~RaceWatch();
  /// What was found so far, a line each; `addr2line -fCe PROGRAM` knows its places.
  [[nodiscard]] std::vector<std::string> found() const;
  /// Accesses looked at so far.
  [[nodiscard]] std::size_t seen() const;
};

struct Registers;  // cuda_runtime.h

// What the shim tells while kernels run; without a watch all of it is nothing. Threads are counted through a cluster.
namespace races {

inline bool watched = false;  ///< a kernel runs that is looked at
void kernel_begins(std::size_t threads_of_a_block, std::size_t blocks_of_a_cluster);
void kernel_ends();
void cluster_begins(std::size_t first_block);
void runs(std::size_t thread);  ///< from now on
void meet(const std::vector<std::size_t>& threads);
void tell(Times& news);  ///< by the thread that runs
void hear(const Times& news);

/// Who touches memory: a thread itself, or the copy engine or a product of a warp group for it. These have a way to shared memory of their own
/// (PTX: the async proxy), and are not before or behind what threads do but by a fence between.
enum class By { thread, engine };
void fence();

/// Memory that is written some time between these by nobody in particular: until it has ended nobody may touch it. Who is told by `news` may
/// then; without, the thread that runs has waited for it.
void copy_begins(const void* to, std::size_t bytes, By by);
void copy_ends(const void* to, std::size_t bytes, Times* news);
/// By code that the compiler does not look at; `thread` is whom it reads for.
void reads(std::size_t thread, const void* from, std::size_t bytes, By by);
void writes(const void* to, std::size_t bytes);

/// Registers of the thread that runs: those that a product has may not be touched before it has been waited for, and it may have none that were
/// touched behind the last products_may_start. Products end in the order in which they began.
void products_may_start();
void product_begins(std::initializer_list<Registers> of);
void product_ends(std::size_t registers);

}  // namespace races

/// The device block, or a cluster's shared memory, that the address lies in (memory.cpp).
enum class Memory { none, device, shared };
Memory memory_at(const void* p);
/// Whether all of it lies in one device block.
bool lies_in_device_memory(const void* p, std::size_t bytes);
void now_shared(const void* block);

}  // namespace shim
