// Ranks of MPI. One thread of each talks, the one that runs main.
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "tools/ranks.h"

namespace costate {
namespace {

Ranks all;
std::optional<Ending> agreed;  // once a rank has failed: nobody is waited for any more

/// How all end if one of them has failed; waits for all. The first that has failed speaks.
Ending agree(const Ending& mine) {
  if (agreed) return *agreed;
  std::vector<int> codes(static_cast<std::size_t>(all.count));
  MPI_Allgather(&mine.code, 1, MPI_INT, codes.data(), 1, MPI_INT, MPI_COMM_WORLD);
  const auto failed = std::find_if(codes.begin(), codes.end(), [](int code) { return code != 0; });
  if (failed == codes.end()) return {};
  const int speaker = static_cast<int>(failed - codes.begin());
  std::string message = mine.message;
  int length = static_cast<int>(message.size());
  MPI_Bcast(&length, 1, MPI_INT, speaker, MPI_COMM_WORLD);
  message.resize(static_cast<std::size_t>(length));
  MPI_Bcast(message.data(), length, MPI_CHAR, speaker, MPI_COMM_WORLD);
  agreed = {*failed, message};
  return *agreed;
}

void require_all() {
  const Ending ending = agree({});
  if (ending.code != 0) throw RankFailed(ending);
}

/// Ranks of this machine, in their own order, and how many of them may run on the same cores.
void look_around() {
  MPI_Comm here{};
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, all.rank, MPI_INFO_NULL, &here);
  int neighbours = 0;
  MPI_Comm_rank(here, &all.local);
  MPI_Comm_size(here, &neighbours);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof cores, &cores);
  std::vector<cpu_set_t> of_all(static_cast<std::size_t>(neighbours));
  MPI_Allgather(&cores, sizeof cores, MPI_BYTE, of_all.data(), sizeof cores, MPI_BYTE, here);
  all.sharing = static_cast<int>(
      std::count_if(of_all.begin(), of_all.end(), [&](const cpu_set_t& other) { return CPU_EQUAL(&cores, &other); }));
  MPI_Comm_free(&here);
}

/// What a message's receiver has to know of a tensor: is it defined, its dtype, rank and extents.
using About = std::array<std::int64_t, 3 + Shape::max_rank>;

/// Messages count in int.
template <class Byte, class Move>
void in_pieces(Byte* bytes, std::size_t count, const Move& move) {
  constexpr std::size_t most = std::size_t{1} << 30;
  for (std::size_t at = 0; at < count; at += most) move(bytes + at, static_cast<int>(std::min(most, count - at)));
}

void send(const Tensor& t) {
  About about{t.defined() ? 1 : 0, static_cast<std::int64_t>(t.dtype()), t.rank()};
  std::copy(t.shape().begin(), t.shape().end(), about.begin() + 3);
  MPI_Send(about.data(), static_cast<int>(about.size()), MPI_INT64_T, 0, 0, MPI_COMM_WORLD);
  if (!t.defined()) return;
  const Tensor here = t.to(Device::cpu);
  in_pieces(static_cast<const char*>(here.bytes_data()), here.bytes(),
            [](const char* p, int n) { MPI_Send(p, n, MPI_CHAR, 0, 0, MPI_COMM_WORLD); });
}

Tensor receive(int from) {
  About about{};
  MPI_Recv(about.data(), static_cast<int>(about.size()), MPI_INT64_T, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  if (about[0] == 0) return {};
  Tensor t = Tensor::empty(Shape(about.data() + 3, about.data() + 3 + about[2]), static_cast<DType>(about[1]));
  in_pieces(static_cast<char*>(t.mutable_bytes()), t.bytes(),
            [from](char* p, int n) { MPI_Recv(p, n, MPI_CHAR, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE); });
  return t;
}

}  // namespace

void join_ranks(int& argc, char**& argv) {
  int given = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &given);
  MPI_Comm_rank(MPI_COMM_WORLD, &all.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &all.count);
  look_around();
  if (all.rank > 0 && std::freopen("/dev/null", "w", stdout) == nullptr) MPI_Abort(MPI_COMM_WORLD, 1);
}

Ending leave_ranks(const Ending& mine) {
  const Ending ending = agree(mine);
  MPI_Finalize();
  // The first process that ends with another code than 0 makes mpirun kill the rest: that must not be one before the first
  // rank has spoken.
  return all.rank == 0 ? ending : Ending{};
}

const Ranks& ranks() { return all; }

std::int64_t of_first_rank(std::int64_t mine) {
  require_all();
  MPI_Bcast(&mine, 1, MPI_INT64_T, 0, MPI_COMM_WORLD);
  return mine;
}

std::vector<Tensors> gather(const Tensors& mine) {
  require_all();
  std::int64_t count = static_cast<std::int64_t>(mine.size());
  std::vector<std::int64_t> counts(static_cast<std::size_t>(all.count));
  MPI_Gather(&count, 1, MPI_INT64_T, counts.data(), 1, MPI_INT64_T, 0, MPI_COMM_WORLD);
  if (all.rank > 0) {
    for (const Tensor& t : mine) send(t);
    return {};
  }
  std::vector<Tensors> given{{}};
  for (const Tensor& t : mine) given[0].push_back(t.defined() ? t.to(Device::cpu) : t);
  for (int from = 1; from < all.count; ++from) {
    Tensors& theirs = given.emplace_back();
    for (std::int64_t i = 0; i < counts[static_cast<std::size_t>(from)]; ++i) theirs.push_back(receive(from));
  }
  return given;
}

}  // namespace costate
