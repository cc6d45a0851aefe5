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

/// A row a name; the first is the heading. As text a list shows the first columns, and one name all of them.
struct Table {
  std::vector<std::vector<std::string>> rows;
  std::size_t shown = 0;
};

/// Whether a sampler draws noise: by itself, or with an option. A share or a strength of noise is 1 or 0.5 for once, and an equation
/// with noise has a method of Euler's.
std::string stochastic(const std::string& name) {
  if (make_stepper(name).eta > 0) return "yes";
  for (const auto& key : stepper_type(name).options)
    for (const nlohmann::json& value : {nlohmann::json(1), nlohmann::json(0.5), nlohmann::json("euler")}) {
      try {
        if (make_stepper(name, Config({{key, value}}, name)).eta > 0) return "with " + key;
      } catch (const Error&) {  // no value of this option
      }
    }
  return "no";
}

Table samplers() {
  Table t{{{"sampler", "order", "evaluations a step", "stochastic", "reference", "summary", "options"}}, 5};
  for (const auto& name : sampler_names()) {
    const Stepper s = make_stepper(name);
    const StepperType& type = stepper_type(name);
    t.rows.push_back({name, std::to_string(s.order), s.evaluations > 0 ? std::to_string(s.evaluations) : "adaptive",
                      stochastic(name), type.reference, type.summary,
                      fmt::format("{}", fmt::join(type.options, ", "))});
  }
  return t;
}
Table adjoint_table() {
  Table t{{{"adjoint", "consistent with", "order", "memory", "reference", "summary", "options"}}, 4};
  for (const auto& a : adjoints())
    t.rows.push_back({a.name, a.consistent, a.order, a.memory, a.reference, a.summary,
                      fmt::format("{}", fmt::join(a.options, ", "))});
  return t;
}
Table schedule_table() {
  Table t{{{"schedule", "summary", "keys"}}, 2};
  for (const auto& s : schedules()) t.rows.push_back({s.name, s.summary, fmt::format("{}", fmt::join(s.keys, ", "))});
  return t;
}
Table family_table() {
  Table t{{{"family", "summary"}}, 2};
  for (const auto& f : families()) t.rows.push_back({f.name, f.summary});
  for (const auto& e : exact_families()) t.rows.push_back({e, "exact problem: closed-form denoiser"});
  return t;
}
Table grid_table() {
  Table t{{{"grid", "summary", "options"}}, 2};
  for (const auto& g : grid_types())
    t.rows.push_back({g.name, g.summary, fmt::format("{}", fmt::join(g.options, ", "))});
  return t;
}
Table model_table() {
  Table t{{{"model"}}, 1};
  for (const auto& m : bundled_models()) t.rows.push_back({m});
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
  std::vector<std::size_t> width(t.shown);
  for (const auto& row : t.rows) {
    for (std::size_t i = 0; i < t.shown; ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const auto& row : t.rows) {
    std::string line;
    for (std::size_t i = 0; i < t.shown; ++i) line += row[i] + std::string(width[i] - row[i].size() + 2, ' ');
    text += line.erase(line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

/// All that is said of the names in a table: a line each, and an empty one between two names.
std::string facts(const Table& t) {
  std::string text;
  for (std::size_t r = 1; r < t.rows.size(); ++r) {
    if (r > 1) text += "\n";
    for (std::size_t i = 0; i < t.rows[0].size(); ++i)
      if (!t.rows[r][i].empty()) text += fmt::format("{:<18}  {}\n", t.rows[0][i], t.rows[r][i]);
  }
  return text;
}

nlohmann::ordered_json as_json(const Table& t) {
  auto list = nlohmann::ordered_json::array();
  for (std::size_t r = 1; r < t.rows.size(); ++r) {
    nlohmann::ordered_json row;
    for (std::size_t i = 0; i < t.rows[r].size(); ++i) row[t.rows[0][i]] = t.rows[r][i];
    list.push_back(row);
  }
  return list;
}

struct Options {
  Common common;
  std::string topic, name;
};

/// A sampler that has orders, by its name without one: `sample` takes it, and its rows are NAME-1, NAME-2 ...
bool has_order(const std::string& row, const std::string& name) {
  for (const auto& type : steppers())
    for (const int order : type.orders)
      if (type.name == name && row == fmt::format("{}-{}", name, order)) return true;
  return false;
}

/// The table with one name alone, or the orders of a sampler; throws, with the nearest, where there is none of it.
Table only(const Table& t, const std::string& topic, const std::string& name) {
  Table found{{t.rows[0]}, t.shown};
  std::vector<std::string> names;
  for (std::size_t r = 1; r < t.rows.size(); ++r) {
    names.push_back(t.rows[r][0]);
    if (names.back() == name || (topic == "samplers" && has_order(names.back(), name))) found.rows.push_back(t.rows[r]);
  }
  if (found.rows.size() == 1) as_usage([&] { fail_unknown(t.rows[0][0], name, names); });
  return found;
}

void run_list(const Options& o) {
  o.common.apply();
  std::vector<std::string> names;
  for (const auto& [name, make] : topics()) names.push_back(name);
  if (!o.topic.empty() && topics().count(o.topic) == 0) as_usage([&] { fail_unknown("list", o.topic, names); });
  nlohmann::ordered_json j;
  const char* gap = "";
  for (const auto& [topic, make] : topics()) {
    if (!o.topic.empty() && o.topic != topic) continue;
    const Table table = o.name.empty() ? make() : only(make(), topic, o.name);
    if (o.common.json)
      j[topic] = as_json(table);
    else
      std::cout << std::exchange(gap, "\n") << (o.name.empty() ? words(table) : facts(table));
  }
  if (o.common.json) std::cout << (o.topic.empty() ? j : j[o.topic]).dump(2) << "\n";
}

}  // namespace

Command list_command() {
  return {"list", "what there is: samplers, adjoints, schedules, grids, families, models",
          "  costate list samplers\n"
          "  costate list samplers dpmpp-2m\n"
          "  costate list adjoints --json",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            a.positional("TOPIC", o->topic, "samplers, adjoints, schedules, grids, families or models [all]", false);
            a.positional("NAME", o->name, "one of them, and all that is said of it", false);
            o->common.declare(a, {}, false);
            return [o] { run_list(*o); };
          }};
}

}  // namespace costate
