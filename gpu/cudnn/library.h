// cuDNN, looked for at run time, and its descriptors with C++ owners.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "gpu/cudnn/api.h"

namespace costate::cuda::cudnn {

/// The library: libcudnn.so.9 as the system finds it, or $COSTATE_CUDNN. Throws, saying what was tried, where there is none.
const Functions& library();
/// Whether library() would not throw.
bool is_there();
/// "9.19.0"
std::string version();

/// This process's context on the device, its work queued on gpu/runtime.h's stream. Opens it; throws where it cannot be.
Handle context();

/// Throws unless `status` is a success; says what was asked and what cuDNN says to it.
void check(int status, const char* what);

/// A backend descriptor: attributes are set, it is finalized, and then it is read or given to others.
class Descriptor {
 public:
  explicit Descriptor(Kind kind) { check(library().make(kind, &raw_), "a descriptor"); }
  Descriptor(Descriptor&& o) noexcept : raw_(std::exchange(o.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& o) noexcept { return std::swap(raw_, o.raw_), *this; }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (raw_ != nullptr) library().destroy(raw_);
  }

  template <class T>
  Descriptor& set(Attribute a, const T* values, std::size_t count) {
    static_assert(std::is_pointer_v<T> || element_of<T> != Element::pointer, "a type that cuDNN has no name for");
    check(library().set(raw_, a, element_of<T>, static_cast<std::int64_t>(count), values), "an attribute");
    return *this;
  }
  template <class T>
  Descriptor& set(Attribute a, const std::vector<T>& values) {
    return set(a, values.data(), values.size());
  }
  template <class T>
  Descriptor& set(Attribute a, T value) {
    return set(a, &value, 1);
  }
  Descriptor& set(Attribute a, const Descriptor& d) { return set(a, d.raw_); }

  /// What it says; `most` values at most.
  template <class T>
  [[nodiscard]] std::vector<T> get(Attribute a, std::int64_t most = 1) const {
    std::vector<T> values(static_cast<std::size_t>(most));
    std::int64_t count = 0;
    check(library().get(raw_, a, element_of<T>, most, &count, values.data()), "a property");
    values.resize(static_cast<std::size_t>(count < most ? count : most));
    return values;
  }

  Descriptor& finalize(const char* what) { return check(library().finalize(raw_), what), *this; }
  /// False where cuDNN has nothing for it.
  [[nodiscard]] bool try_finalize() { return library().finalize(raw_) == success; }

  [[nodiscard]] Raw raw() const { return raw_; }

 private:
  Raw raw_ = nullptr;
};

}  // namespace costate::cuda::cudnn
