// From a MODEL to the files it is made of: folders in diffusers' layouts, single checkpoints, bundled names.
#include "tools/model/files.h"

#include <dlfcn.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "io/atomic_file.h"
#include "tools/model/model.h"

namespace costate {
namespace {

namespace fs = std::filesystem;

Config read_config(const fs::path& file) { return Config::parse(read_text(file), file.string()); }

/// Names that weights have in diffusers' folders: safetensors before pickles, full precision before half, whole or in shards.
std::vector<std::string> weight_names() {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const std::string kind : {".safetensors", ".bin"})
    for (const std::string variant : {"", ".fp16", ".bf16"})
      for (const std::string base : {"diffusion_pytorch_model", kind == ".bin" ? "pytorch_model" : "model"}) {
        add(base + variant + kind);
        add(base + kind + ".index" + variant + ".json");
        add(base + variant + kind + ".index.json");
      }
  for (const char* name : {"model.pt", "model.pth", "model.ckpt", "model.h5"}) add(name);
  return names;
}

/// What a message on a folder ends with: checkpoints in it that could be named instead, some of them.
std::string checkpoints_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(folder, unreadable))
    for (const char* extension : {".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".h5"})
      if (entry.path().extension() == extension) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  if (names.size() > 4) names.resize(4), names.back() = "...";
  return names.empty() ? "" : fmt::format("; or name a file in it: {}", fmt::join(names, ", "));
}

fs::path weights_in(const fs::path& folder) {
  const auto names = weight_names();
  for (const auto& name : names) {
    if (fs::exists(folder / name)) return folder / name;
  }
  fail("{}: holds no weights; looked for {}{}", folder.string(), fmt::join(names, ", "), checkpoints_in(folder));
}

/// An index of shards, "model.safetensors.index.json", and no configuration.
bool is_index(const fs::path& file) {
  const std::string name = file.filename().string();
  return file.extension() == ".json" &&
         (name.find(".safetensors.index") != std::string::npos || name.find(".bin.index") != std::string::npos);
}

Config scheduler_near(const fs::path& folder) {
  for (const auto& place : {folder / "scheduler_config.json", folder / "scheduler" / "scheduler_config.json",
                            folder.parent_path() / "scheduler" / "scheduler_config.json"}) {
    if (fs::exists(place)) return read_config(place);
  }
  return {};
}

ModelFiles from_component(const fs::path& folder) {
  return {weights_in(folder), read_config(folder / "config.json"), scheduler_near(folder)};
}

ModelFiles from_folder(const fs::path& folder) {
  for (const char* part : {"unet", "transformer"}) {
    if (fs::exists(folder / part / "config.json")) return from_component(folder / part);
  }
  require(
      fs::exists(folder / "config.json"),
      "{}: is no model folder; it needs config.json (one component), or unet/ or transformer/ with one (a pipeline){}",
      folder.string(), checkpoints_in(folder));
  return from_component(folder);
}

std::vector<fs::path> files_of(const std::string& name, bool is_model) {
  if (!is_model) return {name};
  std::vector<fs::path> files;
  if (fs::is_directory(name))
    for (const auto& entry : fs::recursive_directory_iterator(name))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  const ModelFiles own = find_model_files(name, {});
  files.insert(files.end(), {own.weights, own.config.where(), own.scheduler.where()});
  return files;
}

}  // namespace

std::uint64_t state_of_files(const std::string& name, bool is_model) {
  std::uint64_t state = 0xcbf29ce484222325;  // FNV-1a, by words
  const auto add = [&](std::uint64_t word) { state = (state ^ word) * 0x100000001b3; };
  for (const auto& file : files_of(name, is_model)) {
    if (!fs::exists(file)) continue;  // a configuration that was read from the weights' file, or none
    add(fs::file_size(file));
    add(static_cast<std::uint64_t>(fs::last_write_time(file).time_since_epoch().count()));
  }
  return state;
}

std::vector<fs::path> model_folders() {
  std::vector<fs::path> folders;
  if (const char* own = std::getenv("COSTATE_MODELS")) folders.emplace_back(own);
  Dl_info library{};  // or the program that it is linked into
  ::dladdr(reinterpret_cast<const void*>(&model_folders), &library);
  for (const fs::path file : {library.dli_fname == nullptr ? "" : library.dli_fname, "/proc/self/exe"}) {
    std::error_code ignored;
    const fs::path folder = fs::canonical(file, ignored).parent_path();
    for (const char* up : {"..", "../.."})  // of bin/ or lib/, and of lib/x86_64-linux-gnu/
      if (!folder.empty()) folders.push_back((folder / up / "share/costate/models").lexically_normal());
  }
  folders.emplace_back(COSTATE_MODELS_BUILD);
  folders.emplace_back(COSTATE_MODELS_INSTALL);
  return folders;
}

std::vector<std::string> bundled_models() {
  std::vector<std::string> names;
  for (const auto& folder : model_folders()) {
    if (!fs::is_directory(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".h5") names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

ModelFiles find_model_files(const std::string& name, const fs::path& config) {
  const fs::path path(name);
  ModelFiles files;
  if (fs::is_directory(path)) {
    files = from_folder(path);
  } else if (fs::exists(path)) {
    if (path.extension() == ".json" && !is_index(path)) {
      files.config = read_config(path);
      return files;
    }
    files.weights = path;
    const fs::path beside = path.parent_path() / "config.json";
    if (config.empty() && fs::exists(beside)) files.config = read_config(beside);
    files.scheduler = scheduler_near(path.parent_path());
  } else {
    for (const auto& folder : model_folders()) {
      if (files.weights.empty() && fs::exists(folder / (name + ".h5"))) files.weights = folder / (name + ".h5");
    }
    if (files.weights.empty()) {
      const auto bundled = bundled_models(), near = nearest_names(name, bundled);
      fail("model {}: no such file, folder or bundled model{}", name,
           near.empty() ? fmt::format("; bundled: {}", fmt::join(bundled, ", "))
                        : fmt::format("; did you mean {}?", fmt::join(near, ", ")));
    }
  }
  if (!config.empty()) files.config = read_config(config);
  return files;
}

}  // namespace costate
