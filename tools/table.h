// Result tables: what studies find, as text for people and as CSV and JSON for machines.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "tools/common.h"
#include "tools/plot.h"

namespace costate {

/// Cells are texts; one that reads as a number is a number in JSON. No two columns have one name.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows = {};

  [[nodiscard]] std::string text() const;  ///< right-aligned columns under their heading
  [[nodiscard]] std::string csv() const;
  [[nodiscard]] std::string json() const;  ///< a list of objects
};

/// "1.23e-04"; "-" for what is not finite.
std::string cell(double value, const char* format = "{:.3g}");

/// What --out of a study may end in.
inline const std::vector<std::string> study_extensions = {".csv", ".json", ".svg"};

/// Prints the summary and the table (or, with --json, one document {"study", "model", "seed", "summary", "rows": details, "notes", "out"}), and writes
/// the --out files: .csv and .json hold the details, .svg the panels.
/// Where one of them cannot be written the others are, and the first failure is thrown at the end.
struct Findings {
  std::string study, model;
  Table summary, details;
  std::vector<Panel> panels;
  int columns = 2;                      ///< panels side by side
  std::string verdict = {};             ///< a last line for people
  std::vector<std::string> notes = {};  ///< lines after it, which the JSON has as well
};
void deliver(const Common& common, const Findings& findings);

}  // namespace costate
