// The options of subcommands, by CLI11.
#include "tools/arguments.h"

#include <CLI/CLI.hpp>
#include <cmath>

namespace costate {

namespace {

CLI::App& app_of(void* app) { return *static_cast<CLI::App*>(app); }

template <class T>
void add(void* app, const std::string& names, T& value, const std::string& help, const std::string& shown) {
  app_of(app).add_option(names, value, help)->type_name(shown);
}

}  // namespace

void Arguments::positional(const std::string& name, std::string& value, const std::string& help, bool required) {
  app_of(app_).add_option(name, value, help)->type_name("")->required(required);
}
void Arguments::option(const std::string& n, std::string& v, const std::string& help, const std::string& shown) {
  add(app_, n, v, help, shown);
}
void Arguments::option(const std::string& n, double& v, const std::string& help, const std::string& shown) {
  const auto finite = [](const std::string& text) {  // NaN says "not given" inside
    double value = 0;
    const bool good = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
    return good ? std::string() : "'" + text + "' is not a finite number";
  };
  app_of(app_).add_option(n, v, help)->type_name(shown)->check(finite);
}
void Arguments::option(const std::string& n, std::int64_t& v, const std::string& help, const std::string& shown) {
  add(app_, n, v, help, shown);
}
void Arguments::option(const std::string& n, std::uint64_t& v, const std::string& help, const std::string& shown) {
  add(app_, n, v, help, shown);
}
void Arguments::option(const std::string& n, std::vector<std::string>& v, const std::string& help,
                       const std::string& shown) {
  app_of(app_)
      .add_option(n, v, help)
      ->type_name(shown)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}
void Arguments::flag(const std::string& names, bool& value, const std::string& help) {
  app_of(app_).add_flag(names, value, help);
}

std::vector<std::string> word_list(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + ",") {
    if (c != ',')
      word += c;
    else if (!word.empty())
      words.push_back(std::exchange(word, {}));
  }
  return words;
}

std::vector<std::int64_t> integer_list(const std::string& option, const std::string& text) {
  std::vector<std::int64_t> list;
  for (const auto& word : word_list(text)) {
    std::size_t used = 0;
    try {
      list.push_back(std::stoll(word, &used));
    } catch (const std::logic_error&) {
    }
    if (used != word.size())
      throw UsageError(option + ": '" + word + "' is not a whole number; give one, or several as 0,1,2");
  }
  if (list.empty()) throw UsageError(option + ": the list is empty");
  return list;
}

}  // namespace costate
