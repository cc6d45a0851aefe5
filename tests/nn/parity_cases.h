// Every reference evaluation of a network in shared/, found by walking its folders: no list to forget a line in.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "core/error.h"
#include "tests/support/paths.h"

namespace costate::parity {

namespace fs = std::filesystem;

/// A network and one evaluation of it: [NAME.]in.h5 with [NAME.]ref.h5, or in_PART.h5 with ref_PART.h5.
struct Case {
  std::string name;         ///< folder, and NAME or PART where there is one
  std::string part;         ///< "encode", "decode"; empty for the network itself
  fs::path model, in, ref;  ///< model: as the command takes it
  fs::path config;          ///< of tests/data/configs, where neither files nor keys decide
};

inline std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

/// Folders without a network to evaluate.
inline const std::set<std::string> without_reference = {"data"};

/// Weights of other folders in another container, and whose references ([NAME.]in.h5 ...) they are held to.
inline const std::map<std::string, std::string> conversions = {
    {"celeba-low40_grouped_chunked.h5", "celeba-multiscale/low40."},
    {"mnist-cond-vit_grouped_gzip_shuffle.h5", "mnist-cond-vit/"},
    {"mnist-unet-ln_flat_contiguous.h5", "mnist-unet-ln/"}};

/// Where a folder has several networks: the weights of each name.
inline const std::map<std::string, std::string> weights_of = {
    {"celeba-multiscale/low40", "low40.pt"},
    {"celeba-multiscale/flat160", "flat160_rf43.pt"},
    {"celeba-multiscale/scale0", "c320_rf13_scale0.pt"},
    {"celeba-multiscale/scale1", "c320_rf13_scale1.pt"},
    {"celeba-multiscale/scale2", "c320_rf13_scale2.pt"},
    {"mnist-classifier/pt", "mnist.pt"},
    {"mnist-classifier/safetensors", "mnist.safetensors"},
    {"mnist-time-classifier/ve", "classifier_checkpoint_ve.pth"},
    {"mnist-time-classifier/vp", "classifier_checkpoint_vp.pth"},
    {"natural-unet-denoiser/bias", "unet_bias_0-100.pt"},
    {"natural-unet-denoiser/bias_free", "unet_bias_free_0-100.pt"},
    {"taef2-autoencoder/decoder", "taef2_decoder.pth"},
    {"taef2-autoencoder/encoder", "taef2_encoder.pth"}};

/// The folder itself where the command finds its weights, else the one checkpoint in it.
inline fs::path model_of(const fs::path& folder) {
  static const std::set<std::string> kinds = {".pt", ".pth", ".th", ".ckpt", ".bin", ".safetensors"};
  std::vector<fs::path> checkpoints;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().stem().string().rfind("diffusion_pytorch_model", 0) == 0 || entry.path().filename() == "unet")
      return folder;
    if (kinds.count(entry.path().extension().string()) != 0) checkpoints.push_back(entry.path());
  }
  require(checkpoints.size() == 1,
          "{}: {} checkpoints; say in tests/nn/parity_cases.h which belongs to which reference", folder.string(),
          checkpoints.size());
  return checkpoints.front();
}

inline std::vector<Case> conversions_of(const fs::path& folder) {
  std::vector<Case> all;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".h5") continue;
    const auto known = conversions.find(entry.path().filename().string());
    require(known != conversions.end(), "{}: say in tests/nn/parity_cases.h what it was made from",
            entry.path().string());
    const std::string references = (folder.parent_path() / known->second).string();
    all.push_back({.name = "hdf5-conversions/" + entry.path().stem().string(),
                   .part = "",
                   .model = entry.path(),
                   .in = references + "in.h5",
                   .ref = references + "ref.h5",
                   .config = {}});
  }
  std::sort(all.begin(), all.end(), [](const Case& a, const Case& b) { return a.name < b.name; });
  return all;
}

/// The cases of one folder; throws for a folder it can make nothing of.
inline std::vector<Case> cases_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (without_reference.count(name) != 0) return {};
  if (name == "hdf5-conversions") return conversions_of(folder);
  std::vector<Case> all;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    const bool plain = file == "in.h5", part = file.rfind("in_", 0) == 0 && file.size() > 6,
               named = file.size() > 6 && file.rfind(".in.h5") == file.size() - 6;
    if (!plain && !part && !named) continue;
    Case c{.name = name, .part = "", .model = {}, .in = entry.path(), .ref = {}, .config = {}};
    std::string ref = "ref.h5";
    if (part) {
      c.part = file.substr(3, file.size() - 6);
      c.name += "/" + c.part;
      ref = "ref_" + c.part + ".h5";
    } else if (named) {
      c.name += "/" + file.substr(0, file.size() - 6);
      ref = file.substr(0, file.size() - 6) + ".ref.h5";
    }
    c.ref = folder / ref;
    require(fs::exists(c.ref), "{} has no {}", c.in.string(), ref);
    const auto known = weights_of.find(c.name);
    c.model = known != weights_of.end() ? folder / known->second : model_of(folder);
    const fs::path config = source_dir() / "tests/data/configs" / (name + ".json");
    if (fs::exists(config)) c.config = config;
    all.push_back(c);
  }
  require(!all.empty(), "{}: holds no reference evaluation; tests/nn/parity_cases.h lists folders without",
          folder.string());
  std::sort(all.begin(), all.end(), [](const Case& a, const Case& b) { return a.name < b.name; });
  return all;
}

/// The folders that hold networks: all of shared/, or without it the fixtures kept in tests/data.
inline std::vector<fs::path> folders() {
  std::vector<fs::path> roots = {shared_dir() / "fixtures/networks", shared_dir() / "weights"}, all;
  if (!fs::exists(shared_dir())) roots = {source_dir() / "tests/data/networks"};
  for (const auto& root : roots)
    for (const auto& entry : fs::directory_iterator(root))
      if (entry.is_directory()) all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

inline std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& folder : folders())
    for (auto& c : cases_of(folder)) all.push_back(std::move(c));
  return all;
}

}  // namespace costate::parity
