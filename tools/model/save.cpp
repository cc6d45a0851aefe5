// Writing a model as one file.
#include <nlohmann/json.hpp>

#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "io/safetensors.h"
#include "tools/model/model.h"
#include "tools/model/pipeline.h"

namespace costate {

void save_model(const Model& model, const std::filesystem::path& file) {
  require(!model.is_exact(), "convert: {} is an exact problem; it has no weights to convert", model.name);
  if (const auto pipeline = pipeline_of(model))
    require(!has_part(*pipeline, "vae"),
            "convert: {} is a pipeline of several networks, and a file holds one: convert {} and {}", model.name,
            model.file.parent_path().string(), (pipeline->folder / "vae").string());
  const Checkpoint source = Checkpoint::open(model.file, model.key);
  const std::string config = model.config.dump();
  if (file.extension() == ".safetensors") {
    std::vector<std::pair<std::string, ElementView>> entries;
    for (const auto& key : model.keys) entries.emplace_back(key, source.view(key));
    write_safetensors_bits(file, entries, {{"format", "pt"}, {"costate_config", config}});
    return;
  }
  require(file.extension() == ".h5", "convert: {} should end in .h5 or .safetensors", file.string());
  Hdf5Writer out(file);
  for (const auto& key : model.keys) out.write("weights/" + key, source.view(key));
  out.attribute("", "format", "costate model");
  out.attribute("", "format_version", 1);
  out.attribute("", "config", config);
  out.attribute("", "version", version());
  out.finish();
}

std::string version() { return COSTATE_VERSION; }

}  // namespace costate
