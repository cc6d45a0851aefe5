// The types that libhdf5 has ready, and the two it has not: f16 and booleans.
#include "io/hdf5_types.h"

namespace costate::hdf5 {
namespace {

Handle half_type(const std::string& where) {
  Handle type = check(H5Tcopy(H5T_IEEE_F32LE), H5Tclose, where);
  check(H5Tset_fields(type, 15, 10, 5, 0, 10) >= 0 && H5Tset_size(type, 2) >= 0 && H5Tset_ebias(type, 15) >= 0, where);
  return type;
}

bool is_half(hid_t type) {
  std::size_t sign = 0, exponent = 0, exponent_bits = 0, mantissa = 0, mantissa_bits = 0;
  return H5Tget_size(type) == 2 &&
         H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 && sign == 15 &&
         exponent == 10 && exponent_bits == 5 && mantissa == 0 && mantissa_bits == 10 && H5Tget_ebias(type) == 15;
}

Handle boolean_type(const std::string& where) {
  Handle type = check(H5Tenum_create(H5T_STD_I8LE), H5Tclose, where);
  for (const signed char value : {0, 1}) check(H5Tenum_insert(type, value == 0 ? "FALSE" : "TRUE", &value) >= 0, where);
  return type;
}

// One of libhdf5's own, which nobody closes.
hid_t ready_type(Element element) {
  switch (element) {
    case Element::f64:
      return H5T_IEEE_F64LE;
    case Element::f32:
      return H5T_IEEE_F32LE;
    case Element::i64:
      return H5T_STD_I64LE;
    case Element::u64:
      return H5T_STD_U64LE;
    case Element::i32:
      return H5T_STD_I32LE;
    case Element::u32:
      return H5T_STD_U32LE;
    case Element::i16:
      return H5T_STD_I16LE;
    case Element::u16:
    case Element::bf16:
      return H5T_STD_U16LE;
    case Element::i8:
      return H5T_STD_I8LE;
    case Element::u8:
    case Element::boolean:
      return H5T_STD_U8LE;
    default:
      return H5I_INVALID_HID;
  }
}

}  // namespace

Handle memory_type(Element element, const std::string& where) {
  if (element == Element::f16) return half_type(where);
  const hid_t ready = ready_type(element);
  require(ready >= 0, "{}: {} elements have no type in HDF5", where, name_of(element));
  return check(H5Tcopy(ready), H5Tclose, where);
}

Handle file_type(Element element, const std::string& where) {
  return element == Element::boolean ? boolean_type(where) : memory_type(element, where);
}

Element element_of(hid_t type, const std::string& where) {
  const std::size_t size = H5Tget_size(type);
  const H5T_class_t kind = H5Tget_class(type);
  require(kind == H5T_FLOAT || kind == H5T_INTEGER || kind == H5T_ENUM, "{}: is not a dataset of numbers", where);
  require(size <= 8, "{}: numbers of {} bytes are not supported; store floats as f64, integers as i64", where, size);
  if (kind == H5T_FLOAT) return size == 8 ? Element::f64 : is_half(type) ? Element::f16 : Element::f32;
  if (kind == H5T_ENUM) return size == 1 && H5Tget_nmembers(type) == 2 ? Element::boolean : Element::i64;
  const bool has_sign = H5Tget_sign(type) != H5T_SGN_NONE;
  if (size == 1) return has_sign ? Element::i8 : Element::u8;
  if (size == 2) return has_sign ? Element::i16 : Element::u16;
  if (size <= 4) return has_sign ? Element::i32 : Element::u32;
  return has_sign ? Element::i64 : Element::u64;
}

}  // namespace costate::hdf5
