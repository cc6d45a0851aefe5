// Blocks whose sizes and lives are known, in as little memory as is easily found.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace costate {

struct Request {
  std::size_t bytes;
  int from, to = std::numeric_limits<int>::max();  ///< when it is taken and given back
  std::size_t at = 0;                              ///< its place
};

/// Gives each its place, so that blocks which live at one time do not overlap, and says how many bytes they span: the largest first, each as
/// low as those before it allow.
inline std::size_t lay_out(std::vector<Request>& all) {
  std::vector<Request*> by_size;
  for (Request& r : all) by_size.push_back(&r);
  std::stable_sort(by_size.begin(), by_size.end(), [](const auto* a, const auto* b) { return a->bytes > b->bytes; });
  std::vector<const Request*> placed;  // by their places
  std::size_t span = 0;
  for (Request* r : by_size) {
    r->at = 0;
    for (const Request* other : placed) {
      if (other->to < r->from || r->to < other->from) continue;
      if (r->at + r->bytes <= other->at) break;
      r->at = std::max(r->at, other->at + other->bytes);
    }
    const auto behind = [](const Request* a, const Request* b) { return a->at < b->at; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), r, behind), r);
    span = std::max(span, r->at + r->bytes);
  }
  return span;
}

}  // namespace costate
