// The allocator's counters are exact, and what hangs on a storage lives and dies with it.
#include <cstdint>
#include <utility>

#include "core/memory.h"
#include "core/tensor.h"
#include "tests/core/throws.h"

namespace costate {
namespace {

std::int64_t live() { return memory_use().live; }

}  // namespace

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(counts_live_and_peak_exactly) {
  const std::int64_t before = live();
  reset_peak();
  BOOST_TEST(memory_use().peak == before);
  {
    const Tensor a = Tensor::zeros({16}, DType::f32);  // 64 bytes
    BOOST_TEST(live() == before + 64);
    {
      const Tensor b = Tensor::zeros({17}, DType::f32);  // 68, rounded up
      BOOST_TEST(live() == before + 64 + 128);
    }
    BOOST_TEST(live() == before + 64);
    static_cast<void>(Tensor::zeros({1}));  // a later, lower use leaves the peak
    BOOST_TEST(memory_use().peak == before + 64 + 128);
    reset_peak();
    BOOST_TEST(memory_use().peak == before + 64);
  }
  BOOST_TEST(live() == before);
  BOOST_TEST(memory_use().peak == before + 64);
}

BOOST_AUTO_TEST_CASE(views_cost_nothing_and_keep_the_whole) {
  const std::int64_t before = live();
  Tensor view;
  {
    const Tensor whole = Tensor::zeros({100, 16}, DType::f32);
    view = whole.rows(3, 1).reshaped({4, 4});
    BOOST_TEST(live() == before + 6400);
  }
  BOOST_TEST(live() == before + 6400);
  view = view.ghost();
  BOOST_TEST(live() == before);
}

BOOST_AUTO_TEST_CASE(blocks_are_aligned_and_move) {
  const std::int64_t before = live();
  for (const std::size_t bytes : {0U, 1U, 63U, 64U, 65U, 4097U}) {
    Block a(bytes, Device::cpu);
    const std::size_t rounded = bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
    BOOST_TEST(a.bytes() == rounded);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(a.data()) % 64 == 0);
    void* data = a.data();
    Block b = std::move(a);
    BOOST_TEST(b.data() == data);
    Block c(128, Device::cpu);
    c = std::move(b);
    BOOST_TEST(c.data() == data);
    BOOST_TEST(live() <= before + static_cast<std::int64_t>(rounded) + 128);
  }
  BOOST_TEST(live() == before);
}

BOOST_AUTO_TEST_CASE(free_blocks_are_found_again_and_can_be_released) {
  release_cached();
  const std::int64_t before = live();
  [[maybe_unused]] const void* first = Block(12345, Device::cpu).data();
  const Block again(12345, Device::cpu);
#ifndef COSTATE_UNPOOLED  // under a sanitizer, which keeps a freed block apart
  BOOST_TEST(again.data() == first);
#endif
  release_cached();
  BOOST_TEST(live() == before + static_cast<std::int64_t>(again.bytes()));
}

BOOST_AUTO_TEST_CASE(too_much_is_refused_and_leaves_the_counters_alone) {
  const std::int64_t before = live();
  check_throws([] { return Block(std::size_t{1} << 60, Device::cpu); }, {"memory", "cannot allocate", "TiB", "in use"});
  BOOST_TEST(live() == before);
  BOOST_CHECK_THROW(Block(std::size_t{1} << 60, Device::cpu), OutOfMemory);
  check_throws([] { return Block(64, Device::cuda); }, {"cuda", "built without CUDA"});
  BOOST_TEST(memory_use(Device::cuda).live == 0);
}

BOOST_AUTO_TEST_CASE(who_keeps_memory_is_asked_before_a_request_is_refused) {
  const auto too_much = [] { return Block(std::size_t{1} << 60, Device::cpu); };
  const std::int64_t before = live();
  Block kept(1 << 20, Device::cpu);
  int asked = 0;
  {
    const Keeper keeper(Device::cpu, [&] { ++asked, kept = Block(); });
    const Keeper other(Device::cuda, [&] { asked += 100; });
    const Block enough(1 << 20, Device::cpu);
    BOOST_TEST(asked == 0);
    check_throws(too_much, {"cannot allocate"});
    BOOST_TEST(asked == 1);
  }
  BOOST_TEST(live() == before);
  check_throws(too_much, {"cannot allocate"});
  BOOST_TEST(asked == 1);
}

BOOST_AUTO_TEST_CASE(sizes_are_readable) {
  BOOST_TEST(format_bytes(0) == "0 B");
  BOOST_TEST(format_bytes(1023) == "1023 B");
  BOOST_TEST(format_bytes(1536) == "1.5 KiB");
  BOOST_TEST(format_bytes(274831770) == "262.1 MiB");
  BOOST_TEST(format_bytes(std::int64_t{3} << 40) == "3.0 TiB");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(derived_layouts)

BOOST_AUTO_TEST_CASE(are_made_once_a_key_and_dropped_with_the_storage) {
  const std::int64_t before = live();
  int made = 0;
  const auto packed = [&](const Tensor& t, const char* key) {
    return t.storage().derived<Block>(key, [&] { return ++made, Block(1000, Device::cpu); });
  };
  {
    const Tensor t = Tensor::zeros({64}, DType::f32);
    const auto first = packed(t, "panels");
    BOOST_TEST(made == 1);
    BOOST_TEST(packed(t, "panels") == first);
    BOOST_TEST(packed(t.reshaped({8, 8}), "panels") == first);  // views share it
    BOOST_TEST(made == 1);
    BOOST_TEST(packed(t, "other") != first);
    BOOST_TEST(made == 2);
    BOOST_TEST(packed(Tensor::zeros({64}), "panels") != first);  // another storage has its own
    BOOST_TEST(made == 3);
    BOOST_TEST(live() == before + 256 + 2 * 1024);  // counted like any memory
  }
  BOOST_TEST(live() == before);
}

BOOST_AUTO_TEST_CASE(do_not_survive_the_bytes_that_they_were_made_of) {
  Tensor t = Tensor::full({4}, 1, DType::f64);
  BOOST_TEST((*numbers_of(t) == std::vector<double>{1, 1, 1, 1}));
  t.mutable_data<double>()[2] = 5;
  BOOST_TEST((*numbers_of(t) == std::vector<double>{1, 1, 5, 1}));
}

BOOST_AUTO_TEST_CASE(survive_a_maker_that_throws) {
  const Tensor t = Tensor::zeros({4});
  check_throws([&] { return t.storage().derived<int>("x", []() -> int { fail("no luck {}", 1); }); }, {"no luck 1"});
  BOOST_TEST(*t.storage().derived<int>("x", [] { return 3; }) == 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
