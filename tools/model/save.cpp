// Writing a model as one file.
#include <nlohmann/json.hpp>

#include "autodiff/ops/cast.h"
#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "io/safetensors.h"
#include "tools/model/model.h"
#include "tools/model/pipeline.h"

namespace costate {
namespace {

/// The k-th of the weights as they lie in the file they came from, bit for bit; or the network's own, where that is no longer what
/// was read.
ElementView weight_to_save(const Model& model, const Checkpoint& source, const Parameter& p, std::size_t k) {
  const std::string& key = model.keys[k];
  ElementView there = source.view(key);
  if (p.value.is_ghost()) return there;
  const Tensor here = to_file_layout(p.value.to(Device::cpu), p.layout, model.file_shapes[k]);
  std::string room, other_room;
  const bool same = dense_bytes(view_of(here), room, key) ==
                    dense_bytes(view_of(cast(source.read(key), here.dtype())), other_room, key);
  return same ? there : view_of(here);
}

}  // namespace

void save_model(const Model& model, const std::filesystem::path& file) {
  require(!model.is_exact(), "convert: {} is an exact problem; it has no weights to convert", model.name);
  if (const auto pipeline = pipeline_of(model))
    require(!has_part(*pipeline, "vae"),
            "convert: {} is a pipeline of several networks, and a file holds one: convert {} and {}", model.name,
            model.file.parent_path().string(), (pipeline->folder / "vae").string());
  const Checkpoint source = Checkpoint::open(model.file, model.key);
  const std::string config = model.config.dump();
  const auto parameters = model.network->parameters();
  std::vector<std::pair<std::string, ElementView>> entries;
  for (std::size_t k = 0; k < model.keys.size(); ++k)
    entries.emplace_back(model.keys[k], weight_to_save(model, source, parameters[k], k));
  if (file.extension() == ".safetensors") {
    write_safetensors_bits(file, entries, {{"format", "pt"}, {"costate_config", config}});
    return;
  }
  require(file.extension() == ".h5", "convert: {} should end in .h5 or .safetensors", file.string());
  Hdf5Writer out(file);
  for (const auto& [key, value] : entries) out.write("weights/" + key, value);
  out.attribute("", "format", "costate model");
  out.attribute("", "format_version", 1);
  out.attribute("", "config", config);
  out.attribute("", "version", version());
  out.finish();
}

std::string version() { return COSTATE_VERSION; }

}  // namespace costate
