// The memory behind libhdf5's core driver, kept when the driver lets go of it.
#include "io/hdf5_image.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace costate::hdf5 {
namespace {

constexpr std::size_t increment = std::size_t{1} << 16;  // realloc moves large blocks without copying them
constexpr std::size_t end_of_file = 28;                  // where a superblock of version 3 keeps the file's length

void* same(void* self) { return self; }
herr_t keep(void*) { return 0; }

}  // namespace

Image::~Image() { std::free(data_); }

void* Image::allocate(std::size_t size, H5FD_file_image_op_t op, void* self) {
  auto& image = *static_cast<Image*>(self);
  std::free(image.data_);  // of a file that was opened and closed before
  image.data_ = nullptr;
  return resize(nullptr, size, op, self);
}

void* Image::resize(void* data, std::size_t size, H5FD_file_image_op_t, void* self) {
  auto& image = *static_cast<Image*>(self);
  void* p = std::realloc(data, size);
  if (p == nullptr) return nullptr;
  image.data_ = p;
  image.size_ = size;
  return p;
}

void* Image::copy(void* to, const void* from, std::size_t size, H5FD_file_image_op_t, void*) {
  return std::memcpy(to, from, size);
}

// Called when the file is closed: the bytes are complete now and stay ours.
herr_t Image::release(void*, H5FD_file_image_op_t, void*) { return 0; }

bool Image::attach(hid_t access) {
  H5FD_file_image_callbacks_t callbacks = {allocate, copy, resize, release, same, keep, this};
  return H5Pset_fapl_core(access, increment, false) >= 0 && H5Pset_file_image_callbacks(access, &callbacks) >= 0;
}

std::string_view Image::bytes() const {
  std::uint64_t length = 0;
  if (size_ < end_of_file + sizeof length) return {};
  const auto* p = static_cast<const char*>(data_);
  std::memcpy(&length, p + end_of_file, sizeof length);
  return p[8] == 3 && length <= size_ ? std::string_view(p, length) : std::string_view();
}

}  // namespace costate::hdf5
