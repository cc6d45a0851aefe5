// Products of matrices in f32.
#include "gpu/products/product.h"

namespace costate::cuda {

template struct MatrixProduct<float, float>;

}  // namespace costate::cuda
