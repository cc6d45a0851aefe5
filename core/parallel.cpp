// Workers that spin briefly for the next job, then sleep: a U-Net step is some hundred short jobs in a row.
#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"

namespace costate {
namespace {

thread_local bool inside_task = false;

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1U, std::thread::hardware_concurrency());
}

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void run_here(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  for (std::int64_t i = 0; i < count; ++i) task(i);
}

// A job is open while it takes workers. Who joins says so and then looks whether it is still open; who closes it then looks
// who has joined. One of the two sees the other, so nobody waits for a worker that sleeps, and none comes too late.
class Pool {
 public:
  /// As many as the system starts, if it starts fewer.
  explicit Pool(int threads) : shares_(static_cast<std::size_t>(threads)) {
    workers_.reserve(shares_.size());
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(static_cast<std::size_t>(i)); });
    } catch (const std::exception&) {
    }
  }
  ~Pool() {
    stop_ = true;
    open();
    for (auto& w : workers_) w.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(workers_.size()) + 1; }

  void run(std::int64_t count, const std::function<void(std::int64_t)>& task) {
    // A pool that is busy is not waited for: its job may itself wait for what this thread holds (a layout being made).
    const std::unique_lock one_job(job_mutex_, std::try_to_lock);
    if (!one_job) return run_here(count, task);
    task_ = &task;
    for (std::int64_t i = 0, n = size(); i < n; ++i) {
      auto& share = shares_[static_cast<std::size_t>(i)];
      share.next.store(count * i / n, std::memory_order_relaxed);
      share.last = count * (i + 1) / n;
    }
    error_ = nullptr;
    open();
    drain(0);
    state_.fetch_add(1);
    for (int spin = 0; joined_.load() != 0; ++spin) {
      if (spin < spins)
        pause_cpu();
      else
        std::this_thread::yield();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  /// Tasks [next, last) of the open job, on a cache line of its own.
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t last = 0;
  };

  static constexpr int spins = 4000;  // about 100 us: longer than the gap between two ops, shorter than anybody notices

  void open() {
    state_.fetch_add(1);
    if (asleep_.exchange(false)) state_.notify_all();  // a call to the kernel, whether anybody sleeps or not
  }

  /// A thread's own share first: from job to job it meets the same stretch of an image, which its cache still holds. Then what
  /// the others have left.
  void drain(std::size_t self) {
    inside_task = true;
    for (std::size_t k = 0; k < shares_.size(); ++k) {
      auto& share = shares_[(self + k) % shares_.size()];
      for (std::int64_t i; (i = share.next.fetch_add(1, std::memory_order_relaxed)) < share.last;) {
        try {
          (*task_)(i);
        } catch (...) {
          const std::lock_guard lock(error_mutex_);
          if (!error_) error_ = std::current_exception();
          for (auto& each : shares_) each.next.store(each.last, std::memory_order_relaxed);
        }
      }
    }
    inside_task = false;
  }

  void work(std::size_t self) {
    for (int seen = 0;;) {
      for (int spin = 0; spin < spins && state_.load(std::memory_order_relaxed) == seen; ++spin) pause_cpu();
      if (state_.load() == seen) {
        asleep_.store(true);
        state_.wait(seen);
      }
      seen = state_.load();
      if (stop_) return;
      if (seen % 2 == 0) continue;
      joined_.fetch_add(1);
      if (state_.load() == seen) drain(self);
      joined_.fetch_sub(1);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex job_mutex_, error_mutex_;
  std::atomic<int> state_{0};        ///< goes up whenever a job opens (odd) or closes (even)
  std::atomic<int> joined_{0};       ///< workers at the job
  std::atomic<bool> asleep_{false};  ///< somebody may be, and was not woken yet
  std::vector<Share> shares_;        ///< a thread's each
  const std::function<void(std::int64_t)>* task_ = nullptr;
  std::exception_ptr error_;
  std::atomic<bool> stop_{false};
};

/// Whoever computes holds the pool that it began with, so the count may change meanwhile. A child process has none of its
/// parent's workers: it leaves their pool as it is and makes one of as many when it first asks.
class Current {
 public:
  static Current& get() {
    static Current current;
    return current;
  }

  std::shared_ptr<Pool> pool() {
    const std::lock_guard lock(mutex_);
    if (!pool_) pool_ = std::make_shared<Pool>(threads_);
    return pool_;
  }
  void set(int threads) {
    auto next = std::make_shared<Pool>(threads);
    const std::lock_guard lock(mutex_);
    threads_ = threads;
    pool_.swap(next);
  }

 private:
  Current() { ::pthread_atfork(before_fork, after_fork, in_child); }

  static void before_fork() { get().mutex_.lock(); }
  static void after_fork() { get().mutex_.unlock(); }
  static void in_child() {
    static auto& left_behind = *new std::vector<std::shared_ptr<Pool>>;
    left_behind.push_back(std::move(get().pool_));
    after_fork();
  }

  std::mutex mutex_;
  std::shared_ptr<Pool> pool_;
  int threads_ = available_cores();
};

}  // namespace

int thread_count() { return Current::get().pool()->size(); }

void set_thread_count(int n) {
  require(n >= 1, "threads: {} is not a positive number", n);
  require(!inside_task, "threads: the count cannot change inside a parallel task");
  if (n != thread_count()) Current::get().set(n);
}

void in_this_thread(const std::function<void()>& work) {
  const bool before = std::exchange(inside_task, true);
  try {
    work();
  } catch (...) {
    inside_task = before;
    throw;
  }
  inside_task = before;
}

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  if (count <= 1 || inside_task) return run_here(count, task);
  const auto pool = Current::get().pool();
  if (pool->size() == 1) return run_here(count, task);
  pool->run(count, task);
}

void parallel_ranges(std::int64_t size, std::int64_t grain,
                     const std::function<void(std::int64_t, std::int64_t)>& task) {
  if (size <= 0) return;
  const std::int64_t parts = std::clamp<std::int64_t>(size / std::max<std::int64_t>(grain, 1), 1, 64);
  parallel_for(parts, [&](std::int64_t i) { task(size * i / parts, size * (i + 1) / parts); });
}

}  // namespace costate
