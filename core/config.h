// Reading a JSON configuration with errors that name the key, the value and what would do.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"

namespace costate {

/// A JSON object; `where` (a file name, say) begins every message. Cheap to copy.
class Config {
 public:
  Config();  ///< an empty object
  static Config parse(const std::string& text, const std::string& where);
  Config(const nlohmann::json& object, const std::string& where);

  [[nodiscard]] bool has(const std::string& key) const;      ///< present, null included
  [[nodiscard]] bool is_null(const std::string& key) const;  ///< present and null
  [[nodiscard]] std::vector<std::string> keys() const;

  /// The value of a key; `otherwise` where it is absent or null. A value of another type throws.
  [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise) const;
  [[nodiscard]] double number(const std::string& key, double otherwise) const;
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t otherwise) const;
  [[nodiscard]] bool flag(const std::string& key, bool otherwise) const;
  [[nodiscard]] std::optional<std::int64_t> maybe_integer(
      const std::string& key) const;  ///< nothing where absent or null
  /// A list, or a single value as a list of one; empty where absent or null.
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& key) const;
  /// A list of lists; an integer in place of one stands for a list of itself alone.
  [[nodiscard]] std::vector<std::vector<std::int64_t>> integer_lists(const std::string& key) const;
  [[nodiscard]] std::vector<bool> flags(const std::string& key) const;
  [[nodiscard]] std::vector<double> numbers(const std::string& key) const;  ///< nested lists are flattened row by row
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) const;
  [[nodiscard]] Config object(const std::string& key) const;  ///< empty where absent or null
  [[nodiscard]] std::vector<std::int64_t> extents(
      const std::string& key) const;  ///< shape of a (nested) list of numbers

  /// Throws: this value of the key is not supported; `choices` says what is.
  [[noreturn]] void unsupported(const std::string& key, const std::string& choices) const;
  /// The text value, which must be one of the choices.
  [[nodiscard]] std::string choice(const std::string& key, const std::string& otherwise,
                                   const std::vector<std::string>& choices) const;

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] std::string dump() const;  ///< the object as JSON text

 private:
  std::shared_ptr<const nlohmann::json> object_;
  std::string where_;
};

/// The candidates nearest to a misspelt name, best first, at most three: for "unknown NAME; did you mean ...".
std::vector<std::string> nearest_names(const std::string& name, const std::vector<std::string>& candidates);
/// Throws, naming `what`, unless every key of `options` is one of `known`.
void check_options(const std::string& what, const Config& options, const std::vector<std::string>& known);
/// Throws "unknown KIND NAME; did you mean A, B?".
[[noreturn]] void fail_unknown(const std::string& kind, const std::string& name,
                               const std::vector<std::string>& candidates);

}  // namespace costate
