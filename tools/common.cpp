// Options that every subcommand shares.
#include "tools/common.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <regex>

#include "core/kernels/conv2d.h"
#include "core/kernels/matmul.h"
#include "core/kernels/memory.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "io/atomic_file.h"
#include "tools/model/course.h"
#include "tools/ranks.h"

namespace costate {

void Common::declare(Arguments& a, const std::vector<std::string>& extensions, bool takes_model) {
  writes = extensions;
  if (takes_model) {
    a.positional("MODEL", model,
                 "bundled name (fashion-unet), diffusers folder, checkpoint, costate .h5, or exact problem .json");
    a.option("--config", config, "configuration of a checkpoint that brings none", "FILE");
    a.option("--scheduler", scheduler, "diffusers scheduler_config.json: its schedule, prediction, grid and sampler",
             "FILE");
    a.flag("--compat", compat,
           "with a diffusers scheduler: do as that library does where it departs from the published formula");
    a.option("--key", key, "which dictionary of a nested checkpoint holds the weights, such as ema", "NAME");
    a.option("--dtype", dtype, "what the network computes in: f32, f64 or bf16 [f32]", "TYPE");
  }
  a.option("--device", device, "cpu or cuda [cpu]", "NAME");
  a.option("--conv", conv,
           "how convolutions are computed: on cpu auto (Winograd where it pays in f32) or direct [auto]; on cuda own "
           "(as auto on cpu), direct, cudnn (attention, too; its bits are the same each time, but it promises none "
           "across batches), or auto, the faster of own and cudnn as first measured here [own]",
           "HOW");
  a.option("--matmul", matmul,
           "what products and convolutions in f32 round their factors to: f32 (not at all), or on cuda tf32 (tensor "
           "cores, 1e-3) [f32]",
           "TYPE");
  a.option("--threads", threads, "threads of the CPU [all cores this process may use]");
  a.option("--seed", seed, "seed of all noise [0]");
  if (!writes.empty())
    a.option("--out", out,
             fmt::format("a file to write{}: {}", writes.size() > 1 ? ", its extension says what; may be repeated" : "",
                         fmt::join(writes, ", ")));
  a.flag("--json", json, "one JSON document on stdout and nothing else");
  a.flag("--quiet", quiet, "no progress line");
}

DType Common::type() const {
  for (const DType t : {DType::f32, DType::f64, DType::bf16}) {
    if (dtype == name_of(t)) return t;
  }
  throw UsageError("--dtype " + dtype + ": there are f32, f64 and bf16");
}

Device Common::place() const {
  for (const Device d : {Device::cpu, Device::cuda}) {
    if (device == name_of(d)) return d;
  }
  throw UsageError("--device " + device + ": there are cpu and cuda");
}

void Common::choose_products() const {
  using Way = std::pair<std::string, ConvAlgorithm>;
  const std::vector<Way> host{{"auto", ConvAlgorithm::own}, {"direct", ConvAlgorithm::direct}},
      own{{"own", ConvAlgorithm::own},
          {"direct", ConvAlgorithm::direct},
          {"cudnn", ConvAlgorithm::vendor},
          {"auto", ConvAlgorithm::faster}};
  const auto& ways = place() == Device::cpu ? host : own;
  const auto way =
      std::find_if(ways.begin(), ways.end(), [&](const Way& w) { return conv.empty() || w.first == conv; });
  if (way == ways.end())
    throw UsageError(fmt::format("--conv {}: on --device {} there are {}", conv, device,
                                 place() == Device::cpu ? "auto and direct" : "own, direct, cudnn and auto"));
  set_conv_algorithm(way->second, place());
  if (matmul != "f32" && matmul != "tf32") throw UsageError("--matmul " + matmul + ": there are f32 and tf32");
  if (matmul == "tf32" && place() == Device::cpu) throw UsageError("--matmul tf32: a CPU has none; use --device cuda");
  set_products_in_f32(matmul == "tf32" ? Products::tf32 : Products::full);
}

constexpr std::int64_t most_threads = 1024;

void Common::apply() const {
  static_cast<void>(type());
  choose_kernel.always(place(), ranks().local);
  require_device(place());
  choose_products();
  if (threads && (*threads < 1 || *threads > most_threads))
    throw UsageError(fmt::format("--threads {}: give 1 to {}, or leave it out for all cores", *threads, most_threads));
  set_thread_count(threads ? static_cast<int>(*threads) : std::max(1, thread_count() / ranks().sharing));
  for (const auto& file : out) {
    const std::string extension = std::filesystem::path(file).extension().string();
    if (std::find(writes.begin(), writes.end(), extension) != writes.end()) continue;
    throw UsageError(fmt::format("--out {}: this subcommand writes {}", file, fmt::join(writes, ", ")));
  }
  // What cannot be written is said before the work, not after it.
  if (ranks().rank == 0)
    for (const auto& file : out) static_cast<void>(AtomicFile(file));
}

Model Common::load(bool weights) const {
  Model loaded = load_model(model, {.dtype = type(),
                                    .device = place(),
                                    .config = config,
                                    .scheduler = scheduler,
                                    .compat = compat,
                                    .key = key,
                                    .weights = weights});
  if (compat && loaded.scheduler().keys().empty())
    throw UsageError("--compat: " + loaded.name +
                     " brings no scheduler whose library could be followed; name one with --scheduler");
  return loaded;
}

Model Common::load_to_sample() const { return denoising_part(load()); }

std::vector<std::string> Common::outputs(const std::string& extension) const {
  std::vector<std::string> found;
  for (const auto& file : out) {
    if (std::filesystem::path(file).extension() == extension) found.push_back(file);
  }
  return found;
}

Progress Common::progress(const std::string& what) const {
  if (quiet || json || ranks().rank > 0 || isatty(STDERR_FILENO) == 0) return {};
  using clock = std::chrono::steady_clock;
  return [what, start = clock::now(), shown = clock::time_point()](std::int64_t done, std::int64_t total) mutable {
    const auto now = clock::now();
    if (done < total && now - shown < std::chrono::milliseconds(100)) return;
    shown = now;
    const double spent = std::chrono::duration<double>(now - start).count();
    const double left = done > 0 ? spent * static_cast<double>(total - done) / static_cast<double>(done) : 0;
    const int filled = static_cast<int>(30 * done / std::max<std::int64_t>(total, 1));
    std::cerr << fmt::format("\r{} [{:=<{}}{: <{}}] {}/{}  {:.0f} s left ", what, "", filled, "", 30 - filled, done,
                             total, left);
    if (done >= total) std::cerr << "\r\033[K";
    std::cerr << std::flush;
  };
}

namespace {
std::string& stored_command_line() {
  static std::string line;
  return line;
}

/// A word as a shell reads it back.
std::string quoted(const std::string& word) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string("%+,-./:=@_").find(static_cast<char>(c)) != std::string::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}
}  // namespace

const std::string& command_line() { return stored_command_line(); }
void set_command_line(int argc, char** argv) {
  stored_command_line() = "costate";
  for (int i = 1; i < argc; ++i) stored_command_line() += " " + quoted(argv[i]);
}

std::string without_options(const std::string& command, const std::string& names) {
  const std::regex some(" --(quiet|json|(" + names +
                        ")[ =]('[^']*'|\\\\'|[^ '\\\\])+)(?= |$)");  // as quoted() writes a word
  return std::regex_replace(command, some, "");
}

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width;
  for (const auto& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(width[i] - row[i].size(), ' ');
      if (i > 0) line += "  ";
      line += i == 0 ? row[i] + gap : gap + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace costate
