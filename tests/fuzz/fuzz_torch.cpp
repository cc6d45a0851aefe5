// PyTorch files: zip directory, pickles, legacy streams, what is chosen inside.
#include "io/torch_pickle.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // the bytes as a pickle, too: inside a zip archive a checksum keeps changed ones away
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  costate::fuzz::attempt([&] { static_cast<void>(costate::unpickle(bytes, "fuzz")); });
  return costate::fuzz::read_checkpoint(bytes);
}
