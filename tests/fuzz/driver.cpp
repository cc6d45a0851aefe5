// A fuzzer for every compiler: the files of a folder, and mutations of them by a fixed seed, for so many seconds.
//
//   fuzz_NAME FOLDER SECONDS [SEED]
//
// libFuzzer finds more, as it sees which branches run (COSTATE_FUZZ=ON with clang); this one needs nothing and runs in CI.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "tests/fuzz/target.h"

namespace {

using Random = std::mt19937_64;

std::vector<std::string> read_folder(const std::filesystem::path& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return files;
}

std::size_t below(Random& random, std::size_t n) { return n == 0 ? 0 : random() % n; }

/// One change: a bit, a byte, a number that likes to be at a limit, a piece taken out, doubled, or from another file.
void mutate(std::string& bytes, const std::vector<std::string>& corpus, Random& random) {
  const std::size_t at = below(random, bytes.size() + 1), left = bytes.size() - at;
  const std::size_t length = std::min(left, below(random, std::size_t{1} << below(random, 8)) + 1);
  switch (below(random, 7)) {
    case 0:
      if (left > 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8)));
      break;
    case 1:
      if (left > 0) bytes[at] = static_cast<char>(random());
      break;
    case 2: {
      constexpr std::uint64_t limits[] = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, ~0ULL, ~0ULL >> 1};
      const std::uint64_t value = limits[below(random, std::size(limits))];
      const std::size_t width = std::min<std::size_t>(left, std::size_t{1} << below(random, 4));
      bytes.replace(at, width, reinterpret_cast<const char*>(&value), width);
      break;
    }
    case 3:
      bytes.erase(at, length);
      break;
    case 4:
      bytes.insert(at, bytes.substr(at, length));
      break;
    case 5: {
      const std::string& other = corpus[below(random, corpus.size())];
      bytes.insert(at, other.substr(below(random, other.size() + 1), length));
      break;
    }
    default:
      bytes.resize(at);
  }
}

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "wants FOLDER SECONDS [SEED]\n");
    return 2;
  }
  const auto corpus = read_folder(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: holds no files to begin with\n", argv[1]);
    return 1;
  }
  Random random(argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  for (const auto& file : corpus) run(file);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::strtod(argv[2], nullptr));
  std::uint64_t runs = 0;
  while (std::chrono::steady_clock::now() < end) {
    std::string bytes = corpus[below(random, corpus.size())];
    for (std::size_t changes = 1 + below(random, 6); changes > 0; --changes) mutate(bytes, corpus, random);
    // kept, so that a crash can be looked at
    if (const char* last = std::getenv("FUZZ_LAST")) std::ofstream(last, std::ios::binary) << bytes;
    run(bytes);
    ++runs;
  }
  std::printf("%llu mutations of %zu files\n", static_cast<unsigned long long>(runs), corpus.size());
  return 0;
}
