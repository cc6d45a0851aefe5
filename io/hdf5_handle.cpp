// The lock of libhdf5 and the text of its error stack.
#include "io/hdf5_handle.h"

namespace costate::hdf5 {
namespace {

// Never destroyed: handles of static lifetime may be closed after it otherwise.
std::recursive_mutex*& mutex() {
  static auto* m = new std::recursive_mutex;
  return m;
}

herr_t keep_innermost(unsigned, const H5E_error2_t* error, void* text) {
  // called by C: an exception must not pass
  try {
    auto& out = *static_cast<std::string*>(text);
    if (error->desc != nullptr && *error->desc != '\0' && out.empty()) out = error->desc;
  } catch (...) {
    return -1;
  }
  return 0;
}

}  // namespace

Lock::Lock() : lock_(*mutex()) {
  H5open();
  H5PLget_loading_state(&plugins_);
  H5PLset_loading_state(0);
  H5Eget_auto2(H5E_DEFAULT, &printer_, &printer_data_);  // per thread in thread-safe builds
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Lock::~Lock() {
  H5Eset_auto2(H5E_DEFAULT, printer_, printer_data_);
  H5PLset_loading_state(plugins_);
}

void renew_lock_in_child() { mutex() = new std::recursive_mutex; }

std::string last_error() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &text);
  return text.empty() ? text : " (libhdf5: " + text + ")";
}

Handle check(hid_t id, herr_t (*close)(hid_t), const std::string& where) {
  check(id >= 0, where);
  return {id, close};
}

void check(bool ok, const std::string& where) {
  if (!ok) fail("{}{}", where, last_error());
}

}  // namespace costate::hdf5
