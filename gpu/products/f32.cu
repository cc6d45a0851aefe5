// Products of matrices in f32.
#include "gpu/products/product.h"

namespace costate::cuda {

template void multiply(float, const char*, const Matrix<float, true>&, const Matrix<float, true>&, const Output<float>&,
                       const Extents&);
template void multiply(float, const char*, const Matrix<float, true>&, const Matrix<float, false>&,
                       const Output<float>&, const Extents&);
template void multiply(float, const char*, const Matrix<float, false>&, const Matrix<float, true>&,
                       const Output<float>&, const Extents&);
template void multiply(float, const char*, const Matrix<float, false>&, const Matrix<float, false>&,
                       const Output<float>&, const Extents&);

}  // namespace costate::cuda
