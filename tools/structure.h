// What a network is made of, read off the ops it applies: blocks, where they work, what they cost. Knows no family.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autodiff/trace.h"
#include "tools/model/model.h"

namespace costate {

enum class BlockKind : std::uint8_t { convolution, attention, linear };

/// A module of the network: a residual block, an attention, a single layer between blocks.
struct NetworkBlock {
  std::string name;  ///< the beginning its parameters' keys share
  BlockKind kind = BlockKind::linear;
  Shape out;  ///< of one sample: (h, w, c), (tokens, c) or (c)
  std::int64_t parameters = 0, flops = 0;
  std::int64_t repeats = 1;  ///< so many of its like in a row, which this one stands for; each costs what is said here
};

/// Blocks in a row that work on equally many positions (pixels, tokens).
struct Stage {
  std::int64_t positions = 0;
  std::vector<NetworkBlock> blocks;
};

struct Skip {
  std::size_t from = 0, to = 0;  ///< stages
  std::int64_t count = 0;        ///< tensors that are carried over
};

struct Structure {
  Shape in, out;                      ///< of one sample
  std::vector<Stage> stages;          ///< in the order of evaluation
  std::vector<NetworkBlock> vectors;  ///< what works on vectors beside them: embeddings of time and label
  std::vector<Skip> skips;            ///< by concatenation, between stages that are not neighbours
  std::int64_t parameters = 0, flops = 0;
  std::int64_t unused = 0;  ///< parameters that this evaluation does not touch
};

/// The trace of one evaluation of one sample of the usual size; `keys` says which input each value is, "x" or a parameter's key.
struct NetworkTrace {
  Trace trace;
  std::vector<std::string> keys;  ///< of trace.in
  std::size_t inputs = 0;         ///< so many of trace.in are inputs, then come parameters
};
NetworkTrace trace_network(const Model& model);

Structure structure_of(const Model& model);

}  // namespace costate
