// Result tables as text, CSV and JSON, and the outputs of a study.
#include "tools/table.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"

namespace costate {
namespace {

nlohmann::ordered_json value_of(const std::string& text) {
  if (text == "-") return nullptr;
  const auto parsed = nlohmann::ordered_json::parse(text, nullptr, false);
  return parsed.is_number() ? parsed : nlohmann::ordered_json(text);
}

nlohmann::ordered_json rows_of(const Table& t) {
  for (auto name = t.columns.begin(); name != t.columns.end(); ++name)
    require(std::find(t.columns.begin(), name, *name) == name, "table: two columns are called '{}'", *name);
  auto list = nlohmann::ordered_json::array();
  for (const auto& row : t.rows) {
    nlohmann::ordered_json object;
    for (std::size_t i = 0; i < t.columns.size(); ++i) object[t.columns[i]] = value_of(row[i]);
    list.push_back(object);
  }
  return list;
}

/// Quoted where CSV (RFC 4180) asks for it.
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string Table::text() const {
  auto all = rows;
  all.insert(all.begin(), columns);
  return text_table(all);
}

std::string Table::csv() const {
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) text += (i > 0 ? "," : "") + csv_cell(cells[i]);
    text += "\n";
  };
  line(columns);
  for (const auto& row : rows) line(row);
  return text;
}

std::string Table::json() const { return rows_of(*this).dump(2); }

std::string cell(double value, const char* format) {
  return std::isfinite(value) ? fmt::format(fmt::runtime(format), value) : "-";
}

void deliver(const Common& common, const Findings& f) {
  const nlohmann::ordered_json document{
      {"study", f.study},           {"model", f.model}, {"seed", common.seed}, {"summary", rows_of(f.summary)},
      {"rows", rows_of(f.details)}, {"notes", f.notes}, {"out", common.out}};
  if (common.json) {
    std::cout << document.dump(2) << "\n";
  } else {
    std::cout << f.summary.text();
    if (!f.verdict.empty()) std::cout << f.verdict << "\n";
    for (const auto& note : f.notes) std::cout << note << "\n";
  }
  // What took long is lost to no file that cannot be written.
  std::exception_ptr failure;
  const auto write_all = [&](const std::string& extension, const auto& write) {
    for (const auto& file : common.outputs(extension)) {
      try {
        write(file);
        if (!common.json) std::cout << "wrote " << file << "\n";
      } catch (const Error&) {
        if (!failure) failure = std::current_exception();
      }
    }
  };
  write_all(".csv", [&](const std::string& file) { write_file(file, f.details.csv()); });
  write_all(".json", [&](const std::string& file) { write_file(file, document.dump(2) + "\n"); });
  write_all(".svg", [&](const std::string& file) { write_plot(file, f.panels, f.columns); });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace costate
