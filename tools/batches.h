// The samples of a run, batch by batch: shared among the ranks, kept on the way, and gone on with after an interruption.
#pragma once

#include <functional>

#include "solvers/stepper.h"
#include "tools/common.h"
#include "tools/sampling.h"

namespace costate {

/// One of the results that every sample has; samples are counted along `axis`.
struct Column {
  std::string name;
  int axis = 0;
};

struct BatchOptions {
  std::int64_t size = 16;
  bool resume = false;

  void declare(Arguments& a);
  /// Throws UsageError: for a size of none, and for --resume without an .h5 to keep what is done beside.
  void check(const Common& common) const;
};

/// The size of batches that changes no bit; such that every rank has one, where that is possible.
std::int64_t batch_of(Batching batching, std::int64_t samples, std::int64_t asked);

/// What is told as nfe: the evaluations of the sample that took most, from those of each (n). They differ where a method chooses
/// its steps for each sample by itself.
std::int64_t most_evaluations(const Tensor& of_each);

/// Computes the samples first ... first + rows - 1: a tensor for every column, undefined where there is none.
using Batch = std::function<Tensors(std::int64_t first, std::int64_t rows, const Progress&)>;

/// All samples of a run.
class Batches {
 public:
  /// `more` are models that samples go through, too.
  Batches(const BatchOptions& options, const Common& common, const SamplingOptions& sampling, std::int64_t samples,
          std::int64_t batch, const std::vector<std::string>& more = {});

  /// The columns of all samples, on the host of rank 0; on others nothing.
  Tensors run(const std::vector<Column>& columns, const std::string& doing, const Batch& compute);
  /// Once the results are written: what was kept is not wanted any more.
  void finish() const;

 private:
  [[nodiscard]] std::int64_t resume(const std::vector<Column>& columns);
  void keep(const std::vector<Column>& columns) const;
  [[nodiscard]] Tensors joined(const std::vector<Column>& columns) const;

  const Common& common_;
  std::int64_t samples_, batch_;
  std::string kept_;            ///< the file; empty without --resume
  std::string sources_;         ///< which it names
  std::vector<Tensors> parts_;  ///< rank 0's: what is done, in order
};

}  // namespace costate
