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
#include "io/hdf5.h"
#include "tests/support/paths.h"
#include "tools/model/model.h"

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

/// The inputs of an in.h5, of this kind. What has no place of its own goes by its name.
inline Inputs read_inputs(const Hdf5Reader& file, Kind kind) {
  Inputs in;
  for (const auto& name : file.datasets()) {
    if (name == "g") continue;
    const Tensor value = file.read(name);
    if (name == "t")
      in.t = value.to_vector();
    else if (name == "class")
      in.classes = value;
    else
      (name == "x" ? in.x : name == "z" ? in.z : in.extra[name]) = cast(value, kind.dtype).to(kind.device);
  }
  return in;
}

/// Largest differences, each over the largest value it is compared with.
struct Errors {
  double y = 0;
  double g_inputs = 0;          ///< of x, z and every further float input
  double g_theta = 0;           ///< over the largest entry of all g_theta
  double g_theta_check = 0;     ///< [sum, norm, sum of cos(i) g_i], over the largest norm
  double g_theta_rounding = 0;  ///< the largest error that the reference's own rounding can make, on g_theta's scale
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

/// How far rounding moved values at most, over the largest: those stored as f32, and those that are all multiples of 2^-38 of
/// the power of two above the largest, as shared/fixtures/make_authors.py stores them.
inline double rounding_of(const std::vector<double>& values, bool f32) {
  const double scale = largest(values);
  if (f32) return 0x1p-23;
  int exponent = 0;
  std::frexp(scale, &exponent);
  const double step = std::ldexp(1, exponent - 38);
  const bool multiples =
      std::all_of(values.begin(), values.end(), [&](double v) { return std::rint(v / step) * step == v; });
  return multiples ? 0.5 * step / scale : 0;
}

/// The errors of all g_theta (by key in the file) against the reference.
inline void compare_weights(const Hdf5Reader& ref, const std::map<std::string, Tensor>& g_theta, Errors& e) {
  double norm = 0;
  std::vector<double> all;
  bool f32 = false;
  for (const auto& name : ref.datasets()) {
    const bool check = name.rfind("g_theta_check/", 0) == 0;
    if (!check && name.rfind("g_theta/", 0) != 0) continue;
    const std::vector<double> want = ref.read(name).to_vector();
    const auto got = g_theta.find(name.substr(name.find('/') + 1));
    if (got == g_theta.end()) {  // a constant here: the reference must say that nothing depends on it
      require(largest(want) == 0, "{} has no counterpart", name);
      continue;
    }
    if (check) {
      e.g_theta_check = std::max(e.g_theta_check, difference(check_vector(got->second.to_vector()), want));
      norm = std::max(norm, want[1]);
    } else {
      e.g_theta = std::max(e.g_theta, difference(got->second.to_vector(), want));
      f32 |= ref.dtype(name) == DType::f32;
      all.insert(all.end(), want.begin(), want.end());
    }
  }
  require(largest(all) > 0, "the reference holds no g_theta");
  e.g_theta /= largest(all);
  e.g_theta_rounding = rounding_of(all, f32);
  if (norm > 0) e.g_theta_check /= norm;
}

/// The float inputs of a network by name: x, z and the further ones. Order: by name.
inline std::map<std::string, Tensor*> float_inputs(Inputs& in) {
  std::map<std::string, Tensor*> all = {{"x", &in.x}};
  if (in.z.defined()) all["z"] = &in.z;
  for (auto& [name, value] : in.extra) all[name] = &value;
  return all;
}

/// Evaluates the network on in.h5, pulls its cotangent back and compares with ref.h5.
inline Errors compare(const Model& model, const std::filesystem::path& in_path, const std::filesystem::path& ref_path) {
  const Hdf5Reader in_file(in_path), ref(ref_path);
  Inputs in = read_inputs(in_file, model.kind());
  const std::vector<Parameter> parameters = model.network->parameters();
  Tensors point;
  Wanted wanted;
  const auto inputs = float_inputs(in);
  for (const auto& [name, value] : inputs) {
    point.push_back(*value);
    wanted.push_back(ref.contains("g_" + name));
  }
  for (const auto& p : parameters) {
    point.push_back(p.value);
    wanted.push_back(!p.buffer);
  }
  const auto first = static_cast<std::ptrdiff_t>(inputs.size());
  const Vjp run = vjp(
      [&](const Tensors& at) {
        Inputs now = in;
        std::size_t i = 0;
        for (const auto& [name, value] : float_inputs(now)) *value = at[i++];
        return Tensors{(*model.network->with(Tensors(at.begin() + first, at.end())))(now)};
      },
      point, wanted);
  const Tensors g = run.pull({cast(in_file.read("g"), model.dtype).to(model.device)});
  Errors e;
  e.y = relative(run.value[0], ref.read("y"));
  std::size_t i = 0;
  for (const auto& [name, value] : inputs) {
    const Tensor got = g[i++];
    if (ref.contains("g_" + name)) e.g_inputs = std::max(e.g_inputs, relative(got, ref.read("g_" + name)));
  }
  std::map<std::string, Tensor> g_theta;
  for (std::size_t k = 0; k < parameters.size(); ++k, ++i)
    if (g[i].defined()) g_theta[model.keys[k]] = to_file_layout(g[i], parameters[k].layout, model.file_shapes[k]);
  compare_weights(ref, g_theta, e);
  return e;
}

}  // namespace costate::parity
