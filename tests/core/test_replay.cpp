// Memory of its own, and what is repeated where no device repeats anything: each call.
#include <boost/test/unit_test.hpp>

#include "core/arena.h"
#include "core/kernels/memory.h"
#include "core/replay.h"

namespace costate {
namespace {

/// Addresses of some blocks, small and large, part of which end on the way.
std::vector<void*> addresses(const Arena& arena) {
  const Arena::Use inside(arena);
  std::vector<void*> all;
  const Block first(100, Device::cpu);
  all.push_back(first.data());
  for (const std::size_t bytes : {64U, 5'000U, 200'000U, 3'000'000U}) {
    const Block a(bytes, Device::cpu), b(bytes / 2, Device::cpu);
    all.push_back(a.data());
    all.push_back(b.data());
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(replays)

BOOST_AUTO_TEST_CASE(an_arena_gives_the_same_addresses_again) {
  const std::int64_t before = memory_use().live;
  for (const bool pooling : {true, false}) {
    set_pooling(pooling);
    const Arena arena(Device::cpu);
    BOOST_TEST(arena.bytes() == 0);
    const auto once = addresses(arena);
    const std::int64_t taken = arena.bytes();
    BOOST_TEST(taken >= 4'500'000);
    BOOST_TEST(memory_use().live - before == taken);
    const Block outside(5'000, Device::cpu);
    BOOST_TEST((addresses(arena) == once));
    BOOST_TEST(arena.bytes() == taken);
    release_cached();
    BOOST_TEST((addresses(arena) == once));
  }
#ifndef COSTATE_UNPOOLED
  set_pooling(true);
#endif
  BOOST_TEST(memory_use().live == before);
}

BOOST_AUTO_TEST_CASE(an_arena_takes_no_more_than_it_may) {
  const std::int64_t before = memory_use().live;
  {
    const Arena arena(Device::cpu, 10'000'000);
    const Arena::Use inside(arena);
    const Block fits(9'000'000, Device::cpu);
    BOOST_CHECK_EXCEPTION(Block(2'000'000, Device::cpu), Error, [](const Error& e) {
      return std::string(e.what()).find("for work to be repeated") != std::string::npos;
    });
    BOOST_TEST(arena.bytes() == 9'000'000);
  }
  BOOST_TEST(memory_use().live == before);
}

BOOST_AUTO_TEST_CASE(blocks_outlive_their_arena) {
  const std::int64_t before = memory_use().live;
  {
    Block kept;
    {
      const Arena arena(Device::cpu);
      const Arena::Use inside(arena);
      kept = Block(1000, Device::cpu);
    }
    static_cast<char*>(kept.data())[999] = 1;
    BOOST_TEST(memory_use().live > before);
  }
  BOOST_TEST(memory_use().live == before);
}

BOOST_AUTO_TEST_CASE(a_call_on_the_host_is_a_call) {
  Replay replay;
  int calls = 0;
  for (int i = 0; i < 5; ++i) {
    const auto f = [&](const Tensors& in) { return ++calls, Tensors{Tensor::full({2}, in[0].item() + i)}; };
    BOOST_TEST(replay(f, {Tensor::full({1}, 10.0 * i)}, "")[0].to_vector() == std::vector<double>(2, 11.0 * i),
               boost::test_tools::per_element());
  }
  BOOST_TEST(calls == 5);
  BOOST_TEST(replay.repeated() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
