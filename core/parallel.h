// The library's own thread pool. Work is cut into tasks by its size alone and every task writes its own results, so the
// bits of a result never depend on how many threads there are or which of them ran what.
#pragma once

#include <cstdint>
#include <functional>

namespace costate {

/// Threads that parallel_for uses, the calling one included. Default: the cores this process may run on.
int thread_count();
/// n >= 1; fewer if the system starts fewer. Not to be called from inside a task; what another thread runs goes on as it began.
void set_thread_count(int n);

/// Runs task(0) ... task(count - 1), each exactly once, and returns when all are done. A task that throws stops the rest and
/// its exception is rethrown here. Nested calls, and calls while another thread has the pool, run in the calling thread.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& task);

/// Runs `work` with every parallel_for of it in the calling thread alone.
void in_this_thread(const std::function<void()>& work);

/// Cuts [0, size) into ranges of at least `grain` elements, at most 64 of them, and runs task(first, last) on each.
/// The cut depends on size and grain only.
void parallel_ranges(std::int64_t size, std::int64_t grain,
                     const std::function<void(std::int64_t, std::int64_t)>& task);

}  // namespace costate
