// Tests whose products in f32 are TF32's.
#pragma once

#include "core/kernels/matmul.h"

namespace costate {

/// Factors in f32 as TF32, and as full again.
struct Coarse {
  Coarse() { set_products_in_f32(Products::tf32); }
  Coarse(const Coarse&) = delete;
  Coarse& operator=(const Coarse&) = delete;
  ~Coarse() { set_products_in_f32(Products::full); }
};

}  // namespace costate
