// What a chip of 9.0 asks of copies, arrivals, products of warp groups, descriptions of tensors and launches: the shim says of each when it
// is not so. Here each is broken once.
#include <boost/test/unit_test.hpp>

#include <cuda.h>

#include <functional>
#include <stdexcept>
#include <string>

#include "core/tensor.h"
#include "gpu/ptx_groups.h"
#include "gpu/tile_room.h"
#include "tests/gpu/shim/seen.h"

namespace costate::cuda {
namespace {

constexpr int rows = 64, room = 3 * rows * 128;

/// What is said of a block of a warp group, or of so many threads, or of a cluster, that runs this: empty if nothing is.
std::string said_of(const std::function<void()>& kernel, unsigned threads = 128, unsigned cluster = 1) {
  try {
    const shim::RaceWatch watch;
    shim::run(dim3(cluster), dim3(threads), kernel, tile_room(room), cluster);
    return watch.found().empty() ? "" : watch.found().front();
  } catch (const std::logic_error& e) {
    return e.what();
  }
}

bool says(const std::string& found, const std::string& rule) { return found.find(rule) != std::string::npos; }

/// A product of a tile by itself; `before` and `behind` its start, with its sums and its left factor.
using Step = std::function<void(float (&)[16], std::uint32_t (&)[4])>;
void multiply_once(const Step& before, const Step& behind, bool waits = true) {
  float c[16] = {};
  std::uint32_t a[4] = {};
  products_may_start();
  before(c, a);
  multiply_group<false>(c, a, Terms(first_tile(), 0));
  products_end_group();
  behind(c, a);
  if (waits) products_wait<0>();
}

/// Thread 0 starts an arrival for itself.
Arrival* one_arrival() {
  auto* const come = dynamic_shared<Arrival>();
  if (threadIdx.x == 0) start_arrival(come, 1), copies_follow();
  __syncthreads();
  return come;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(shim_rules)

BOOST_AUTO_TEST_CASE(products_have_their_registers_until_they_are_waited_for,
                     *boost::unit_test::precondition(accesses_are_seen)) {
  const Step nothing = [](auto&, auto&) {};
  const auto said = [](const Step& before, const Step& behind, bool waits = true) {
    return said_of([&] { multiply_once(before, behind, waits); });
  };
  BOOST_TEST(said(nothing, nothing) == "");
  BOOST_TEST(says(said(nothing, nothing, false), "ends while its products are under way"));
  const Step reads_sum = [](auto& c, auto&) { static_cast<void>(*const_cast<volatile float*>(&c[3])); };
  const Step writes_factor = [](auto&, auto& a) { a[2] = 1; };
  BOOST_TEST(says(said(reads_sum, nothing), "touched since products_may_start"));
  BOOST_TEST(says(said(writes_factor, nothing), "touched since products_may_start"));
  BOOST_TEST(says(said(nothing, reads_sum), "registers of a product under way"));
  BOOST_TEST(says(said(nothing, writes_factor), "registers of a product under way"));
}

BOOST_AUTO_TEST_CASE(products_are_of_four_warps_and_of_tiles) {
  const auto product = [](int a_off, bool across, unsigned rows_64 = rows * 128) {
    float c[16] = {};
    products_may_start();
    const Terms a(first_tile() + a_off, rows_64), b(first_tile(), rows_64);
    across ? multiply_group<true, false>(c, a, b) : multiply_group<false, false>(c, a, b);
    products_end_group();
    products_wait<0>();
  };
  BOOST_TEST(said_of([&] { product(96, false); }) == "");
  BOOST_TEST(said_of([&] { product(16 * 128, true); }) == "");
  BOOST_TEST(says(said_of([&] { product(0, false); }, 96), "less than four warps"));
  BOOST_TEST(says(said_of([&] {
                    if (threadIdx.x >= 32) product(0, false);
                  }),
                  "do not start the same products"));
  BOOST_TEST(says(said_of([&] { product(threadIdx.x < 32 ? 32 : 0, false); }), "do not start the same products"));
  for (const int off : {16, 128, 512}) BOOST_TEST(says(said_of([&] { product(off, false); }), "where a tile begins"));
  BOOST_TEST(says(said_of([&] { product(32, true); }), "where a tile begins"));
  BOOST_TEST(says(said_of([&] { product(0, true, 8200); }), "no words apart"));
  BOOST_TEST(says(said_of([&] { product(room, false); }), "not in shared memory"));
}

BOOST_AUTO_TEST_CASE(arrivals_count_what_comes) {
  const Tensor source = Tensor::full({16}, 1, {DType::f32, Device::cuda});
  const auto* const from = source.device_data<float>();
  const auto bring = [&](unsigned expected, unsigned count, int waits, int to = 0) {
    Arrival* const come = one_arrival();
    if (threadIdx.x != 0) return;
    expect_bytes(come, expected);
    if (count > 0) copy_bytes(first_tile() + to, from, count, come);
    for (int i = 0; i < waits; ++i) wait_for_round(come, false);
  };
  BOOST_TEST(said_of([&] { bring(64, 64, 1); }) == "");
  BOOST_TEST(says(said_of([&] { bring(64, 48, 1); }), "48 bytes are under way where 64 are waited for"));
  BOOST_TEST(says(said_of([&] { bring(64, 64, 0); }), "ends while copies to it are under way"));
  BOOST_TEST(says(said_of([&] { bring(64, 64, 2); }), "waited for twice"));
  BOOST_TEST(says(said_of([&] { bring(64, 64, 1, 8); }), "no whole words"));
  BOOST_TEST(says(said_of([&] { bring(64, 64, 1, room + 1024); }), "not for shared memory"));
  BOOST_TEST(says(said_of([&] { bring(1 << 20, 0, 0); }), "more bytes are to arrive"));
  BOOST_TEST(says(said_of([&] { arrive(dynamic_shared<Arrival>()); }), "not started"));
  BOOST_TEST(says(said_of([&] { wait_for_round(one_arrival(), false); }), "never ends"));
  BOOST_TEST(says(said_of([&] { expect_bytes(one_arrival(), 16); }), "before the last one was over"));
}

BOOST_AUTO_TEST_CASE(descriptions_keep_to_what_there_is) {
  const Tensor there = Tensor::full({2, 8, 8, 64}, 1, {DType::bf16, Device::cuda});
  auto* const data = const_cast<bf16*>(there.device_data<bf16>());
  struct Asked {
    cuuint64_t size[4] = {64, 8, 8, 2}, stride[3] = {128, 1024, 8192};
    int low[2] = {-1, -1}, up[2] = {-1, -1};
    cuuint32_t box[4] = {64, 32, 1, 1}, every[4] = {1, 1, 1, 1};
    std::size_t off = 0;  ///< bytes, of the data
  };
  const auto takes = [&](Asked a, bool patches) {
    CUtensorMap map{};
    auto* const from = reinterpret_cast<char*>(data) + a.off;
    const CUresult status =
        patches ? cuTensorMapEncodeIm2col(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, from, a.size, a.stride, a.low,
                                          a.up, a.box[0], a.box[1], a.every, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                          CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                                          CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
                : cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, from, a.size, a.stride, a.box,
                                         a.every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                         CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return status == CUDA_SUCCESS;
  };
  for (const bool patches : {false, true}) {
    BOOST_TEST(takes({}, patches));
    BOOST_TEST(!takes({.stride = {120, 1024, 8192}}, patches));
    BOOST_TEST(!takes({.size = {64, 8, 8, 0}}, patches));
    BOOST_TEST(!takes({.every = {1, 9, 1, 1}}, patches));
    BOOST_TEST(!takes({.off = 8}, patches));
    BOOST_CHECK_THROW(takes({.size = {64, 8, 8, 3}}, patches), std::logic_error);
    BOOST_CHECK_THROW(takes({.off = 16}, patches), std::logic_error);
  }
  BOOST_TEST(!takes({.box = {64, 257, 1, 1}}, false));
  BOOST_TEST(!takes({.low = {-129, 0}}, true));
  BOOST_TEST(!takes({.low = {1, 0}, .up = {-7, 0}}, true));
}

BOOST_AUTO_TEST_CASE(blocks_of_a_cluster_end_when_others_have_read_what_they_have) {
  const auto read_the_other = [](const std::function<void()>& then) {
    const auto kernel = [&] {
      auto* const word = dynamic_shared<int>() + threadIdx.x;
      *word = 1;
      cluster_arrive();
      cluster_wait();
      static_cast<void>(*const_cast<const volatile int*>(of_block(word, 1 - blockIdx.x)));
      then();
    };
    return said_of(kernel, 128, 2);
  };
  BOOST_TEST(read_the_other([] { cluster_arrive_without_news(), cluster_wait(); }) == "");
  BOOST_TEST(says(read_the_other([] {}), "a block ends while others may read"));
  BOOST_TEST(says(read_the_other([] { cluster_arrive_without_news(); }), "a block ends while others may read"));
  BOOST_TEST(says(read_the_other([] { cluster_wait(); }), "waits for the cluster and has not come"));
  BOOST_TEST(says(read_the_other([] { cluster_arrive(), cluster_arrive(); }), "has not waited since it came"));
}

void nothing() {}

BOOST_AUTO_TEST_CASE(shared_memory_is_asked_for) {
  const auto starts = [](std::size_t bytes) {
    cudaLaunchConfig_t how{};
    how.dynamicSmemBytes = bytes;
    return cudaLaunchKernelEx(&how, nothing) == cudaSuccess;
  };
  const auto ask = [](int bytes) {
    return cudaFuncSetAttribute(reinterpret_cast<const void*>(nothing), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                bytes) == cudaSuccess;
  };
  BOOST_TEST(starts(48 << 10));
  BOOST_TEST(!starts((48 << 10) + 1));
  BOOST_TEST(!ask((227 << 10) + 1));
  BOOST_TEST(ask(227 << 10));
  BOOST_TEST(starts(227 << 10));
  BOOST_TEST(!starts((227 << 10) + 1));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate::cuda
