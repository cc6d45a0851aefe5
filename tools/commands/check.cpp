// costate check: derivatives of every op against difference quotients, on this machine.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "autodiff/check.h"
#include "tests/cases/case.h"
#include "tests/support/inputs.h"
#include "tools/common.h"

namespace costate {
namespace {

struct Row {
  std::string op;
  int cases = 0;
  DerivativeReport worst;
};

void take_worst(DerivativeReport& w, const DerivativeReport& r) {
  w.difference = std::max(w.difference, r.difference);
  w.duality = std::max(w.duality, r.duality);
  w.second_difference = std::max(w.second_difference, r.second_difference);
  w.second_duality = std::max(w.second_duality, r.second_duality);
}

/// Deviations of f64 derivatives that are rounding and the difference formula's own error; a wrong rule is off by 1e-2 and more.
constexpr double tolerance = 1e-6;
constexpr double bf16_tolerance = 5e-2;  // for the case that passes through bf16 on purpose

bool good(const DerivativeReport& r, double bound) {
  return r.difference < bound && r.duality < bound && r.second_difference < bound && r.second_duality < bound;
}

void run_check(const std::string& only, const Common& o) {
  o.apply();
  std::vector<std::string> names;
  std::vector<Row> rows;
  bool all_good = true;
  for (const auto& file : cases()) {
    for (const auto& c : file.cases) {
      if (std::find(names.begin(), names.end(), c.op) == names.end()) names.push_back(c.op);
      if (c.bench || c.constant || (!only.empty() && c.op != only)) continue;
      Wanted wanted;
      for (const auto& input : c.inputs) wanted.push_back(!input.index);
      Tensors inputs = case_inputs(c, DType::f64);
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (wanted[i]) inputs[i] = inputs[i].to(o.place());
      const DerivativeReport r = check_derivatives([&](const Tensors& t) { return Tensors{c.run(t)}; }, inputs, wanted,
                                                   {.seed = o.seed + 1, .directions = 2, .through = c.through});
      all_good = all_good && good(r, c.through == DType::f64   ? tolerance
                                     : c.through == DType::f32 ? 1e-3
                                                               : bf16_tolerance);
      auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& known) { return known.op == c.op; });
      if (row == rows.end()) row = rows.insert(row, {c.op, 0, {}});
      ++row->cases;
      take_worst(row->worst, r);
    }
  }
  if (rows.empty()) as_usage([&] { fail_unknown("op", only, names); });
  if (o.json) {
    nlohmann::ordered_json j;
    for (const auto& r : rows)
      j.push_back({{"op", r.op},
                   {"cases", r.cases},
                   {"difference", r.worst.difference},
                   {"duality", r.worst.duality},
                   {"second_difference", r.worst.second_difference},
                   {"second_duality", r.worst.second_duality}});
    std::cout << j.dump(2) << "\n";
  } else {
    std::vector<std::vector<std::string>> table{
        {"op", "cases", "vjp - difference", "jvp - vjp", "2nd: difference", "2nd: jvp - vjp"}};
    for (const auto& r : rows)
      table.push_back({r.op, std::to_string(r.cases), fmt::format("{:.1e}", r.worst.difference),
                       fmt::format("{:.1e}", r.worst.duality), fmt::format("{:.1e}", r.worst.second_difference),
                       fmt::format("{:.1e}", r.worst.second_duality)});
    std::cout << text_table(table) << "worst relative deviations, f64\n";
  }
  require(all_good,
          "check: a derivative is off by more than rounding; this build is not to be trusted on this machine");
}

}  // namespace

Command check_command() {
  return {"check", "check the derivatives of every op (or one) by difference quotients",
          "  costate check\n"
          "  costate check conv2d\n"
          "  costate check --json",
          [](Arguments& a) {
            const auto only = std::make_shared<std::string>();
            const auto o = std::make_shared<Common>();
            a.positional("OP", *only, "one op by name, such as conv2d [all]", false);
            o->declare(a, {}, false);
            return [only, o] { run_check(*only, *o); };
          }};
}

}  // namespace costate
