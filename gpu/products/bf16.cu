// Products of matrices in bf16.
#include "gpu/products/product.h"

namespace costate::cuda {

template struct MatrixProduct<bf16, bf16>;
template struct MatrixProduct<bf16, float>;

}  // namespace costate::cuda
