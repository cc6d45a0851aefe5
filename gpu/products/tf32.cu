// Products of matrices in TF32.
#include "gpu/products/product.h"

namespace costate::cuda {

template struct MatrixProduct<Tf32, float>;

}  // namespace costate::cuda
