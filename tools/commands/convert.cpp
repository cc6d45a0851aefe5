// costate convert: any model to one file, bit for bit.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/common.h"

namespace costate {
namespace {

void run_convert(const Common& o) {
  o.apply();
  if (o.dtype != Common().dtype)
    throw UsageError("--dtype " + o.dtype + ": convert copies weights bit for bit; give it to what computes with them");
  if (o.out.empty()) throw UsageError("convert: give --out FILE.h5 or --out FILE.safetensors");
  const Model model = o.load(false);  // tensors go from file to file
  for (const auto& file : o.out) save_model(model, file);
  if (o.json) {
    std::cout << nlohmann::ordered_json{{"model", model.name},
                                        {"family", model.family},
                                        {"tensors", model.keys.size()},
                                        {"out", o.out}}
                     .dump(2)
              << "\n";
    return;
  }
  for (const auto& file : o.out)
    std::cout << fmt::format("wrote {} ({} tensors of {})\n", file, model.keys.size(), model.name);
}

}  // namespace

Command convert_command() {
  return {"convert", "write a model as one file: costate's HDF5, or safetensors",
          "  costate convert fashion-unet --out fashion.safetensors\n"
          "  costate convert fashion.safetensors --out fashion.h5",
          [](Arguments& a) {
            const auto o = std::make_shared<Common>();
            o->declare(a, {".h5", ".safetensors"});
            return [o] { run_convert(*o); };
          }};
}

}  // namespace costate
