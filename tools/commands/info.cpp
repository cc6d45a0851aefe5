// costate info: what a model is, and on request the memory it takes.
#include <sys/resource.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/memory.h"
#include "io/atomic_file.h"
#include "tools/common.h"
#include "tools/model/describe.h"
#include "tools/model/inputs.h"

namespace costate {
namespace {

struct Options {
  Common common;
  bool memory = false;
};

/// Loads the model and evaluates it once: bytes of its file, of the weights, of what kernels hang on them (packed and
/// transformed copies), and the most the process had in real memory. The last also counts pages of the mapped file, which the
/// system may take back.
nlohmann::ordered_json memory_of(const Common& o) {
  const Device device = o.place();
  const std::int64_t before = memory_use(device).live;
  const Model m = o.load();
  require(!m.is_exact(), "info --memory: {} is an exact problem, not a network", m.name);
  const std::int64_t loaded = memory_use(device).live - before;
  nlohmann::ordered_json j{{"file", std::filesystem::file_size(m.file)}, {"weights", loaded}};
  if (m.network->signature().whole) {
    static_cast<void>((*m.network)(noise_inputs(m, o.seed, 1)));
    j["packed"] = memory_use(device).live - before - loaded;
  }
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  j["resident_peak"] = std::int64_t{use.ru_maxrss} * 1024;
  return j;
}

/// For a reader: a long list, such as a schedule's betas, as its ends and its length.
nlohmann::ordered_json abridged(nlohmann::ordered_json value) {
  constexpr std::size_t longest = 8;
  if (value.is_array() && value.size() > longest)
    return fmt::format("{} ... {} ({} of them)", value.front().dump(), value.back().dump(), value.size());
  if (value.is_structured())
    for (auto& each : value) each = abridged(each);
  return value;
}

void run_info(const Options& o) {
  o.common.apply();
  auto j = describe(o.common.load(false));
  if (o.memory) j["memory"] = memory_of(o.common);
  for (const auto& file : o.common.outputs(".json")) write_file(file, j.dump(2) + "\n");
  if (o.common.json) {
    std::cout << j.dump(2) << "\n";
    return;
  }
  for (const auto& [key, value] : j.items())
    std::cout << fmt::format("{:<16} {}\n", key, value.is_string() ? value.get<std::string>() : abridged(value).dump());
}

}  // namespace

Command info_command() {
  return {"info", "what a model is: family, parameters, shapes, prediction, schedule; reads no weights",
          "  costate info fashion-unet\n"
          "  costate info fashion-unet --memory\n"
          "  costate info fashion-unet --json",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, {".json"});
            a.flag("--memory", o->memory, "also load and evaluate it: bytes of the file, the weights, packed copies");
            return [o] { run_info(*o); };
          }};
}

}  // namespace costate
