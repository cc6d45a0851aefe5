// The processes that share one run of the command: MPI's ranks in `costate-mpi`, in `costate` this one alone. Rank 0 alone prints
// and writes.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace costate {

struct Ranks {
  int rank = 0, count = 1;
  int local = 0;    ///< its number among the ranks of this machine: which device it takes
  int sharing = 1;  ///< how many of these may run on the same cores: into how many parts they are divided
};

/// How a process ends: its exit code, and what stderr says.
struct Ending {
  int code = 0;
  std::string message;
};

/// Another rank has failed, and all end as it does.
struct RankFailed : std::runtime_error {
  explicit RankFailed(const Ending& of) : std::runtime_error(of.message), ending(of) {}
  Ending ending;
};

/// At the start of main. Afterwards stdout is rank 0's alone.
void join_ranks(int& argc, char**& argv);
/// At the end of main: how this process ends. Rank 0 speaks for all and ends as the first of them that failed, others with 0.
Ending leave_ranks(const Ending& mine);

const Ranks& ranks();

// Calls that all ranks make, in the same order. Where one has failed before, they throw RankFailed on the others.

/// What rank 0 has.
std::int64_t of_first_rank(std::int64_t mine);
/// On rank 0 what each rank gives, in their order, on the host; on others nothing.
std::vector<Tensors> gather(const Tensors& mine);

}  // namespace costate
