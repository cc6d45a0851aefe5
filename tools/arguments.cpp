// The options of subcommands, by CLI11.
#include "tools/arguments.h"

#include <algorithm>
#include <charconv>
#include <CLI/CLI.hpp>
#include <cmath>

#include "core/spec.h"

namespace costate {

namespace {

CLI::App& app_of(void* app) { return *static_cast<CLI::App*>(app); }

/// Whole numbers within T. The parser would take the nearest for what is beyond, and -1 for the largest seed.
template <class T, class Value>
void add_whole(void* app, const std::string& names, Value& value, const std::string& help, const std::string& shown) {
  const auto whole = [](const std::string& text) {
    T number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc::result_out_of_range) return "'" + text + "' is out of range";
    const bool good = error == std::errc() && end == text.data() + text.size();
    return good ? std::string() : "'" + text + "' is not a whole number" + (std::is_signed_v<T> ? "" : " from 0 on");
  };
  app_of(app).add_option(names, value, help)->type_name(shown)->check(whole);
}

template <class Value>
void add_number(void* app, const std::string& names, Value& value, const std::string& help, const std::string& shown) {
  const auto finite = [](const std::string& text) {
    double number = 0;
    const bool good = CLI::detail::lexical_cast(text, number) && std::isfinite(number);
    return good ? std::string() : "'" + text + "' is not a finite number";
  };
  app_of(app).add_option(names, value, help)->type_name(shown)->check(finite);
}

}  // namespace

void Arguments::positional(const std::string& name, std::string& value, const std::string& help, bool required) {
  const auto said = [](const std::string& text) { return text.empty() ? "is empty" : std::string(); };
  app_of(app_).add_option(name, value, help)->type_name("")->required(required)->check(said);
}
void Arguments::option(const std::string& n, std::string& v, const std::string& help, const std::string& shown) {
  // Empty says "not given" inside; on the command line it is a variable of the shell that was not set.
  const auto said = [](const std::string& text) { return text.empty() ? "is empty; leave it out" : std::string(); };
  app_of(app_).add_option(n, v, help)->type_name(shown)->check(said);
}
void Arguments::option(const std::string& n, double& v, const std::string& help, const std::string& shown) {
  add_number(app_, n, v, help, shown);
}
void Arguments::option(const std::string& n, std::optional<double>& v, const std::string& help,
                       const std::string& shown) {
  add_number(app_, n, v, help, shown);
}
void Arguments::option(const std::string& n, std::int64_t& v, const std::string& help, const std::string& shown) {
  add_whole<std::int64_t>(app_, n, v, help, shown);
}
void Arguments::option(const std::string& n, std::optional<std::int64_t>& v, const std::string& help,
                       const std::string& shown) {
  add_whole<std::int64_t>(app_, n, v, help, shown);
}
void Arguments::option(const std::string& n, std::uint64_t& v, const std::string& help, const std::string& shown) {
  add_whole<std::uint64_t>(app_, n, v, help, shown);
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

std::vector<std::string> words_of(const std::string& option, const std::string& text) {
  auto words = word_list(text);
  if (std::find(words.begin(), words.end(), "") != words.end())
    throw UsageError(option + " " + text + ": an item of the list is empty; leave its comma out");
  return words;
}

std::vector<std::int64_t> integer_list(const std::string& option, const std::string& text) {
  std::vector<std::int64_t> list;
  for (const auto& word : words_of(option, text)) {
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
