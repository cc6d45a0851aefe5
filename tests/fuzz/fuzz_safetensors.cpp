// safetensors: header, tensors, and the index of shards (whose shards are not there).
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return costate::fuzz::read_checkpoint({reinterpret_cast<const char*>(data), size});
}
