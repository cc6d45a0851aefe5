// Products of matrices in f64.
#include "gpu/products/product.h"

namespace costate::cuda {

template void multiply(double, const char*, const Matrix<double, true>&, const Matrix<double, true>&,
                       const Output<double>&, const Extents&);
template void multiply(double, const char*, const Matrix<double, true>&, const Matrix<double, false>&,
                       const Output<double>&, const Extents&);
template void multiply(double, const char*, const Matrix<double, false>&, const Matrix<double, true>&,
                       const Output<double>&, const Extents&);
template void multiply(double, const char*, const Matrix<double, false>&, const Matrix<double, false>&,
                       const Output<double>&, const Extents&);

}  // namespace costate::cuda
