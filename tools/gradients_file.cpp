// Gradients in the weights, as they are written.
#include "tools/gradients_file.h"

#include <algorithm>
#include <cmath>

#include "io/safetensors.h"
#include "tools/model/evaluation.h"

namespace costate {

void write_theta_gradients(Hdf5Writer& out, const Model& model, const Tensors& gradients) {
  for (const auto& [key, g] : theta_by_key(model, gradients)) out.write("g_theta/" + key, g);
}

void write_theta_gradients(const std::string& file, const Common& common, const Model& model,
                           const Tensors& gradients) {
  const auto all = theta_by_key(model, gradients);
  require(!all.empty(), "{}: there are no gradients in theta to write; add theta to --wrt", file);
  write_safetensors(file, all,
                    {{"format", "pt"},
                     {"command", command_line()},
                     {"version", version()},
                     {"seed", std::to_string(common.seed)},
                     {"model", common.model}});
}

void Norms::add(const Tensor& t) {
  for (const double v : t.to_vector()) {
    squares += v * v;
    largest = std::max(largest, std::abs(v));
  }
}

}  // namespace costate
