// The thread pool under pressure: work is really shared, many short jobs in a row, two callers at once.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "core/parallel.h"

using namespace costate;

namespace {

struct RestoreThreads {
  int before = thread_count();
  ~RestoreThreads() { set_thread_count(before); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(pool, RestoreThreads)

BOOST_AUTO_TEST_CASE(work_is_shared) {
  set_thread_count(2);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::atomic<int> begun = 0;
  // Both tasks wait until the other has begun: one thread alone would never get through.
  parallel_for(2, [&](std::int64_t) {
    ++begun;
    while (begun.load() < 2) std::this_thread::yield();
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  BOOST_TEST(seen.size() == 2U);
}

BOOST_AUTO_TEST_CASE(many_short_jobs) {
  set_thread_count(4);
  std::atomic<int> total = 0;
  for (int i = 0; i < 2000; ++i) parallel_for(3, [&](std::int64_t) { ++total; });
  BOOST_TEST(total.load() == 6000);
}

BOOST_AUTO_TEST_CASE(two_callers_at_once) {
  set_thread_count(2);
  std::atomic<int> total = 0;
  const auto work = [&] {
    for (int i = 0; i < 200; ++i) parallel_for(8, [&](std::int64_t) { ++total; });
  };
  std::thread other(work);
  work();
  other.join();
  BOOST_TEST(total.load() == 2 * 200 * 8);
}

BOOST_AUTO_TEST_SUITE_END()
