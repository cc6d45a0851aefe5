// The thread pool: every task once, the same cut at any thread count, exceptions, nesting.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "core/parallel.h"
#include "core/storage.h"
#include "tests/core/throws.h"

namespace costate {
namespace {

struct RestoreThreads {
  int before = thread_count();
  ~RestoreThreads() { set_thread_count(before); }
};

using Cuts = std::vector<std::pair<std::int64_t, std::int64_t>>;

Cuts cuts(std::int64_t size, std::int64_t grain) {
  std::mutex mutex;
  Cuts all;
  parallel_ranges(size, grain, [&](std::int64_t first, std::int64_t last) {
    const std::lock_guard lock(mutex);
    all.emplace_back(first, last);
  });
  std::sort(all.begin(), all.end());
  return all;
}

std::int64_t sum_below(std::int64_t n) {
  std::atomic<std::int64_t> sum{0};
  parallel_for(n, [&](std::int64_t i) { sum += i; });
  return sum;
}

/// How a child process ends that leaves with what `work` returns.
int child(const std::function<int()>& work) {
  const pid_t id = ::fork();
  if (id == 0) {
    for (const int s : {SIGABRT, SIGSEGV, SIGALRM}) std::signal(s, SIG_DFL);
    ::alarm(30);
    std::exit(work());
  }
  int status = -1;
  BOOST_REQUIRE(::waitpid(id, &status, 0) == id);
  return status;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(parallel, RestoreThreads)

BOOST_AUTO_TEST_CASE(runs_every_task_once) {
  for (int threads = 1; threads <= 4; ++threads) {
    set_thread_count(threads);
    BOOST_TEST(thread_count() == threads);
    for (const std::int64_t count : {0, 1, 2, 3, 7, 1000}) {
      std::vector<std::atomic<int>> ran(static_cast<std::size_t>(count));
      for (int round = 0; round < 50; ++round)
        parallel_for(count, [&](std::int64_t i) { ++ran[static_cast<std::size_t>(i)]; });
      BOOST_TEST(std::all_of(ran.begin(), ran.end(), [](const auto& n) { return n == 50; }),
                 threads << " threads, " << count);
    }
  }
}

BOOST_AUTO_TEST_CASE(passes_exceptions_on_and_goes_on_working) {
  for (int threads = 1; threads <= 4; ++threads) {
    set_thread_count(threads);
    for (const std::int64_t bad : {0, 57, 99}) {
      check_throws(
          [&] { return parallel_for(100, [&](std::int64_t i) { require(i != bad, "task {} failed", i); }), 0; },
          {"task ", "failed"});
    }
    std::atomic<std::int64_t> sum{0};
    parallel_for(100, [&](std::int64_t i) { sum += i; });
    BOOST_TEST(sum == 4950);
  }
}

BOOST_AUTO_TEST_CASE(nests_in_the_calling_thread) {
  for (int threads = 1; threads <= 4; ++threads) {
    set_thread_count(threads);
    std::atomic<std::int64_t> sum{0};
    parallel_for(10, [&](std::int64_t i) {
      std::int64_t alone = 0;  // not atomic: the inner tasks must stay on this thread
      parallel_for(100, [&](std::int64_t j) { alone += i * j; });
      sum += alone;
    });
    BOOST_TEST(sum == 45 * 4950);
  }
}

BOOST_AUTO_TEST_CASE(cuts_depend_on_the_size_alone) {
  for (const std::int64_t size : {1, 5, 64, 1000, 100003}) {
    for (const std::int64_t grain : {0, 1, 7, 2048}) {
      set_thread_count(1);
      const Cuts one = cuts(size, grain);
      BOOST_TEST((one.size() >= 1 && one.size() <= 64));
      std::int64_t at = 0;
      for (const auto& [first, last] : one) {
        BOOST_TEST(first == at);
        BOOST_TEST((last > first && (one.size() == 1 || last - first >= grain)));
        at = last;
      }
      BOOST_TEST(at == size);
      for (int threads = 2; threads <= 4; ++threads) {
        set_thread_count(threads);
        BOOST_TEST((cuts(size, grain) == one));
      }
    }
  }
  BOOST_TEST(cuts(0, 8).empty());
}

BOOST_AUTO_TEST_CASE(refuses_counts_that_make_no_sense) {
  const int before = thread_count();
  check_throws([] { return set_thread_count(0), 0; }, {"threads", "0"});
  check_throws([] { return set_thread_count(-2), 0; }, {"threads", "-2"});
  set_thread_count(2);
  check_throws([] { return parallel_for(4, [](std::int64_t) { set_thread_count(3); }), 0; },
               {"inside a parallel task"});
  BOOST_TEST(thread_count() == 2);
  set_thread_count(before);
}

BOOST_AUTO_TEST_CASE(threads_that_cannot_be_started_are_done_without) {
  const int status = child([] {
    std::int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const auto bytes = static_cast<rlim_t>(pages * ::sysconf(_SC_PAGESIZE) + (std::int64_t{100} << 20));
    const rlimit room{bytes, bytes};  // for the stacks of a few threads
    ::setrlimit(RLIMIT_AS, &room);
    set_thread_count(1000);
    return thread_count() < 1000 && sum_below(1000) == 499500 ? 0 : 1;
  });
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(the_count_changes_while_another_thread_computes) {
  const int status = child([] {
    set_thread_count(2);
    std::atomic<bool> begun{false}, changed{false};
    std::atomic<std::int64_t> sum{0};
    std::thread computing([&] {
      parallel_for(100, [&](std::int64_t i) {
        begun = true;
        while (!changed) std::this_thread::yield();
        sum += i;
      });
    });
    while (!begun) std::this_thread::yield();
    set_thread_count(3);
    changed = true;
    computing.join();
    return sum == 4950 && thread_count() == 3 ? 0 : 1;
  });
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(a_child_process_computes_and_ends) {
  set_thread_count(4);
  BOOST_TEST(sum_below(100) == 4950);
  BOOST_TEST(child([] { return 0; }) == 0);
  BOOST_TEST(child([] { return thread_count() == 4 && sum_below(100) == 4950 ? 0 : 1; }) == 0);
  BOOST_TEST(sum_below(100) == 4950);
}

BOOST_AUTO_TEST_CASE(in_this_thread_alone) {
  set_thread_count(3);
  const auto self = std::this_thread::get_id();
  std::atomic<int> elsewhere{0};
  const auto all = [&] { parallel_for(100, [&](std::int64_t) { elsewhere += std::this_thread::get_id() != self; }); };
  in_this_thread(all);
  BOOST_TEST(elsewhere == 0);
  check_throws([] { return in_this_thread([] { fail("work failed"); }), 0; }, {"work failed"});
  for (int round = 0; elsewhere == 0 && round < 100000; ++round) all();
  BOOST_TEST(elsewhere > 0);  // not for good
}

BOOST_AUTO_TEST_CASE(a_layout_is_made_in_parallel_while_tasks_of_another_job_wait_for_it) {
  set_thread_count(2);
  const Storage storage(64, Device::cpu);
  std::atomic<bool> making{false}, waiting{false};
  std::atomic<int> made{0}, found{0};
  const auto layout = [&] {
    making = true;
    while (!waiting) std::this_thread::yield();
    parallel_for(8, [&](std::int64_t) { ++made; });  // the pool's job waits for this thread
    return 1;
  };
  std::thread maker([&] { static_cast<void>(storage.derived<int>("layout", layout)); });
  while (!making) std::this_thread::yield();
  parallel_for(4, [&](std::int64_t) {
    waiting = true;
    found += *storage.derived<int>("layout", layout);
  });
  maker.join();
  BOOST_TEST(made == 8);
  BOOST_TEST(found == 4);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
