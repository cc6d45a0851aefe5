// One process: nobody to wait for.
#include "tools/ranks.h"

namespace costate {

void join_ranks(int&, char**&) {}
Ending leave_ranks(const Ending& mine) { return mine; }

const Ranks& ranks() {
  static const Ranks alone;
  return alone;
}

std::int64_t of_first_rank(std::int64_t mine) { return mine; }

std::vector<Tensors> gather(const Tensors& mine) { return {mine}; }

}  // namespace costate
