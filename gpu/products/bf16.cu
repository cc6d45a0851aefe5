// Products of matrices in bf16.
#include "gpu/products/product.h"

namespace costate::cuda {

template void multiply(bf16, const char*, const Matrix<bf16, true>&, const Matrix<bf16, true>&, const Output<bf16>&,
                       const Extents&);
template void multiply(bf16, const char*, const Matrix<bf16, true>&, const Matrix<bf16, false>&, const Output<bf16>&,
                       const Extents&);
template void multiply(bf16, const char*, const Matrix<bf16, false>&, const Matrix<bf16, true>&, const Output<bf16>&,
                       const Extents&);
template void multiply(bf16, const char*, const Matrix<bf16, false>&, const Matrix<bf16, false>&, const Output<bf16>&,
                       const Extents&);
template void multiply(bf16, const char*, const Matrix<bf16, true>&, const Matrix<bf16, true>&, const Output<float>&,
                       const Extents&);
template void multiply(bf16, const char*, const Matrix<bf16, false>&, const Matrix<bf16, false>&, const Output<float>&,
                       const Extents&);

}  // namespace costate::cuda
