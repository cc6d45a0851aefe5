// Stretches of addresses in pieces, which follow each other without gaps: the smallest free one that holds a request is cut to size, and
// joined with its neighbours when it comes back. Of no memory in particular.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace costate {

class Pieces {
 public:
  static constexpr std::uintptr_t none = std::numeric_limits<std::uintptr_t>::max();

  void add(std::uintptr_t at, std::size_t bytes) {
    pieces_[at] = {bytes, true, true};
    free_.insert({bytes, at});
  }

  /// `none` where no piece is as large.
  std::uintptr_t take(std::size_t bytes) {
    const auto found = free_.lower_bound({bytes, 0});
    if (found == free_.end()) return none;
    const std::uintptr_t at = found->second;
    free_.erase(found);
    Piece& piece = pieces_.at(at);
    piece.free = false;
    if (piece.bytes > bytes) {
      pieces_[at + bytes] = {piece.bytes - bytes, true, false};
      free_.insert({piece.bytes - bytes, at + bytes});
      piece.bytes = bytes;
    }
    return at;
  }

  void give(std::uintptr_t at) {
    auto piece = pieces_.find(at);
    piece->second.free = true;
    if (const auto next = std::next(piece); next != pieces_.end() && next->second.free && !next->second.opens) {
      free_.erase({next->second.bytes, next->first});
      piece->second.bytes += next->second.bytes;
      pieces_.erase(next);
    }
    if (!piece->second.opens && std::prev(piece)->second.free) {
      const auto before = std::prev(piece);
      free_.erase({before->second.bytes, before->first});
      before->second.bytes += piece->second.bytes;
      pieces_.erase(piece);
      piece = before;
    }
    free_.insert({piece->second.bytes, piece->first});
  }

  /// Stretches that are free from end to end go; f is told where each began.
  template <class F>
  void remove_whole(const F& f) {
    for (auto it = pieces_.begin(); it != pieces_.end();) {
      const auto next = std::next(it);
      if (it->second.opens && it->second.free && (next == pieces_.end() || next->second.opens)) {
        free_.erase({it->second.bytes, it->first});
        f(it->first);
        pieces_.erase(it);
      }
      it = next;
    }
  }

 private:
  struct Piece {
    std::size_t bytes;
    bool free;
    bool opens;  ///< a stretch, so it does not join what lies before it
  };
  std::map<std::uintptr_t, Piece> pieces_;
  std::set<std::pair<std::size_t, std::uintptr_t>> free_;
};

}  // namespace costate
