// Choosing between own kernels and cuDNN's.
#include "gpu/cudnn/either.h"

#include <algorithm>
#include <chrono>

#include "core/profile.h"
#include "gpu/cudnn/choices.h"
#include "gpu/runtime.h"

namespace costate::cuda::cudnn {
namespace {

/// The least of three groups of calls; the first calls load code.
double microseconds(const Work& work) {
  constexpr int warm = 3, calls = 10, groups = 3;
  const auto run = [&](int times) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) work();
    wait("conv2d");
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / times;
  };
  double least = (run(warm), run(calls));
  for (int group = 1; group < groups; ++group) least = std::min(least, run(calls));
  return least;
}

/// The chip and the library that choices are for.
const std::string& where() {
  static const std::string said = [] {
    cudaDeviceProp about{};
    cuda::check("device cuda", cudaGetDeviceProperties(&about, device()));
    return fmt::format("{}, cuDNN {}", about.name, version());
  }();
  return said;
}

/// What is not known while work is rehearsed or recorded is not found out then: the call before that did.
bool is_theirs_faster(const std::string& what, const Work& own, const Work& theirs) {
  static Choices& choices = *new Choices(choices_file());
  const std::string key = where() + ": " + what;
  return (watcher() == nullptr || choices.knows(key)) && choices.theirs(key, own, theirs, microseconds);
}

/// Whether cuDNN did it. If not, nothing was done.
template <class Problem>
bool by_cudnn(const Problem& p, bool fits, const Work& own, const std::function<void(const Plan&)>& theirs) {
  const ConvAlgorithm how = conv_algorithm(Device::cuda);
  if (how == ConvAlgorithm::own || how == ConvAlgorithm::direct || !fits) return false;
  if (how == ConvAlgorithm::faster && !is_there()) return false;
  const auto plan = plan_for(Target(), p);
  if (plan == nullptr) return false;
  const Work by_plan = [&] { theirs(*plan); };
  if (how == ConvAlgorithm::faster && !is_theirs_faster(name_of(p), own, by_plan)) return false;
  if (profiling()) profile_note("cudnn");
  by_plan();
  return true;
}

template <class Problem>
void one_of(const Problem& p, bool fits, const Own& own, const std::function<void(const Plan&)>& theirs) {
  if (by_cudnn(p, fits, own.work, theirs)) return;
  if (profiling()) profile_note(own.name);
  own.work();
}

}  // namespace

void either(const Convolution& c, bool fits, const Own& own, const std::function<void(const Plan&)>& theirs) {
  one_of(c, fits, own, theirs);
}
void either(const Attention& a, bool fits, const Own& own, const std::function<void(const Plan&)>& theirs) {
  one_of(a, fits, own, theirs);
}

}  // namespace costate::cuda::cudnn
