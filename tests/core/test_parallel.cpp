// The thread pool: every task once, exceptions, nesting, cuts that depend on the size alone.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"

using namespace costate;

namespace {

const auto names = [](const char* what) {
  return [what](const Error& e) { return std::string(e.what()).find(what) != std::string::npos; };
};

/// Leaves the pool as it was.
struct Threads {
  explicit Threads(int n) { set_thread_count(n); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { set_thread_count(before); }
  int before = thread_count();
};

}  // namespace

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_AUTO_TEST_CASE(each_task_once) {
  for (int threads = 1; threads <= 4; ++threads) {
    const Threads guard(threads);
    BOOST_TEST(thread_count() == threads);
    for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      parallel_for(count, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
      for (const auto& n : runs) BOOST_REQUIRE_EQUAL(n.load(), 1);
    }
  }
}

BOOST_AUTO_TEST_CASE(many_short_jobs) {
  const Threads guard(4);
  std::atomic<int> total = 0;
  for (int i = 0; i < 5000; ++i) parallel_for(3, [&](std::int64_t) { ++total; });
  BOOST_TEST(total.load() == 15000);
}

BOOST_AUTO_TEST_CASE(work_is_shared) {
  const Threads guard(2);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  // Both tasks wait until the other has begun: one thread alone would never get through.
  std::atomic<int> begun = 0;
  parallel_for(2, [&](std::int64_t) {
    ++begun;
    while (begun.load() < 2) std::this_thread::yield();
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  BOOST_TEST(seen.size() == 2U);
}

BOOST_AUTO_TEST_CASE(exceptions_arrive) {
  for (const int threads : {1, 3}) {
    const Threads guard(threads);
    for (int round = 0; round < 20; ++round) {
      BOOST_CHECK_EXCEPTION(parallel_for(100, [](std::int64_t i) { require(i != 37, "task {} failed", i); }), Error,
                            names("task 37"));
    }
    std::atomic<int> total = 0;
    parallel_for(100, [&](std::int64_t) { ++total; });  // and the pool still works
    BOOST_TEST(total.load() == 100);
  }
}

BOOST_AUTO_TEST_CASE(nested_calls_stay_in_their_thread) {
  const Threads guard(3);
  std::atomic<int> strangers = 0, total = 0;
  parallel_for(6, [&](std::int64_t) {
    const auto self = std::this_thread::get_id();
    parallel_for(10, [&](std::int64_t) {
      ++total;
      if (std::this_thread::get_id() != self) ++strangers;
    });
  });
  BOOST_TEST(total.load() == 60);
  BOOST_TEST(strangers.load() == 0);
}

BOOST_AUTO_TEST_CASE(two_callers_at_once) {
  const Threads guard(2);
  std::atomic<int> total = 0;
  const auto work = [&] {
    for (int i = 0; i < 200; ++i) parallel_for(8, [&](std::int64_t) { ++total; });
  };
  std::thread other(work);
  work();
  other.join();
  BOOST_TEST(total.load() == 2 * 200 * 8);
}

BOOST_AUTO_TEST_CASE(ranges_depend_on_the_size_alone) {
  const auto cuts = [](int threads, std::int64_t size, std::int64_t grain) {
    const Threads guard(threads);
    std::mutex mutex;
    std::set<std::pair<std::int64_t, std::int64_t>> seen;
    parallel_ranges(size, grain, [&](std::int64_t first, std::int64_t last) {
      const std::lock_guard lock(mutex);
      seen.emplace(first, last);
    });
    return seen;
  };
  for (const std::int64_t size : {1, 63, 64, 1000, 123457}) {
    const auto once = cuts(1, size, 16);
    BOOST_TEST((once == cuts(4, size, 16)));
    BOOST_TEST(once.size() <= 64U);
    std::int64_t at = 0;
    for (const auto& [first, last] : once) {
      BOOST_TEST(first == at);
      BOOST_TEST((last - first >= 16 || once.size() == 1));
      at = last;
    }
    BOOST_TEST(at == size);
  }
  BOOST_TEST(cuts(2, 0, 16).empty());
}

BOOST_AUTO_TEST_CASE(wrong_counts) {
  BOOST_CHECK_EXCEPTION(set_thread_count(0), Error, names("0"));
  const Threads guard(2);
  BOOST_CHECK_EXCEPTION(parallel_for(2, [](std::int64_t) { set_thread_count(3); }), Error, names("inside"));
  BOOST_TEST(thread_count() == 2);
}

BOOST_AUTO_TEST_SUITE_END()
