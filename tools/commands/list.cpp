// costate list: what there is of samplers, adjoints, schedules, grids, families and bundled models.
#include <fmt/ranges.h>
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "nn/family.h"
#include "solvers/adjoint.h"
#include "tools/common.h"

namespace costate {
namespace {

using Table = std::vector<std::vector<std::string>>;  // the first row is the heading

Table samplers() {
  Table t{{"sampler", "order", "evaluations a step", "stochastic", "options", "reference"}};
  for (const auto& name : sampler_names()) {
    const Stepper s = make_stepper(name);
    const StepperType& type = stepper_type(name);
    const auto takes = [&](const char* key) {
      return std::find(type.options.begin(), type.options.end(), key) != type.options.end();
    };
    t.push_back({name, std::to_string(s.order), s.evaluations > 0 ? std::to_string(s.evaluations) : "adaptive",
                 s.eta > 0      ? "yes"
                 : takes("eta") ? "with eta"
                                : "no",
                 fmt::format("{}", fmt::join(type.options, ", ")), type.reference});
  }
  return t;
}
Table adjoint_table() {
  Table t{{"adjoint", "consistent with", "order", "memory", "options", "reference"}};
  for (const auto& a : adjoints())
    t.push_back({a.name, a.consistent, a.order, a.memory, fmt::format("{}", fmt::join(a.options, ", ")), a.reference});
  return t;
}
Table schedule_table() {
  Table t{{"schedule", ""}};
  for (const auto& s : schedules()) t.push_back({s.name, s.summary});
  return t;
}
Table family_table() {
  Table t{{"family", ""}};
  for (const auto& f : families()) t.push_back({f.name, f.summary});
  for (const auto& e : exact_families()) t.push_back({e, "exact problem: closed-form denoiser"});
  return t;
}
Table grid_table() {
  Table t{{"grid"}};
  for (const auto& g : grid_names()) t.push_back({g});
  return t;
}
Table model_table() {
  Table t{{"model"}};
  for (const auto& m : bundled_models()) t.push_back({m});
  return t;
}

const std::map<std::string, std::function<Table()>>& topics() {
  static const std::map<std::string, std::function<Table()>> all = {
      {"samplers", samplers}, {"adjoints", adjoint_table}, {"schedules", schedule_table},
      {"grids", grid_table},  {"families", family_table},  {"models", model_table}};
  return all;
}

/// Left-aligned columns: these tables are words.
std::string words(const Table& t) {
  std::vector<std::size_t> width(t[0].size());
  for (const auto& row : t) {
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const auto& row : t) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(width[i] - row[i].size() + 2, ' ');
    text += line.erase(line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

nlohmann::ordered_json as_json(const Table& t) {
  auto list = nlohmann::ordered_json::array();
  for (std::size_t r = 1; r < t.size(); ++r) {
    nlohmann::ordered_json row;
    for (std::size_t i = 0; i < t[r].size(); ++i) row[t[0][i].empty() ? "summary" : t[0][i]] = t[r][i];
    list.push_back(row);
  }
  return list;
}

void run_list(const std::string& topic, const Common& o) {
  o.apply({});
  std::vector<std::string> names;
  for (const auto& [name, make] : topics()) names.push_back(name);
  if (!topic.empty() && topics().count(topic) == 0) as_usage([&] { fail_unknown("list", topic, names); });
  nlohmann::ordered_json j;
  for (const auto& [name, make] : topics()) {
    if (!topic.empty() && topic != name) continue;
    if (o.json)
      j[name] = as_json(make());
    else
      std::cout << (topic.empty() ? "\n" : "") << words(make());
  }
  if (o.json) std::cout << (topic.empty() ? j : j[topic]).dump(2) << "\n";
}

}  // namespace

Command list_command() {
  return {"list", "what there is: samplers, adjoints, schedules, grids, families, models",
          "  costate list samplers\n"
          "  costate list adjoints --json\n"
          "  costate list",
          [](Arguments& a) {
            const auto topic = std::make_shared<std::string>();
            const auto o = std::make_shared<Common>();
            a.positional("TOPIC", *topic, "samplers, adjoints, schedules, grids, families or models [all]", false);
            o->declare(a, false);
            return [topic, o] { run_list(*topic, *o); };
          }};
}

}  // namespace costate
