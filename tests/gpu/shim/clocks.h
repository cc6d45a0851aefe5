// What each thread of a cluster knows of the others: vector clocks, by which an access is before another one or not.
//
// A thread's time goes on whenever it tells others what it has done. u's access at time t is before v's if v has heard, directly or
// through others, what u had done by t. It is before what v has the copy engine do if there was a fence on that way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace shim {

/// Of each thread, up to which of its times something is known; then, up to which of them a fence is behind it. Empty: nothing.
using Times = std::vector<std::uint32_t>;

class Clocks {
 public:
  Clocks() = default;
  explicit Clocks(std::size_t threads)
      : now_(threads, 1), known_(threads, std::make_shared<const Times>(2 * threads, std::uint32_t{0})) {}

  [[nodiscard]] std::uint32_t now(std::size_t thread) const { return now_[thread]; }
  [[nodiscard]] bool before(std::size_t thread, std::uint32_t time, std::size_t than) const {
    return thread == than || time <= (*known_[than])[thread];
  }

  /// Whether that is also before what `than` has the engine do now.
  [[nodiscard]] bool fenced(std::size_t thread, std::uint32_t time, std::size_t than) const {
    return time <= (*known_[than])[now_.size() + thread];
  }

  /// A fence behind what the thread has done so far and what it knows.
  void fence(std::size_t thread) {
    Times all = *known_[thread];
    all[thread] = now_[thread]++;
    std::copy_n(all.begin(), now_.size(), all.begin() + static_cast<std::ptrdiff_t>(now_.size()));
    known_[thread] = std::make_shared<const Times>(std::move(all));
  }

  /// `news` says from now on also what the thread has done so far and what it knows.
  void tell(std::size_t thread, Times& news) {
    raise(news, *known_[thread]);
    news[thread] = now_[thread]++;
  }
  void hear(std::size_t thread, const Times& news) {
    Times all = *known_[thread];
    raise(all, news);
    known_[thread] = std::make_shared<const Times>(std::move(all));
  }
  /// All of them tell each other.
  void meet(const std::vector<std::size_t>& threads) {
    Times all;
    const Times* last = nullptr;  // those who met before know the same
    for (const std::size_t t : threads) {
      if (known_[t].get() != last) raise(all, *(last = known_[t].get()));
      all[t] = now_[t]++;
    }
    const auto shared = std::make_shared<const Times>(std::move(all));
    for (const std::size_t t : threads) known_[t] = shared;
  }

  static void raise(Times& to, const Times& from) {
    to.resize(std::max(to.size(), from.size()), 0);
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = std::max(to[i], from[i]);
  }

 private:
  Times now_;
  std::vector<std::shared_ptr<const Times>> known_;
};

}  // namespace shim
