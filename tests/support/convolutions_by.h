// Convolutions computed another way for a while.
#pragma once

#include "core/kernels/conv2d.h"

namespace costate {

/// This way as long as it lives, then as before.
class ConvolutionsBy {
 public:
  explicit ConvolutionsBy(ConvAlgorithm how, Device device = Device::cpu)
      : device_(device), before_(conv_algorithm(device)) {
    set_conv_algorithm(how, device);
  }
  ConvolutionsBy(const ConvolutionsBy&) = delete;
  ConvolutionsBy& operator=(const ConvolutionsBy&) = delete;
  ~ConvolutionsBy() { set_conv_algorithm(before_, device_); }

 private:
  Device device_;
  ConvAlgorithm before_;
};

}  // namespace costate
