// Configurations: JSON text, and the networks and schedules that families make of it, on shapes alone.
#include "core/config.h"
#include "nn/family.h"
#include "solvers/schedule.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace costate;
  return fuzz::attempt([&] {
    const Config config = Config::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
    fuzz::attempt([&] { static_cast<void>(schedule_from(config.object("schedule"))); });
    std::string reason;
    const auto network = find_family(config, {}, reason).make(config, {});
    static_cast<void>(network->parameters());
    static_cast<void>(network->signature());
  });
}
