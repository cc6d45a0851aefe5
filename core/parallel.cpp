// Workers that spin briefly for the next job, then sleep: a U-Net step is some hundred short jobs in a row.
#include "core/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
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

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  [[nodiscard]] int size() const { return static_cast<int>(workers_.size()) + 1; }

  void run(std::int64_t count, const std::function<void(std::int64_t)>& task) {
    // A pool that is busy is not waited for: its job may itself wait for what this thread holds (a layout being made).
    const std::unique_lock one_job(job_mutex_, std::try_to_lock);
    if (!one_job) return run_here(count, task);
    {
      const std::lock_guard lock(mutex_);
      task_ = &task;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      open_ = true;
      error_ = nullptr;
      generation_.fetch_add(1, std::memory_order_release);
    }
    if (sleepers_.load() > 0) wake_.notify_all();
    drain();
    {
      const std::lock_guard lock(mutex_);  // who comes now is too late: nobody waits for a worker that sleeps
      open_ = false;
    }
    for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; ++spin) {
      if (spin < spins)
        pause_cpu();
      else
        std::this_thread::yield();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static constexpr int spins = 4000;  // about 100 us: longer than the gap between two ops, shorter than anybody notices

  void drain() {
    inside_task = true;
    for (std::int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
      try {
        (*task_)(i);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_.store(count_, std::memory_order_relaxed);
      }
    }
    inside_task = false;
  }

  void work() {
    std::uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < spins && generation_.load(std::memory_order_acquire) == seen; ++spin) pause_cpu();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, [&] { return generation_.load() != seen; });
        sleepers_.fetch_sub(1);
      }
      {
        const std::lock_guard lock(mutex_);  // orders this thread after the job's set-up
        seen = generation_.load();
        if (stop_) return;
        if (!open_) continue;
        busy_.fetch_add(1, std::memory_order_relaxed);
      }
      drain();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex job_mutex_, mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> busy_{0}, sleepers_{0};  ///< workers at a job, and asleep
  std::atomic<std::int64_t> next_{0};
  std::int64_t count_ = 0;
  const std::function<void(std::int64_t)>* task_ = nullptr;
  std::exception_ptr error_;
  bool open_ = false;  ///< the job takes workers
  bool stop_ = false;
};

std::unique_ptr<Pool>& pool() {
  static auto p = std::make_unique<Pool>(available_cores());
  return p;
}

}  // namespace

int thread_count() { return pool()->size(); }

void set_thread_count(int n) {
  require(n >= 1, "threads: {} is not a positive number", n);
  require(!inside_task, "threads: the count cannot change inside a parallel task");
  if (n != pool()->size()) pool() = std::make_unique<Pool>(n);
}

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  if (count <= 1 || inside_task || pool()->size() == 1) return run_here(count, task);
  pool()->run(count, task);
}

void parallel_ranges(std::int64_t size, std::int64_t grain,
                     const std::function<void(std::int64_t, std::int64_t)>& task) {
  if (size <= 0) return;
  const std::int64_t parts = std::clamp<std::int64_t>(size / std::max<std::int64_t>(grain, 1), 1, 64);
  parallel_for(parts, [&](std::int64_t i) { task(size * i / parts, size * (i + 1) / parts); });
}

}  // namespace costate
