// Memory of its own, and what is repeated where no device repeats anything: each call.
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <memory>

#include "core/arena.h"
#include "core/kernels/memory.h"
#include "core/layout.h"
#include "core/pool.h"
#include "core/replay.h"

namespace costate {
namespace {

/// Gives a settled arena memory of its own.
void give_memory(Arena& arena) {
  arena.lie_in(std::make_shared<const Block>(static_cast<std::size_t>(arena.bytes()), Device::cpu));
}

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
    Arena arena(Device::cpu);
    BOOST_TEST(arena.bytes() == 0);
    static_cast<void>(addresses(arena));
    BOOST_TEST(memory_use().live == before);
    arena.settle();
    BOOST_TEST(memory_use().live == before);
    const std::int64_t needed = arena.bytes();  // the largest pair, and the first block
    give_memory(arena);
    BOOST_TEST((needed >= 4'500'100 && needed < 4'501'000), needed);
    BOOST_TEST(memory_use().live - before == needed);
    const auto once = addresses(arena);
    const Block outside(5'000, Device::cpu);
    BOOST_TEST((addresses(arena) == once));
    release_cached();
    BOOST_TEST((addresses(arena) == once));
    BOOST_TEST(arena.bytes() == needed);
  }
#ifndef COSTATE_UNPOOLED
  set_pooling(true);
#endif
  BOOST_TEST(memory_use().live == before);
}

// Arenas of work that is never done at one time lie in the same memory; one that moves has its blocks in the same order.
BOOST_AUTO_TEST_CASE(arenas_share_memory_and_move) {
  const std::int64_t before = memory_use().live;
  {
    Arena large(Device::cpu), small(Device::cpu);
    static_cast<void>(addresses(large));
    {
      const Arena::Use inside(small);
      const Block one(1'000, Device::cpu);
    }
    large.settle();
    small.settle();
    auto shared = std::make_shared<const Block>(static_cast<std::size_t>(large.bytes()), Device::cpu);
    large.lie_in(shared);
    small.lie_in(shared);
    BOOST_TEST(memory_use().live - before == large.bytes());
    const auto first = addresses(large);
    {
      const Arena::Use inside(small);
      const Block one(1'000, Device::cpu);
      BOOST_TEST(one.data() == shared->data());
      BOOST_CHECK_THROW(small.lie_in(nullptr), Error);  // while a block is in use
    }
    BOOST_CHECK_THROW(large.lie_in(std::make_shared<const Block>(1'000, Device::cpu)), Error);
    const auto next = std::make_shared<const Block>(static_cast<std::size_t>(large.bytes()), Device::cpu);
    const auto by = static_cast<const std::byte*>(next->data()) - static_cast<const std::byte*>(shared->data());
    for (Arena* arena : {&large, &small}) arena->lie_in(next);
    shared.reset();
    BOOST_TEST(memory_use().live - before == large.bytes());
    const auto moved = addresses(large);
    for (std::size_t i = 0; i < first.size(); ++i)
      BOOST_TEST(static_cast<std::byte*>(moved[i]) - static_cast<std::byte*>(first[i]) == by);
  }
  BOOST_TEST(memory_use().live == before);
}

void check_refused(std::size_t bytes) {
  BOOST_CHECK_EXCEPTION(Block(bytes, Device::cpu), Error, [](const Error& e) {
    return std::string(e.what()).find("for work to be repeated") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(an_arena_takes_no_more_than_it_may) {
  const std::int64_t before = memory_use().live;
  {
    Arena arena(Device::cpu, 10'000'000);
    {
      const Arena::Use inside(arena);
      {
        const Block fits(9'000'000, Device::cpu);
        check_refused(2'000'000);
      }
      arena.settle();
      BOOST_TEST(arena.bytes() == 9'000'000);
      check_refused(9'000'000);  // there is no memory yet
    }
    give_memory(arena);
    const Arena::Use inside(arena);
    check_refused(4'500'000);  // not what was asked for then
    const Block fits(9'000'000, Device::cpu);
    check_refused(64);  // more than was
  }
  BOOST_TEST(memory_use().live == before);
}

BOOST_AUTO_TEST_CASE(an_arena_does_not_write_over_what_lives_longer_than_it_did) {
  Arena arena(Device::cpu);
  for (int i = 0; i < 2; ++i) {
    const Arena::Use inside(arena);
    const Block one(1'000, Device::cpu);
  }
  arena.settle();
  BOOST_TEST(arena.bytes() == 1'024);
  give_memory(arena);
  const Arena::Use inside(arena);
  const Block stays(1'000, Device::cpu);
  check_refused(1'000);
}

BOOST_AUTO_TEST_CASE(layouts_hold_what_lives_at_one_time_and_little_more) {
  std::vector<Request> all;
  int clock = 0;
  std::size_t now = 0, most = 0;
  std::vector<std::size_t> alive;
  for (std::uint32_t i = 0, random = 1; i < 400; ++i, random = random * 1664525U + 1013904223U) {
    while (alive.size() > 6 + random / 7 % 20) {
      const auto gone = alive.begin() + static_cast<std::ptrdiff_t>(random / 3 % alive.size());
      all[*gone].to = clock++;
      now -= all[*gone].bytes;
      alive.erase(gone);
    }
    all.push_back({std::size_t{64} << (random / 1024 % 14), clock++});
    alive.push_back(all.size() - 1);
    most = std::max(most, now += all.back().bytes);
  }
  const std::size_t span = lay_out(all);
  BOOST_TEST(span >= most);
  BOOST_TEST(span <= most * 5 / 4);
  int overlaps = 0;
  for (const Request& a : all)
    for (const Request& b : all)
      if (&a < &b && a.from < b.to && b.from < a.to && a.at < b.at + b.bytes && b.at < a.at + a.bytes) ++overlaps;
  BOOST_TEST(overlaps == 0);
}

BOOST_AUTO_TEST_CASE(blocks_outlive_their_arena) {
  const std::int64_t before = memory_use().live;
  for (const bool settled : {false, true}) {
    Block kept;
    {
      Arena arena(Device::cpu);
      const auto make = [&] {
        const Arena::Use inside(arena);
        kept = Block(1000, Device::cpu);
      };
      make();
      if (settled) {
        kept = {};
        arena.settle();
        give_memory(arena);
        make();
      }
    }
    static_cast<char*>(kept.data())[999] = 1;
    BOOST_TEST(memory_use().live > before);
  }
  BOOST_TEST(memory_use().live == before);
}

BOOST_AUTO_TEST_CASE(blocks_that_nobody_touches_take_nothing) {
  Arena arena(Device::cpu);
  static_cast<void>(addresses(arena));
  arena.settle();
  give_memory(arena);
  const std::int64_t before = memory_use().live;
  const Block first = [&] {
    const Arena::Use inside(arena);
    return Block(100, Device::cpu);
  }();
  const Arena::Use inside(arena, Arena::Touch::no);
  for (int i = 0; i < 3; ++i) {
    const Block a(3'000'000, Device::cpu), b(3'000'000, Device::cpu), same(100, Device::cpu);
    BOOST_TEST((a.data() != nullptr && b.data() != nullptr));
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
