// Gradients in the weights, as they are written: the checkpoint's own keys and layouts.
#pragma once

#include "io/hdf5.h"
#include "tools/common.h"
#include "tools/model/model.h"

namespace costate {

/// g_theta/<key> for every defined gradient (one a parameter of the network, in order).
void write_theta_gradients(Hdf5Writer& out, const Model& model, const Tensors& gradients);
/// They alone as safetensors: a state dictionary like the checkpoint's, with command, version, seed and model as metadata.
void write_theta_gradients(const std::string& file, const Common& common, const Model& model, const Tensors& gradients);

/// Sum, Euclidean norm and largest size over all of them.
struct Norms {
  double squares = 0, largest = 0;
  void add(const Tensor& t);
};

}  // namespace costate
