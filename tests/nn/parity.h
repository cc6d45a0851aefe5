// Comparing a network with a reference evaluation in shared/: y, and the vector-Jacobian products in x and every
// weight.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include "autodiff/ops/cast.h"
#include "autodiff/transform.h"
#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "nn/family.h"
#include "tests/support/paths.h"

namespace costate::parity {

/// A file below shared/; where that folder is absent, the copy in tests/data of the fixtures that are small enough to be kept there.
inline std::filesystem::path find(const std::string& path) {
  const std::string fixtures = "fixtures/";
  if (std::filesystem::exists(shared_dir()) || path.rfind(fixtures, 0) != 0) return shared_dir() / path;
  return source_dir() / "tests/data" / path.substr(fixtures.size());
}

/// True if the file is there; says so on the terminal if it is not, so that a skipped test is seen.
inline bool available(const std::string& path) {
  const bool there = std::filesystem::exists(find(path));
  if (!there)
    std::cerr << "SKIPPED: " << path << " is neither in " << shared_dir().string()
              << " (set COSTATE_SHARED) nor in tests/data\n";
  return there;
}

inline Config read_config(const std::filesystem::path& path) {
  std::ifstream file(path);
  return Config::parse({std::istreambuf_iterator<char>(file), {}}, path.string());
}

inline std::string stripped(const std::string& key) { return key.rfind("module.", 0) == 0 ? key.substr(7) : key; }

/// A network with the weights of a file, and the key of each parameter there.
struct Loaded {
  std::shared_ptr<const Network> network;
  std::vector<std::string> file_keys;
  std::vector<Shape> file_shapes;
};

/// The key of the file that is this parameter, in today's or an older spelling.
inline std::string file_key(const Network& network, const std::map<std::string, std::string>& keys,
                            const std::string& key) {
  if (const auto at = keys.find(key); at != keys.end()) return at->second;
  for (const auto& [here, there] : network.spellings()) {
    std::string old = key;
    if (const auto at = old.find(here); at != std::string::npos) old.replace(at, here.size(), there);
    if (const auto found = keys.find(old); found != keys.end()) return found->second;
  }
  fail("{} is not in the file", key);
}

inline Loaded load(const Config& config, const std::filesystem::path& weights, DType dtype) {
  const Checkpoint file = Checkpoint::open(weights);
  KeyShapes shapes;
  std::map<std::string, std::string> keys;
  for (const auto& key : file.keys()) {
    shapes[stripped(key)] = file.shape(key);
    keys[stripped(key)] = key;
  }
  std::string reason;
  Loaded loaded;
  const auto ghosts = find_family(config, shapes, reason).make(config, shapes);
  const std::vector<Parameter> parameters = ghosts->parameters();
  require(parameters.size() == keys.size(), "{} parameters, {} keys", parameters.size(), keys.size());
  Tensors values;
  for (const auto& parameter : parameters) {
    loaded.file_keys.push_back(file_key(*ghosts, keys, parameter.key));
    const Tensor raw = file.read(loaded.file_keys.back());
    loaded.file_shapes.push_back(raw.shape());
    values.push_back(cast(from_file_layout(raw, parameter.layout), dtype));
    require(values.back().shape() == parameter.value.shape(), "{}: {} in the file, wants {}", parameter.key,
            values.back().shape(), parameter.value.shape());
  }
  loaded.network = ghosts->with(values);
  return loaded;
}

/// The inputs of an in.h5, in dtype.
inline Inputs read_inputs(const Hdf5Reader& file, DType dtype) {
  Inputs in;
  in.x = cast(file.read("x"), dtype);
  if (file.contains("t")) in.t = file.read("t").to_vector();
  if (file.contains("class")) in.classes = file.read("class");
  if (file.contains("z")) in.z = cast(file.read("z"), dtype);
  return in;
}

/// Largest differences, each over the largest value it is compared with.
struct Errors {
  double y = 0, g_x = 0, g_z = 0;
  double g_theta = 0;            ///< over the largest entry of all g_theta
  double g_theta_check = 0;      ///< [sum, norm, sum of cos(i) g_i], over the largest norm
  bool g_theta_rounded = false;  ///< the reference stores f32
};

inline double largest(const std::vector<double>& v) {
  double m = 0;
  for (const double x : v) m = std::max(m, std::abs(x));
  return m;
}
inline double difference(const std::vector<double>& a, const std::vector<double>& b) {
  require(a.size() == b.size(), "{} values against {}", a.size(), b.size());
  double m = 0;
  for (std::size_t i = 0; i < a.size(); ++i) m = std::max(m, std::abs(a[i] - b[i]));
  return m;
}
inline double relative(const Tensor& a, const Tensor& reference) {
  return difference(a.to_vector(), reference.to_vector()) / largest(reference.to_vector());
}

inline std::vector<double> check_vector(const std::vector<double>& g) {
  double sum = 0, squares = 0, waves = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    sum += g[i];
    squares += g[i] * g[i];
    waves += std::cos(static_cast<double>(i)) * g[i];
  }
  return {sum, std::sqrt(squares), waves};
}

/// The errors of all g_theta (by key in the file) against the reference.
inline void compare_weights(const Hdf5Reader& ref, const std::map<std::string, Tensor>& g_theta, Errors& e) {
  double scale = 0, norm = 0;
  for (const auto& name : ref.datasets()) {
    const bool check = name.rfind("g_theta_check/", 0) == 0;
    if (!check && name.rfind("g_theta/", 0) != 0) continue;
    const std::vector<double> want = ref.read(name).to_vector();
    const auto got = g_theta.find(name.substr(name.find('/') + 1));
    require(got != g_theta.end(), "{} has no counterpart", name);
    if (check) {
      e.g_theta_check = std::max(e.g_theta_check, difference(check_vector(got->second.to_vector()), want));
      norm = std::max(norm, want[1]);
    } else {
      e.g_theta = std::max(e.g_theta, difference(got->second.to_vector(), want));
      e.g_theta_rounded |= ref.dtype(name) == DType::f32;
      scale = std::max(scale, largest(want));
    }
  }
  require(scale > 0, "the reference holds no g_theta");
  e.g_theta /= scale;
  if (norm > 0) e.g_theta_check /= norm;
}

/// Evaluates the network on in.h5, pulls its cotangent back and compares with ref.h5.
inline Errors compare(const Loaded& loaded, const std::filesystem::path& in_path, const std::filesystem::path& ref_path,
                      DType dtype) {
  const Hdf5Reader in_file(in_path), ref(ref_path);
  const Inputs in = read_inputs(in_file, dtype);
  const std::vector<Parameter> parameters = loaded.network->parameters();
  Tensors point{in.x, in.z};
  Wanted wanted{true, in.z.defined()};
  for (const auto& p : parameters) {
    point.push_back(p.value);
    wanted.push_back(!p.buffer);
  }
  if (!in.z.defined()) point[1] = in.x;  // a place holder nobody asks about
  const Vjp run = vjp(
      [&](const Tensors& at) {
        Inputs now = in;
        now.x = at[0];
        if (in.z.defined()) now.z = at[1];
        return Tensors{(*loaded.network->with(Tensors(at.begin() + 2, at.end())))(now)};
      },
      point, wanted);
  const Tensors g = run.pull({cast(in_file.read("g"), dtype)});
  Errors e;
  e.y = relative(run.value[0], ref.read("y"));
  e.g_x = relative(g[0], ref.read("g_x"));
  if (ref.contains("g_z")) e.g_z = relative(g[1], ref.read("g_z"));
  std::map<std::string, Tensor> g_theta;
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (g[i + 2].defined())
      g_theta[loaded.file_keys[i]] = to_file_layout(g[i + 2], parameters[i].layout, loaded.file_shapes[i]);
  compare_weights(ref, g_theta, e);
  return e;
}

}  // namespace costate::parity
