// Declaring a subcommand's options, without every command having to include the option parser.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace costate {

/// Thrown for a wrong command line: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One subcommand's options. A referenced variable keeps its value where the option is not given, an optional one nothing; it
/// must outlive parsing.
class Arguments {
 public:
  explicit Arguments(void* app) : app_(app) {}
  void positional(const std::string& name, std::string& value, const std::string& help, bool required = true);
  void option(const std::string& names, std::string& value, const std::string& help, const std::string& shown = "TEXT");
  void option(const std::string& names, double& value, const std::string& help, const std::string& shown = "X");
  void option(const std::string& names, std::optional<double>& value, const std::string& help,
              const std::string& shown = "X");
  void option(const std::string& names, std::int64_t& value, const std::string& help, const std::string& shown = "N");
  void option(const std::string& names, std::optional<std::int64_t>& value, const std::string& help,
              const std::string& shown = "N");
  void option(const std::string& names, std::uint64_t& value, const std::string& help, const std::string& shown = "N");
  /// May be repeated.
  void option(const std::string& names, std::vector<std::string>& values, const std::string& help,
              const std::string& shown = "FILE");
  void flag(const std::string& names, bool& value, const std::string& help);

 private:
  void* app_;
};

/// A subcommand: one file of tools/commands each.
struct Command {
  std::string name, summary;
  std::string examples;  ///< shown below --help; work as pasted on the bundled model
  /// Declares the options and returns what to run once they are parsed.
  std::function<std::function<void()>(Arguments&)> declare;
  /// Or it is a group of further subcommands, one of which is to be given.
  const std::vector<Command>& (*parts)() = nullptr;
  bool among_ranks = false;  ///< shares its work where there are several processes; others are refused there
};

/// All subcommands, from the files of tools/commands.
const std::vector<Command>& commands();
/// The subcommands of `costate study`, from the files of tools/studies.
const std::vector<Command>& studies();

/// "a,b,c" as words, none where the text is empty; throws UsageError, naming the option, for an empty one as in "a,,c".
std::vector<std::string> words_of(const std::string& option, const std::string& text);
/// The same as integers; throws UsageError, naming the option.
std::vector<std::int64_t> integer_list(const std::string& option, const std::string& text);

/// Runs `check`, which looks at values from the command line: its Error becomes a UsageError.
template <class Check>
decltype(auto) as_usage(Check&& check) {
  try {
    return check();
  } catch (const UsageError&) {
    throw;
  } catch (const std::runtime_error& e) {
    throw UsageError(e.what());
  }
}

}  // namespace costate
