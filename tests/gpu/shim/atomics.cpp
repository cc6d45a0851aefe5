// Atomics of the host code beside kernels, which the compiler hands over with the accesses that shim/races.cpp looks at. Threads of a block use
// none (structure of gpu/: no result is summed by them).
#include <atomic>

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
char __tsan_atomic8_load(const char* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
void __tsan_atomic8_store(char* p, char value, int) { __atomic_store_n(p, value, __ATOMIC_SEQ_CST); }
char __tsan_atomic8_exchange(char* p, char value, int) { return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST); }
bool __tsan_atomic8_compare_exchange_strong(char* p, char* expected, char value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
bool __tsan_atomic8_compare_exchange_weak(char* p, char* expected, char value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
int __tsan_atomic32_load(const int* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
void __tsan_atomic32_store(int* p, int value, int) { __atomic_store_n(p, value, __ATOMIC_SEQ_CST); }
int __tsan_atomic32_exchange(int* p, int value, int) { return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST); }
int __tsan_atomic32_fetch_add(int* p, int by, int) { return __atomic_fetch_add(p, by, __ATOMIC_SEQ_CST); }
int __tsan_atomic32_fetch_sub(int* p, int by, int) { return __atomic_fetch_sub(p, by, __ATOMIC_SEQ_CST); }
bool __tsan_atomic32_compare_exchange_strong(int* p, int* expected, int value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
bool __tsan_atomic32_compare_exchange_weak(int* p, int* expected, int value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
long __tsan_atomic64_load(const long* p, int) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
void __tsan_atomic64_store(long* p, long value, int) { __atomic_store_n(p, value, __ATOMIC_SEQ_CST); }
long __tsan_atomic64_exchange(long* p, long value, int) { return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST); }
long __tsan_atomic64_fetch_add(long* p, long by, int) { return __atomic_fetch_add(p, by, __ATOMIC_SEQ_CST); }
long __tsan_atomic64_fetch_sub(long* p, long by, int) { return __atomic_fetch_sub(p, by, __ATOMIC_SEQ_CST); }
bool __tsan_atomic64_compare_exchange_strong(long* p, long* expected, long value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
bool __tsan_atomic64_compare_exchange_weak(long* p, long* expected, long value, int, int) {
  return __atomic_compare_exchange_n(p, expected, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
void __tsan_atomic_thread_fence(int) { std::atomic_thread_fence(std::memory_order_seq_cst); }
void __tsan_atomic_signal_fence(int) { std::atomic_signal_fence(std::memory_order_seq_cst); }
}
// NOLINTEND(bugprone-reserved-identifier)
