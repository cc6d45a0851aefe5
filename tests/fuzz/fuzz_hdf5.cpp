// HDF5: the list of datasets, their values, attributes of the root.
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return costate::fuzz::read_checkpoint({reinterpret_cast<const char*>(data), size});
}
