// What the HDF5 reader and writer share: the lock, owned identifiers, and libhdf5's errors as text. Not for others.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

#include "core/error.h"

namespace costate::hdf5 {

/// The one lock of the process, held as long as the object lives. Meanwhile libhdf5 prints no errors and loads no filter
/// plug-ins (code from a folder named by the environment); then it does again what the program had it do.
class Lock {
 public:
  Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock();

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  unsigned plugins_ = 0;
  H5E_auto2_t printer_ = nullptr;
  void* printer_data_ = nullptr;
};

/// For the child after fork: the lock it inherits is held by a thread that it does not have.
void renew_lock_in_child();

/// What libhdf5 had to say about the last failed call: its innermost message, " (libhdf5: ...)", or "".
std::string last_error();

/// Owns an identifier of any kind; closed under the lock by the function it came with.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& o) noexcept : id_(std::exchange(o.id_, H5I_INVALID_HID)), close_(o.close_) {}
  Handle& operator=(Handle&& o) noexcept {
    std::swap(id_, o.id_);
    std::swap(close_, o.close_);
    return *this;
  }
  ~Handle() { static_cast<void>(close()); }

  operator hid_t() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }
  /// Closes now; false when libhdf5 reports a failure (unwritten data).
  bool close() {
    if (id_ < 0) return true;
    const Lock lock;
    return close_(std::exchange(id_, H5I_INVALID_HID)) >= 0;
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
  herr_t (*close_)(hid_t) = nullptr;
};

/// A handle, or an Error of `where` and what libhdf5 says.
Handle check(hid_t id, herr_t (*close)(hid_t), const std::string& where);
/// Throws the same unless `ok`.
void check(bool ok, const std::string& where);

}  // namespace costate::hdf5
