// Options that every subcommand shares, and what they stand for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/isa.h"
#include "core/progress.h"
#include "tools/arguments.h"
#include "tools/model/model.h"

namespace costate {

struct Common {
  std::string model;
  std::string dtype = "f32", device = "cpu", conv, matmul = "f32";
  std::optional<std::int64_t> threads;  ///< else all cores
  std::uint64_t seed = 0;
  std::vector<std::string> out, writes;  ///< files, and the extensions that they may have
  std::string config, key, scheduler;
  bool compat = false, json = false, quiet = false;

  /// `extensions` are what --out may end in; without any there is no --out.
  void declare(Arguments& a, const std::vector<std::string>& extensions, bool takes_model = true);
  /// Checks dtype, device and --out, sets the thread count and the convolutions' algorithm.
  void apply() const;
  [[nodiscard]] DType type() const;
  [[nodiscard]] Device place() const;
  [[nodiscard]] Model load(bool weights = true) const;  ///< without weights: see LoadOptions
  /// The same as samplers run it: of a network with a part `denoise`, that part.
  [[nodiscard]] Model load_to_sample() const;
  /// How convolutions and products are done, by the names that the device has.
  void choose_products() const;
  /// A progress line on stderr with the time left; silent when stderr is no terminal, and with --quiet.
  [[nodiscard]] Progress progress(const std::string& what) const;
  /// The --out files with this extension.
  [[nodiscard]] std::vector<std::string> outputs(const std::string& extension) const;
};

/// The command line this process was started with, as a shell takes it, from wherever costate was run; written into every
/// result.
const std::string& command_line();
void set_command_line(int argc, char** argv);
/// A command line without --quiet, --json and the options named ("threads|batch"), each with its value: what is left says
/// whether a run that goes on is the run that was stopped.
std::string without_options(const std::string& command, const std::string& names);

/// A text table: right-aligned numbers under a heading, two spaces between columns.
std::string text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace costate
