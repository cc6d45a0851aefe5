// A function of tensors that is called again and again: a device that can (core/kernels/replay.h) repeats what it was told the first
// times, and the host does no more than copy inputs and outputs. Anywhere else, a call is a call.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/tensor.h"

namespace costate {

class Replay {
 public:
  using Function = std::function<Tensors(const Tensors&)>;
  /// A function and what follows from it, a vjp say: `back` is called once after `there`, whose values it reads and may free.
  struct RoundTrip {
    Function there, back;
  };
  using Maker = std::function<RoundTrip()>;

  Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
  ~Replay();

  /// f(in). `f` does the same each time but for the values of `in` and the numbers that it sends from the host, which `numbers`
  /// spells out; what else it reads (weights) stays where it is, and of `in` it keeps nothing. Inputs of one shape are recorded once:
  /// their second call runs in memory of its own, the third is recorded. With numbers that are met for the first time f is called once
  /// more, with nothing queued, for what it sends. Not for inputs that a derivative is being taken in.
  [[nodiscard]] Tensors operator()(const Function& f, const Tensors& in, const std::string& numbers);

  /// The same of a way there and back: there(in), and a `back` that may be called whenever, also after other trips. `there` sends what
  /// f does; `way` tells ways back of one f apart.
  [[nodiscard]] std::pair<Tensors, Function> round_trip(const Maker& make, const Tensors& in,
                                                        const std::string& numbers, const std::string& way = "back");

  /// Of the calls so far (a way back is one), those that the host did not queue op by op.
  [[nodiscard]] std::int64_t repeated() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< ways back may outlive the Replay
};

}  // namespace costate
