// Gradients in the weights, as they are written.
#include "tools/gradients_file.h"

#include <algorithm>
#include <cmath>

namespace costate {

void write_theta_gradients(Hdf5Writer& out, const Model& model, const Tensors& gradients) {
  if (model.is_exact()) {
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i].defined()) out.write("g_theta/" + model.exact.p_names[i], gradients[i]);
    }
    return;
  }
  const auto parameters = model.network->parameters();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    out.write("g_theta/" + model.keys[i], to_file_layout(gradients[i], parameters[i].layout, model.file_shapes[i]));
  }
}

void Norms::add(const Tensor& t) {
  for (const double v : t.to_vector()) {
    squares += v * v;
    largest = std::max(largest, std::abs(v));
  }
}

}  // namespace costate
