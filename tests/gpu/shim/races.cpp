// Looks at each access of a kernel (races.h). Two bytes are a cell, of which is known who wrote it last, and who has read it since.
#include "tests/gpu/shim/races.h"

#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "tests/gpu/shim/registers.h"

namespace shim {
namespace {

constexpr std::size_t page_bytes = 256, cell_bytes = 2;  // device blocks begin and end between pages (memory.cpp)

using Place = std::uintptr_t;  ///< in the program

Place place_of(const void* code) { return reinterpret_cast<std::uintptr_t>(code); }

struct Access {
  std::uint32_t time = 0;  ///< of its thread; 0: there was none
  std::uint16_t thread = 0;
  races::By by = races::By::thread;
  Place place = 0;
  [[nodiscard]] std::pair<std::uint16_t, races::By> who() const { return {thread, by}; }
};

struct Cell {
  std::uint64_t cluster = 0;  ///< whose accesses these are
  Access write;
  std::vector<Access> reads;  ///< since then: of each thread the last one, and maybe some before
  bool copying = false, written_elsewhere = false, read_elsewhere = false;  ///< by other clusters of this kernel
};

struct Page {
  bool shared = false;  ///< of a cluster, or of the device
  std::array<Cell, page_bytes / cell_bytes> cells;
};

/// Where the program lies, and its thread-local variables: `__shared__` ones, and threadIdx with its like.
struct Program {
  std::uintptr_t base = 0, local = 0, local_end = 0;
};

Program program() {
  Program p;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        auto& program = *static_cast<Program*>(out);
        program.base = info->dlpi_addr;
        for (int i = 0; i < info->dlpi_phnum; ++i)
          if (info->dlpi_phdr[i].p_type == PT_TLS) {
            program.local = reinterpret_cast<std::uintptr_t>(info->dlpi_tls_data);
            program.local_end = program.local + info->dlpi_phdr[i].p_memsz;
          }
        return 1;  // the first is the program itself
      },
      &p);
  return p;
}

class Watch {
 public:
  void kernel_begins(std::size_t threads, std::size_t blocks) {
    block_ = threads, blocks_ = blocks;
    first_cluster_ = cluster_ + 1;
    recent_ = {};
    for (auto& [number, page] : pages_)
      if (page != nullptr) spare_.push_back(std::move(page));
    pages_.clear();
  }
  void cluster_begins(std::size_t first_block) {
    ++cluster_;
    first_block_ = first_block;
    clocks = Clocks(block_ * blocks_ + 1);
    registers_.clear();
  }

  /// The copies' own clock.
  [[nodiscard]] std::size_t engine() const { return block_ * blocks_; }

  void touch(const void* at, std::size_t bytes, bool writes, races::By by, Place place) {
    ++seen;
    const Access now{clocks.now(thread), who(), by, place};
    each(at, bytes, [&](Cell& c) { writes ? write(c, now) : read(c, now); });
  }

  void copy_begins(const void* to, std::size_t bytes, races::By by) {
    touch(to, bytes, true, by, 0);
    each(to, bytes, [&](Cell& c) { c.copying = true; });
  }
  void copy_ends(const void* to, std::size_t bytes, std::size_t by) {
    each(to, bytes, [&](Cell& c) {
      c.copying = false;
      c.write = {clocks.now(by), static_cast<std::uint16_t>(by), c.write.by, 0};
      c.reads.clear();
    });
  }

  /// Of the thread's own, which matter from its first product on.
  void touch_own(std::uintptr_t at, std::size_t bytes, Place place) {
    const auto own = registers_.find(thread);
    if (own != registers_.end() && own->second.touch(at, bytes))
      report("touches registers of a product under way", {clocks.now(thread), who(), races::By::thread, place}, {});
  }
  void products_may_start() { registers_[thread].fence(); }
  void product_begins(std::initializer_list<Registers> of) {
    if (!registers_[thread].take(of))
      report("starts a product with registers touched since products_may_start", {clocks.now(thread), who()}, {});
  }
  void product_ends(std::size_t registers) { registers_[thread].give_back(registers); }

  Clocks clocks;
  std::size_t thread = 0, seen = 0;
  std::set<std::string> found;

 private:
  [[nodiscard]] std::uint16_t who() const { return static_cast<std::uint16_t>(thread); }

  /// f of each cell, but for memory that is the thread's own, or the host's.
  template <class F>
  void each(const void* memory, std::size_t bytes, const F& f) {
    const auto first = reinterpret_cast<std::uintptr_t>(memory), end = first + bytes;
    for (std::uintptr_t at = first / cell_bytes * cell_bytes; at < end;) {
      const std::uintptr_t page_end = std::min(end, (at / page_bytes + 1) * page_bytes);
      Page* const p = page(at);
      if (p == nullptr) at = page_end;
      for (; at < page_end; at += cell_bytes) f(brought_up(*p, p->cells[at % page_bytes / cell_bytes]));
    }
  }

  void read(Cell& c, const Access& now) {
    if (c.copying) report("reads what is being copied", now, c.write);
    if (c.written_elsewhere) report("reads what another cluster writes", now, c.write);
    follows(now, c.write, "reads what was written");
    if (!c.reads.empty() && c.reads.back().who() == now.who()) return void(c.reads.back() = now);
    if (c.reads.size() == c.reads.capacity()) keep_last(c.reads);
    c.reads.push_back(now);
  }

  /// Of each thread's and its engine's, so that their number is bounded.
  static void keep_last(std::vector<Access>& reads) {
    const auto later = [](const Access& a, const Access& b) {
      return a.who() < b.who() || (a.who() == b.who() && a.time > b.time);
    };
    const auto same = [](const Access& a, const Access& b) { return a.who() == b.who(); };
    std::sort(reads.begin(), reads.end(), later);
    reads.erase(std::unique(reads.begin(), reads.end(), same), reads.end());
    reads.reserve(std::max<std::size_t>(8, 2 * reads.size()));
  }

  void write(Cell& c, const Access& now) {
    if (c.copying) report("writes what is being copied", now, c.write);
    if (c.written_elsewhere) report("writes what another cluster writes", now, c.write);
    if (c.read_elsewhere) report("writes what another cluster reads", now, c.write);
    follows(now, c.write, "writes what was written");
    for (const Access& r : c.reads) follows(now, r, "writes what was read");
    c.write = now;
    c.reads.clear();
  }

  /// Threads may follow the engine without a fence: they wait for it.
  void follows(const Access& now, const Access& earlier, const char* what) {
    if (earlier.time == 0) return;
    if (!clocks.before(earlier.thread, earlier.time, now.thread)) return report(what, now, earlier);
    if (now.by == races::By::engine && earlier.by == races::By::thread &&
        !clocks.fenced(earlier.thread, earlier.time, now.thread))
      report("has the engine touch, with no fence between, what was touched", now, earlier);
  }

  /// Where the cell was last used by another cluster or kernel, all that matters of this is kept.
  Cell& brought_up(const Page& page, Cell& c) const {
    if (c.cluster == cluster_) return c;
    const bool earlier = !page.shared && c.cluster >= first_cluster_;
    c.written_elsewhere = earlier && (c.written_elsewhere || c.write.time != 0);
    c.read_elsewhere = earlier && (c.read_elsewhere || !c.reads.empty());
    c.copying = false;
    c.write = {};
    c.reads.clear();
    c.cluster = cluster_;
    return c;
  }

  Page* page(std::uintptr_t at) {
    const std::uintptr_t number = at / page_bytes;
    auto& recent = recent_[number % recent_.size()];
    if (recent.first == number) return recent.second;
    auto [known, fresh] = pages_.try_emplace(number);
    if (fresh) known->second = new_page(at);
    recent = {number, known->second.get()};
    return recent.second;
  }

  std::unique_ptr<Page> new_page(std::uintptr_t at) {
    const bool local = at < program_.local_end && at + page_bytes > program_.local;
    const Memory kind = memory_at(reinterpret_cast<const void*>(at));
    if (kind == Memory::none && !local) return nullptr;
    std::unique_ptr<Page> p;
    if (spare_.empty())
      p = std::make_unique<Page>();
    else
      p = std::move(spare_.back()), spare_.pop_back();
    p->shared = local || kind == Memory::shared;
    return p;
  }

  void report(std::string_view what, const Access& now, const Access& other) {
    const auto who = [&](const Access& a) {
      if (a.thread == engine()) return std::string("a copy");
      return fmt::format("thread {} of block {}", a.thread % block_, first_block_ + a.thread / block_);
    };
    const auto where = [&](const Access& a) {
      return a.place == 0 ? std::string() : fmt::format(" at {:#x}", a.place - program_.base);
    };
    if (!places_.insert({now.place, other.place}).second) return;
    std::string line = fmt::format("{}{} {}", who(now), where(now), what);
    if (other.time != 0) line += fmt::format(" by {}{}", who(other), where(other));
    found.insert(std::move(line));
  }

  Program program_ = program();
  std::size_t block_ = 1, blocks_ = 1, first_block_ = 0;
  std::uint64_t cluster_ = 0, first_cluster_ = 1;
  std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> pages_;
  std::array<std::pair<std::uintptr_t, Page*>, 1024> recent_{};
  std::vector<std::unique_ptr<Page>> spare_;
  std::set<std::pair<Place, Place>> places_;
  std::unordered_map<std::size_t, RegistersOfThread> registers_;  // of a thread of the cluster
};

std::optional<Watch> watch;  // there is one test at a time

}  // namespace

RaceWatch::RaceWatch() { watch.emplace(); }
RaceWatch::~RaceWatch() { watch.reset(); }
std::vector<std::string> RaceWatch::found() const { return {watch->found.begin(), watch->found.end()}; }
std::size_t RaceWatch::seen() const { return watch->seen; }

namespace races {

void kernel_begins(std::size_t threads, std::size_t blocks) {
  watched = watch.has_value();
  if (watched) watch->kernel_begins(threads, blocks);
}
void kernel_ends() { watched = false; }
void cluster_begins(std::size_t first_block) {
  if (watched) watch->cluster_begins(first_block);
}
void runs(std::size_t thread) {
  if (watched) watch->thread = thread;
}
void meet(const std::vector<std::size_t>& threads) {
  if (watched) watch->clocks.meet(threads);
}
void tell(Times& news) {
  if (watched) watch->clocks.tell(watch->thread, news);
}
void hear(const Times& news) {
  if (watched) watch->clocks.hear(watch->thread, news);
}
void fence() {
  if (watched) watch->clocks.fence(watch->thread);
}
void copy_begins(const void* to, std::size_t bytes, By by) {
  if (watched) watch->copy_begins(to, bytes, by);
}
void copy_ends(const void* to, std::size_t bytes, Times* news) {
  if (!watched) return;
  watch->copy_ends(to, bytes, news != nullptr ? watch->engine() : watch->thread);
  if (news != nullptr) watch->clocks.tell(watch->engine(), *news);
}
void reads(std::size_t thread, const void* from, std::size_t bytes, By by) {
  if (!watched) return;
  const std::size_t runs = std::exchange(watch->thread, thread);
  watch->touch(from, bytes, false, by, place_of(__builtin_return_address(0)));
  watch->thread = runs;
}
void writes(const void* to, std::size_t bytes) {
  if (watched) watch->touch(to, bytes, true, By::thread, place_of(__builtin_return_address(0)));
}

void products_may_start() {
  if (watched) watch->products_may_start();
}
void product_begins(std::initializer_list<Registers> of) {
  if (watched) watch->product_begins(of);
}
void product_ends(std::size_t registers) {
  if (watched) watch->product_ends(registers);
}

}  // namespace races
}  // namespace shim

// The calls that the compiler puts in. Code that runs beside kernels has them too, where they are nothing.
namespace {

__attribute__((noinline)) void look(const void* p, std::size_t bytes, bool writes, void* place) {
  constexpr std::uintptr_t stack = 64 << 10;
  const auto at = reinterpret_cast<std::uintptr_t>(p),
             here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (at + stack - here < 2 * stack) return shim::watch->touch_own(at, bytes, shim::place_of(place));
  shim::watch->touch(p, bytes, writes, shim::races::By::thread, shim::place_of(place));
}

inline void touch(const void* p, std::size_t bytes, bool writes, void* place) {
  if (__builtin_expect(shim::races::watched, 0)) look(p, bytes, writes, place);
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read1(const void* p) { touch(p, 1, false, __builtin_return_address(0)); }
void __tsan_read2(const void* p) { touch(p, 2, false, __builtin_return_address(0)); }
void __tsan_read4(const void* p) { touch(p, 4, false, __builtin_return_address(0)); }
void __tsan_read8(const void* p) { touch(p, 8, false, __builtin_return_address(0)); }
void __tsan_read16(const void* p) { touch(p, 16, false, __builtin_return_address(0)); }
void __tsan_write1(const void* p) { touch(p, 1, true, __builtin_return_address(0)); }
void __tsan_write2(const void* p) { touch(p, 2, true, __builtin_return_address(0)); }
void __tsan_write4(const void* p) { touch(p, 4, true, __builtin_return_address(0)); }
void __tsan_write8(const void* p) { touch(p, 8, true, __builtin_return_address(0)); }
void __tsan_write16(const void* p) { touch(p, 16, true, __builtin_return_address(0)); }
void __tsan_unaligned_read2(const void* p) { touch(p, 2, false, __builtin_return_address(0)); }
void __tsan_unaligned_read4(const void* p) { touch(p, 4, false, __builtin_return_address(0)); }
void __tsan_unaligned_read8(const void* p) { touch(p, 8, false, __builtin_return_address(0)); }
void __tsan_unaligned_read16(const void* p) { touch(p, 16, false, __builtin_return_address(0)); }
void __tsan_unaligned_write2(const void* p) { touch(p, 2, true, __builtin_return_address(0)); }
void __tsan_unaligned_write4(const void* p) { touch(p, 4, true, __builtin_return_address(0)); }
void __tsan_unaligned_write8(const void* p) { touch(p, 8, true, __builtin_return_address(0)); }
void __tsan_unaligned_write16(const void* p) { touch(p, 16, true, __builtin_return_address(0)); }
void __tsan_read_range(const void* p, std::size_t n) { touch(p, n, false, __builtin_return_address(0)); }
void __tsan_write_range(const void* p, std::size_t n) { touch(p, n, true, __builtin_return_address(0)); }
}
// NOLINTEND(bugprone-reserved-identifier)
