// The shim itself: a missing barrier shows, a barrier not all reach is an error, shuffles and fences work.
#include <boost/test/unit_test.hpp>

#include <cuda_runtime.h>

#include <stdexcept>

#include "core/kernels/memory.h"
#include "core/memory.h"
#include "core/tensor.h"

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
          if (wait) shim::wait_for_cluster();
          if (threadIdx.x == 7)
            got[blockIdx.x] = *static_cast<const unsigned*>(shim::in_block(mine, (blockIdx.x + 1) % 4));
        },
        sizeof(unsigned), 4);
  };
  pass_on(true);
  BOOST_TEST((got == std::vector<unsigned>{1, 2, 3, 0, 5, 6, 7, 4}));
  pass_on(false);
  BOOST_TEST((got != std::vector<unsigned>{1, 2, 3, 0, 5, 6, 7, 4}));
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
