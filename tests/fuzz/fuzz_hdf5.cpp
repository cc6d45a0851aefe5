// HDF5: the list of datasets, their values, attributes of the root.
#include "io/checkpoint.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return costate::fuzz::attempt([&] {
    const auto path = costate::fuzz::file_with({reinterpret_cast<const char*>(data), size});
    const auto file = costate::Checkpoint::open(path);
    for (const auto& key : file.keys()) costate::fuzz::attempt([&] { static_cast<void>(file.read(key)); });
    static_cast<void>(file.text("config"));
  });
}
