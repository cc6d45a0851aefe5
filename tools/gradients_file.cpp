// Gradients in the weights, as they are written.
#include "tools/gradients_file.h"

#include <algorithm>
#include <cmath>

#include "tools/model/evaluation.h"

namespace costate {

void write_theta_gradients(Hdf5Writer& out, const Model& model, const Tensors& gradients) {
  for (const auto& [key, g] : theta_by_key(model, gradients)) out.write("g_theta/" + key, g);
}

void Norms::add(const Tensor& t) {
  for (const double v : t.to_vector()) {
    squares += v * v;
    largest = std::max(largest, std::abs(v));
  }
}

}  // namespace costate
