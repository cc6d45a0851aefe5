// An HDF5 file that is built in memory. Not for others than the writer.
//
// libhdf5 does not survive a failed write: it keeps the file half open and crashes when the program ends. So it never
// sees the disk: it writes into this image, and costate writes the image. Costs the size of the file in memory.
#pragma once

#include <hdf5.h>

#include <cstddef>
#include <string_view>

namespace costate::hdf5 {

class Image {
 public:
  Image() = default;
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  ~Image();

  /// Makes a file that is created with this access list live here. The image must outlive the file. False on failure.
  bool attach(hid_t access);
  /// The finished file, once it is closed; empty when its superblock (version 3) makes no sense.
  [[nodiscard]] std::string_view bytes() const;

 private:
  static void* allocate(std::size_t size, H5FD_file_image_op_t op, void* self);
  static void* resize(void* data, std::size_t size, H5FD_file_image_op_t op, void* self);
  static void* copy(void* to, const void* from, std::size_t size, H5FD_file_image_op_t op, void* self);
  static herr_t release(void* data, H5FD_file_image_op_t op, void* self);

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace costate::hdf5
