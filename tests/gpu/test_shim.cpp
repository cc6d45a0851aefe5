// The shim itself: a missing barrier shows, a barrier not all reach is an error, shuffles and fences work.
#include <boost/test/unit_test.hpp>

#include <cuda_runtime.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/kernels/memory.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/tensor.h"
#include "gpu/ptx.h"
#include "gpu/ptx_groups.h"
#include "tests/gpu/shim/seen.h"

namespace {

constexpr int threads = 64;

/// Hands every thread its neighbour's number, with or without the barrier that this needs.
void neighbour(bool barrier, int* out) {
  __shared__ int numbers[threads];
  numbers[threadIdx.x] = static_cast<int>(threadIdx.x + 100 * blockIdx.x);
  if (barrier) __syncthreads();
  out[blockIdx.x * threads + threadIdx.x] = numbers[(threadIdx.x + 1) % threads];
}

std::vector<int> neighbours(bool barrier, shim::Order order) {
  std::vector<int> out(2 * threads, -1);
  shim::set_order(order);
  shim::run(dim3(2), dim3(threads), [&] { neighbour(barrier, out.data()); });
  shim::set_order(shim::Order::forward);
  return out;
}

/// Every block between fences of its own, fresh each time.
struct OwnBlocks {
  OwnBlocks() { costate::set_pooling(false); }
};

}  // namespace

BOOST_TEST_GLOBAL_FIXTURE(OwnBlocks);

BOOST_AUTO_TEST_SUITE(shim_itself)

BOOST_AUTO_TEST_CASE(barriers_order_threads_and_a_missing_one_shows) {
  const auto right = neighbours(true, shim::Order::forward);
  BOOST_TEST(right[0] == 1);
  BOOST_TEST(right[threads] == 101);
  BOOST_TEST((neighbours(true, shim::Order::backward) == right));
  BOOST_TEST((neighbours(false, shim::Order::backward) != neighbours(false, shim::Order::forward)));
}

BOOST_AUTO_TEST_CASE(a_barrier_that_some_never_reach_is_an_error) {
  const auto divided = [] {
    if (threadIdx.x == 0)
      __syncthreads();
    else
      __shfl_xor_sync(~0U, 1, 1);
  };
  BOOST_CHECK_THROW(shim::run(dim3(1), dim3(threads), divided), std::logic_error);
}

BOOST_AUTO_TEST_CASE(shuffles_swap_lanes_of_a_warp) {
  std::vector<double> got(threads);
  shim::run(dim3(1), dim3(threads), [&] { got[threadIdx.x] = __shfl_xor_sync(~0U, threadIdx.x * 0.5, 5); });
  for (unsigned i = 0; i < threads; ++i) BOOST_TEST(got[i] == (i ^ 5U) * 0.5);
}

/// Every block of a cluster hands its number to the next one.
BOOST_AUTO_TEST_CASE(blocks_of_a_cluster_see_what_others_have) {
  std::vector<unsigned> got(8);
  const auto pass_on = [&](bool wait) {
    shim::run(
        dim3(8), dim3(threads),
        [&] {
          auto* const mine = static_cast<unsigned*>(shim::dynamic_shared());
          if (threadIdx.x == 5) *mine = blockIdx.x;
          const auto all = [] { shim::come_to_cluster(true), shim::wait_for_cluster(); };
          if (wait) all();
          if (threadIdx.x == 7)
            got[blockIdx.x] = *static_cast<const unsigned*>(shim::in_block(mine, (blockIdx.x + 1) % 4));
          all();
        },
        sizeof(unsigned), 4);
  };
  pass_on(true);
  BOOST_TEST((got == std::vector<unsigned>{1, 2, 3, 0, 5, 6, 7, 4}));
  pass_on(false);
  BOOST_TEST((got != std::vector<unsigned>{1, 2, 3, 0, 5, 6, 7, 4}));
}

/// How many pairs of places in the code race in a kernel of 64 threads with a word each in shared memory, and one more for all.
std::size_t races(const std::function<void(int* words, unsigned mine)>& kernel, unsigned blocks = 1,
                  unsigned cluster = 1) {
  const shim::RaceWatch watch;
  shim::run(
      dim3(blocks), dim3(threads), [&] { kernel(static_cast<int*>(shim::dynamic_shared()), threadIdx.x); },
      (threads + 1) * sizeof(int), cluster);
  return watch.found().size();
}

// Whoever runs first here, each could go wrong on a device where a race is said to be.
BOOST_AUTO_TEST_CASE(accesses_that_nothing_orders_are_races, *boost::unit_test::precondition(accesses_are_seen)) {
  const auto hand_on = [](void (*sync)(), unsigned to) {
    return races([=](int* words, unsigned mine) {
      words[mine] = 1;
      sync();
      words[mine ^ to] += 1;
    });
  };
  const auto nothing = [] {};
  const auto shuffle = [] { __shfl_xor_sync(~0U, 1, 1); };
  BOOST_TEST(hand_on(nothing, 0) == 0);
  BOOST_TEST(hand_on(nothing, 1) > 0);
  BOOST_TEST(hand_on(shuffle, 1) > 0);  // hands on a value, but orders no memory
  BOOST_TEST(hand_on(__syncwarp, 1) == 0);
  BOOST_TEST(hand_on(__syncwarp, 32) > 0);
  BOOST_TEST(hand_on(__syncthreads, 32) == 0);

  const auto one_for_all = [](bool until_read) {
    return races([=](int* words, unsigned mine) {
      for (int i = 0; i < 3; ++i) {
        if (mine == 0) words[threads] = i;
        __syncthreads();
        words[mine] = words[threads];
        if (until_read) __syncthreads();
      }
    });
  };
  BOOST_TEST(one_for_all(true) == 0);
  BOOST_TEST(one_for_all(false) > 0);
}

BOOST_AUTO_TEST_CASE(blocks_race_for_device_memory_and_within_clusters,
                     *boost::unit_test::precondition(accesses_are_seen)) {
  const costate::Tensor out = costate::Tensor::full({4}, 0, {costate::DType::f32, costate::Device::cuda});
  auto* const to = const_cast<float*>(out.device_data<float>());
  const auto write = [&](unsigned step) {
    return races(
        [=](int*, unsigned mine) {
          if (mine == 0) to[blockIdx.x * step] = 1;
        },
        4);
  };
  BOOST_TEST(write(1) == 0);
  BOOST_TEST(write(0) > 0);
  const auto read_the_other = [](bool tells) {
    return races(
        [=](int* words, unsigned mine) {
          words[mine] = 1;
          tells ? costate::cuda::cluster_arrive() : costate::cuda::cluster_arrive_without_news();
          costate::cuda::cluster_wait();
          const int theirs = *costate::cuda::of_block(words + mine, 1 - blockIdx.x % 2);
          __syncthreads();
          words[mine] = theirs;  // which the other may be reading still
          costate::cuda::cluster_arrive_without_news();
          costate::cuda::cluster_wait();
        },
        4, 2);
  };
  BOOST_TEST(read_the_other(true) == 1);
  BOOST_TEST(read_the_other(false) == 2);
}

BOOST_AUTO_TEST_CASE(copies_race_until_they_are_waited_for, *boost::unit_test::precondition(accesses_are_seen)) {
  const costate::Tensor source = costate::Tensor::full({threads}, 1, {costate::DType::f32, costate::Device::cuda});
  const auto* const from = reinterpret_cast<const int*>(source.device_data<float>());
  const auto copy = [&](bool waits, bool barrier) {
    return races([=](int* words, unsigned mine) {
      costate::cuda::copy_word(words + mine, from + mine);
      costate::cuda::copies_end_group();
      if (waits) costate::cuda::copies_wait<0>();
      if (barrier) __syncthreads();
      static_cast<void>(*const_cast<volatile int*>(words + (mine ^ 1U)));
    });
  };
  BOOST_TEST(copy(true, true) == 0);
  BOOST_TEST(copy(true, false) > 0);
  BOOST_TEST(copy(false, true) > 0);
}

/// Thread 0 has bytes brought twice to one place, which thread 32 reads, and gives back between. The engine has to be told, by fences, of the
/// arrivals and of what was read.
BOOST_AUTO_TEST_CASE(rounds_of_arrivals_order_what_they_are_for, *boost::unit_test::precondition(accesses_are_seen)) {
  using namespace costate::cuda;
  const costate::Tensor source = costate::Tensor::full({4}, 1, {costate::DType::f32, costate::Device::cuda});
  const auto* const from = source.device_data<float>();
  const auto bring = [&](bool waits, bool reads_first, bool tells_of_arrivals = true, bool tells_of_reads = true) {
    return races([=](int* words, unsigned mine) {
      auto* const come = reinterpret_cast<Arrival*>(words + 8);
      Arrival* const free = come + 1;
      const auto read = [&] { static_cast<void>(*const_cast<volatile int*>(words)); };
      if (mine == 0) {
        start_arrival(come, 1), start_arrival(free, 1);
        if (tells_of_arrivals) copies_follow();
      }
      __syncthreads();
      for (int i = 0; i < 2; ++i) {
        if (mine == 0) {
          if (i == 1) {
            wait_for_round(free, false);
            if (tells_of_reads) copies_follow();
          }
          expect_bytes(come, 16);
          copy_bytes(words, from, 16, come);
          wait_for_round(come, i == 1);
        }
        if (mine == 32) {
          if (waits) wait_for_round(come, i == 1);
          if (reads_first) read();
          if (i == 0) arrive(free);
          if (!reads_first) read();
        }
      }
    });
  };
  BOOST_TEST(bring(true, true) == 0);
  BOOST_TEST(bring(true, false) > 0);
  BOOST_TEST(bring(false, true) > 0);
  BOOST_TEST(bring(true, true, false, true) > 0);
  BOOST_TEST(bring(true, true, true, false) > 0);
}

BOOST_AUTO_TEST_CASE(copies_by_the_engine_race_for_device_memory, *boost::unit_test::precondition(accesses_are_seen)) {
  using namespace costate::cuda;
  const costate::Tensor source = costate::Tensor::full({8}, 1, {costate::DType::f32, costate::Device::cuda});
  auto* const from = const_cast<float*>(source.device_data<float>());
  const auto beside_a_write = [&](unsigned to) {
    return races(
        [=](int* words, unsigned mine) {
          if (mine != 0) return;
          if (blockIdx.x == 1) return void(from[to] = 1);
          auto* const come = reinterpret_cast<Arrival*>(words + 8);
          start_arrival(come, 1), copies_follow();
          expect_bytes(come, 16);
          copy_bytes(words, from, 16, come);
          wait_for_round(come, false);
        },
        2);
  };
  BOOST_TEST(beside_a_write(4) == 0);
  BOOST_TEST(beside_a_write(3) > 0);
}

BOOST_AUTO_TEST_CASE(writes_beside_a_block_are_seen) {
  void* p = nullptr;
  BOOST_REQUIRE(cudaMallocAsync(&p, 100, nullptr) == cudaSuccess);
  static_cast<char*>(p)[100] = 1;
  const int before = shim::guard_violations();
  cudaFreeAsync(p, nullptr);
  BOOST_TEST(shim::guard_violations() == before + 1);
}

BOOST_AUTO_TEST_CASE(tensors_travel_and_are_not_read_on_the_host) {
  using costate::Device;
  const auto t = costate::Tensor::from({1, 2, 3}, {3}, costate::DType::f32);
  const auto there = t.to(Device::cuda);
  BOOST_TEST((there.to_vector() == t.to_vector()));
  BOOST_CHECK_THROW(static_cast<void>(there.data<float>()), costate::Error);
  BOOST_TEST(costate::memory_use(Device::cuda).live == 64);
  BOOST_TEST((costate::Tensor::full({4}, 2.5, {costate::DType::bf16, Device::cuda}).to_vector() ==
              std::vector<double>(4, 2.5)));
}

BOOST_AUTO_TEST_SUITE_END()
