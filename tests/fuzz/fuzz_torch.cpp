// PyTorch files: zip directory, pickles, legacy streams, what is chosen inside.
#include "io/checkpoint.h"
#include "io/torch_pickle.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // the bytes as a pickle, too: inside a zip archive a checksum keeps changed ones away
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  costate::fuzz::attempt([&] { static_cast<void>(costate::unpickle(bytes, "fuzz")); });
  return costate::fuzz::attempt([&] {
    const auto path = costate::fuzz::file_with(bytes);
    const auto file = costate::Checkpoint::open(path);
    for (const auto& key : file.keys()) costate::fuzz::attempt([&] { static_cast<void>(file.read(key)); });
    static_cast<void>(file.text("config"));
  });
}
