// The costate command: parses the line, runs one subcommand, turns errors into messages and exit codes.
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>

#include "core/config.h"
#include "core/error.h"
#include "core/kernels/about.h"
#include "core/memory.h"
#include "io/atomic_file.h"
#include "tools/arguments.h"
#include "tools/common.h"
#include "tools/ranks.h"

namespace {

constexpr int done = 0, failed = 1, wrong_usage = 2;

/// "costate 0.9.0 (AVX2, built without CUDA)", or "... built with CUDA 12.4; here: driver for CUDA 12.6, cuDNN 9.13.1)".
std::string version_text() {
  using costate::Device;
  std::string host, device;
  costate::about_kernel.always(Device::cpu, host);
  if (costate::is_built(Device::cuda)) costate::about_kernel.always(Device::cuda, device);
  return fmt::format("costate {} ({}, built {})", costate::version(), host,
                     device.empty() ? "without CUDA" : "with " + device);
}

using Actions = std::vector<std::pair<CLI::App*, std::function<void()>>>;

/// Throws for a misspelt subcommand, with the nearest that exist, and for none.
void check_subcommand(const std::vector<costate::Command>& commands, char** word) {
  std::vector<std::string> names;
  for (const auto& c : commands) {
    names.push_back(c.name);
    if (*word == nullptr || c.name != *word) continue;
    if (c.parts != nullptr) check_subcommand(c.parts(), word + 1);
    return;
  }
  if (*word == nullptr)
    throw costate::UsageError(fmt::format("a further subcommand is wanted; there are: {}", fmt::join(names, ", ")));
  if (**word != '-') costate::as_usage([&] { costate::fail_unknown("subcommand", *word, names); });
}

/// Throws for words that were not expected: for an option, with the nearest that exist.
[[noreturn]] void check_options(const CLI::App& app, const CLI::ExtrasError& e) {
  const CLI::App* sub = &app;
  while (!sub->get_subcommands().empty()) sub = sub->get_subcommands().front();
  std::vector<std::string> names;
  for (const CLI::Option* option : sub->get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  for (const auto& word : app.remaining(true)) {
    if (!word.starts_with("--")) continue;
    const std::string name = word.substr(0, word.find('='));
    if (std::find(names.begin(), names.end(), name) != names.end())
      throw costate::UsageError(name + ": stands before the subcommand, whose option it is; give it after");
    costate::as_usage([&] { costate::fail_unknown("option", name, names); });
  }
  throw costate::UsageError(e.what());
}

/// What the parser says of too many values, or too few, in other words.
std::string plain(std::string said) {
  for (const auto& [theirs, ours] : {std::pair(": At Most 1 required but", ": is given more than once"),
                                     std::pair(": 1 required", ": wants a value")})
    if (const auto at = said.find(theirs); at != std::string::npos) return said.substr(0, at) + ours;
  return said;
}

/// What the library says of its inputs, with the option that brings them.
std::string with_option(std::string said) {
  constexpr std::string_view place = "among the inputs";
  if (const auto at = said.find(place); at != std::string::npos)
    said.insert(at + place.size(), ", which are the datasets of --start FILE.h5 (encode: of --in)");
  return said;
}

/// The action, refused to several processes where it does not share its work among them.
std::function<void()> for_ranks(const costate::Command& command, std::function<void()> action) {
  if (command.among_ranks || costate::ranks().count == 1) return action;
  return [name = command.name] {
    throw costate::UsageError(
        fmt::format("{} does not share its work; run it as one process, not as {}", name, costate::ranks().count));
  };
}

void declare(CLI::App& app, const std::vector<costate::Command>& commands, Actions& actions) {
  for (const auto& command : commands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    sub->footer("Examples:\n" + command.examples);
    costate::Arguments arguments(sub);
    if (command.parts == nullptr) {
      actions.emplace_back(sub, for_ranks(command, command.declare(arguments)));
    } else {
      sub->require_subcommand(1);
      declare(*sub, command.parts(), actions);
    }
  }
}

int run(int argc, char** argv) {
  CLI::App app(
      "costate: sample diffusion models and differentiate through the sampler.\n"
      "No ML framework, no Python: trained weights in, pictures and gradients out.",
      "costate");
  app.set_version_flag("--version", version_text);
  app.require_subcommand(0, 1);
  app.footer(
      "Start here:\n  costate sample fashion-unet --out garments.png\n  costate info fashion-unet\n  costate "
      "SUBCOMMAND --help");
  Actions actions;
  declare(app, costate::commands(), actions);
  if (argc > 1) check_subcommand(costate::commands(), argv + 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);  // --help and --version
  } catch (const CLI::ExtrasError& e) {
    check_options(app, e);
  } catch (const CLI::ParseError& e) {
    throw costate::UsageError(plain(e.what()));
  }
  for (const auto& [sub, action] : actions) {
    if (sub->parsed()) {
      action();
      return done;
    }
  }
  std::cout << app.help();
  return done;
}

/// Runs the line; what went wrong becomes an exit code and a message.
costate::Ending ending_of(int argc, char** argv) {
  const int rank = costate::ranks().rank;
  const auto said = [&](const std::string& what) {
    return rank == 0 ? "costate: " + what + "\n" : fmt::format("costate: rank {}: {}\n", rank, what);
  };
  try {
    const int code = run(argc, argv);
    std::cout.flush();
    costate::require(std::cout.good(), "stdout: cannot be written (full disk or closed pipe)");
    return {code, {}};
  } catch (const costate::RankFailed& e) {
    return e.ending;
  } catch (const costate::UsageError& e) {
    return {wrong_usage, said(e.what()) + "Try costate --help, or costate SUBCOMMAND --help.\n"};
  } catch (const std::bad_alloc&) {
    return {failed, said("out of memory; use a smaller batch, image or network")};
  } catch (const std::exception& e) {
    return {failed, said(with_option(e.what()))};
  }
}

}  // namespace

/// Ends the program as the signal does, but leaves no half of a file.
extern "C" void interrupted(int signal) {
  costate::remove_temporaries();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

int main(int argc, char** argv) {
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file that may grow no further is a failed write, which is reported, not a killed program
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    if (std::signal(signal, interrupted) == SIG_IGN) std::signal(signal, SIG_IGN);  // nohup stays what it is
  costate::join_ranks(argc, argv);
  costate::set_command_line(argc, argv);
  const costate::Ending ending = costate::leave_ranks(ending_of(argc, argv));
  std::cerr << ending.message;
  return ending.code;
}
