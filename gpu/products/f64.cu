// Products of matrices in f64.
#include "gpu/products/product.h"

namespace costate::cuda {

template struct MatrixProduct<double, double>;

}  // namespace costate::cuda
