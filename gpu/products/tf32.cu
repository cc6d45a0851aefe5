// Products of matrices in TF32.
#include "gpu/products/product.h"

namespace costate::cuda {

template void multiply(Tf32, const char*, const Matrix<float, true>&, const Matrix<float, true>&, const Output<float>&,
                       const Extents&);
template void multiply(Tf32, const char*, const Matrix<float, true>&, const Matrix<float, false>&, const Output<float>&,
                       const Extents&);
template void multiply(Tf32, const char*, const Matrix<float, false>&, const Matrix<float, true>&, const Output<float>&,
                       const Extents&);
template void multiply(Tf32, const char*, const Matrix<float, false>&, const Matrix<float, false>&,
                       const Output<float>&, const Extents&);

}  // namespace costate::cuda
