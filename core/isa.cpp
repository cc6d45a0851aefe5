// Which instruction set the kernels run on: asked of a function that is compiled for all of them.
#include "core/isa.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/isa.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace costate::HWY_NAMESPACE {
const char* target_name() { return hwy::TargetName(HWY_TARGET); }
}  // namespace costate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace costate {
HWY_EXPORT(target_name);
std::string instruction_set() { return HWY_DYNAMIC_DISPATCH(target_name)(); }
}  // namespace costate
#endif
