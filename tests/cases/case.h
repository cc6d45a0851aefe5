// What a case file says about an op: data that the property tests, the benchmarks and `costate check` share.
//
// tests/cases/NAME.cpp belongs to autodiff/ops/NAME.cpp and defines `CaseFile NAME_case()`; being there registers it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace costate {

/// One input, filled with numbers from [low, high) that are the same on every machine.
struct CaseInput {
  Shape shape = {};
  double low = -1, high = 1;
  double gap = 0;        ///< no number is nearer to zero than this: keeps differences off a kink
  bool batched = false;  ///< row i of the first axis reaches row i of the result only
  bool index = false;    ///< i32, a constant to every derivative
};

inline CaseInput batched(const Shape& shape, double low = -1, double high = 1, double gap = 0) {
  return {shape, low, high, gap, true, false};
}
/// Whole numbers from [0, below).
inline CaseInput indices(const Shape& shape, double below) { return {shape, 0, below, 0, false, true}; }
inline CaseInput batched_indices(const Shape& shape, double below) { return {shape, 0, below, 0, true, true}; }

using CaseFunction = std::function<Tensor(const Tensors&)>;

/// An op with its attributes, and what is known about it. Shapes inside `run` come from its inputs, so that a single row of a
/// batch can be run as well.
struct Case {
  std::string op = {};  ///< the op's name; (op, variant) names the case
  std::string variant = {};
  std::vector<CaseInput> inputs = {};
  CaseFunction run = {};
  CaseFunction spec = {};      ///< optional: the same from plainer ops; derivatives are compared as well
  CaseFunction plain = {};     ///< optional: the same by loops over f64 numbers; values only
  double flops = 0;            ///< operations of one run, an exp or a division counted as one
  std::int64_t reduction = 1;  ///< terms that are summed into one element, or into one of its gradient
  DType through = DType::f64;  ///< coarsest dtype a value passes through in an f64 run
  bool constant = false;       ///< no derivative passes: every gradient is exactly zero
  bool bench = false;          ///< of the size a network has: timed, and spared the difference quotients
};

/// A call that must throw an Error whose message names `op`.
struct WrongCall {
  std::string op = {};
  std::string what = {};
  std::function<Tensor()> call = {};
};

struct CaseFile {
  std::string name = {};  ///< of the file
  std::vector<Case> cases = {};
  std::vector<WrongCall> wrong = {};
};

/// Every file of tests/cases.
const std::vector<CaseFile>& cases();

}  // namespace costate
