// Finding cuDNN and opening its context.
#include "gpu/cudnn/library.h"

#include <dlfcn.h>

#include <array>
#include <cstdlib>

#include "gpu/runtime.h"

namespace costate::cuda::cudnn {
namespace {

constexpr std::size_t oldest = 91301;  // 9.13.1: the first with attention as one operation

template <class F>
void find(void* file, const char* name, F& f) {
  f = reinterpret_cast<F>(dlsym(file, name));
  require(f != nullptr, "cuDNN: the library has no {}; cuDNN 9 is wanted", name);
}

Functions load() {
  const char* const said = std::getenv("COSTATE_CUDNN");
  const std::string name = said != nullptr ? said : "libcudnn.so.9";
  void* const file = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (file == nullptr) {
    const char* const why = dlerror();
    fail("cuDNN: {}; install cuDNN 9, set COSTATE_CUDNN to its libcudnn.so.9, or use --conv own",
         why == nullptr ? name.c_str() : why);
  }
  Functions f;
  find(file, "cudnnGetVersion", f.version);
  find(file, "cudnnGetErrorString", f.error_string);
  find(file, "cudnnGetLastErrorString", f.last_error);
  find(file, "cudnnCreate", f.create);
  find(file, "cudnnSetStream", f.set_stream);
  find(file, "cudnnBackendCreateDescriptor", f.make);
  find(file, "cudnnBackendDestroyDescriptor", f.destroy);
  find(file, "cudnnBackendFinalize", f.finalize);
  find(file, "cudnnBackendSetAttribute", f.set);
  find(file, "cudnnBackendGetAttribute", f.get);
  find(file, "cudnnBackendExecute", f.execute);
  require(f.version() >= oldest, "cuDNN: {} is version {}; 9.13.1 or later is wanted", name, f.version());
  return f;
}

}  // namespace

// Neither the library nor the context is ever given back: tensors of static lifetime may hold what was made with them.
const Functions& library() {
  static const Functions& found = *new Functions(load());
  return found;
}

bool is_there() try {
  library();
  return true;
} catch (const Error&) {
  return false;
}

std::string version() {
  const std::size_t v = library().version();
  return fmt::format("{}.{}.{}", v / 10000, v / 100 % 100, v % 100);
}

Handle context() {
  static const Handle opened = [] {
    cudaStream_t const on = stream();  // opens the device
    Handle handle{};
    check(library().create(&handle), "a context on the device");
    check(library().set_stream(handle, on), "a context on the device");
    return handle;
  }();
  return opened;
}

void check(int status, const char* what) {
  if (status == success) return;
  std::array<char, 512> more{};
  library().last_error(more.data(), more.size() - 1);
  fail("cuDNN {}: {}: {}{}{}", version(), what, library().error_string(status), more[0] == '\0' ? "" : "; ",
       more.data());
}

}  // namespace costate::cuda::cudnn
