// Element types as HDF5 has them, for the reader and the writer. To be called under hdf5::Lock.
#pragma once

#include <hdf5.h>

#include <string>

#include "io/element.h"
#include "io/hdf5_handle.h"

namespace costate::hdf5 {

/// What a dataset of `element` is made of: little endian; f16 and booleans as h5py writes them, bf16 as uint16.
Handle file_type(Element element, const std::string& where);
/// What its values are asked for in: as file_type, but booleans as bytes, whatever their two values are called.
Handle memory_type(Element element, const std::string& where);
/// What a type of a file is read as. Whole numbers are widened to the next size that machines have, floats other than f64
/// and f16 (8-bit ones, bf16 as a type of its own) to f32, enumerations that are not booleans to i64.
Element element_of(hid_t type, const std::string& where);

}  // namespace costate::hdf5
