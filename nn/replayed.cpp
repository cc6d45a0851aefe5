// What of the inputs is a tensor on the device, and what are numbers.
#include "nn/replayed.h"

#include <tuple>

#include "autodiff/transform.h"
#include "autodiff/watching.h"
#include "core/kernel.h"
#include "core/replay.h"
#include "nn/wrapped.h"

namespace costate {
namespace {

class Replayed final : public Wrapped {
 public:
  using Wrapped::Wrapped;
  [[nodiscard]] Tensor operator()(const Inputs& in) const override {
    const Split split(in);
    if (!watched(split.all))
      return replay_([&](const Tensors& at) { return evaluate(split, at); }, split.given, host_numbers(in))[0];
    // Tangents go through it op by op, and a derivative in what is sent from the host as well.
    if (watched(split.sent) || carries_tangent(split.given) || DryRun::active()) return network()(in);
    return with_way_back(split, host_numbers(in));
  }

 private:
  /// What of the inputs is on the device of x, and what is sent there.
  struct Split {
    Inputs in;
    std::vector<std::string> names;  ///< of what is given
    Tensors given, sent, all;

    explicit Split(const Inputs& inputs) : in(inputs) {
      const auto put = [&](const std::string& name, const Tensor& value) {
        if (!value.defined()) return;
        all.push_back(value);
        if (value.device() != in.x.device()) return sent.push_back(value);
        given.push_back(value);
        names.push_back(name);
      };
      put("x", in.x);
      put("z", in.z);
      for (const auto& [name, value] : in.extra) put(name, value);
      for (const auto& name : names) input(in, name) = {};  // nobody else may hold what is written to again
    }
  };

  [[nodiscard]] std::shared_ptr<const Network> wrap(std::shared_ptr<const Network> network) const override {
    return replayed(std::move(network));
  }

  [[nodiscard]] Tensors evaluate(const Split& split, const Tensors& at) const {
    Inputs in = split.in;
    for (std::size_t i = 0; i < at.size(); ++i) input(in, split.names[i]) = at[i];
    return {network()(in)};
  }

  /// As a single op whose vjp is repeated as well. Every evaluation that is watched is one, so that the order in which cotangents
  /// are added does not depend on what was recorded.
  [[nodiscard]] Tensor with_way_back(const Split& split, const std::string& numbers) const {
    Wanted wanted;
    std::string way;
    for (const Tensor& t : split.given) {
      wanted.push_back(watched({t}));
      way += wanted.back() ? '1' : '0';
    }
    const auto self = std::static_pointer_cast<const Replayed>(shared_from_this());
    const Function f = [self, split](const Tensors& at) { return self->evaluate(split, at); };
    const auto trip = [f, wanted] {
      const auto taped = std::make_shared<Vjp>();
      return Replay::RoundTrip{[=](const Tensors& at) { return (*taped = vjp(f, at, wanted)).value; },
                               [=](const Tensors& g) { return taped->pull_once(g); }};
    };
    const auto pull = std::make_shared<Function>();
    const Function there = [&](const Tensors& at) {
      Tensors y;
      std::tie(y, *pull) = replay_.round_trip(trip, at, numbers, way);
      return y;
    };
    const auto back = [=](const Tensors& at, const Tensors&, const Tensors& g) {
      const bool again = watched(at) || watched(g);  // a derivative of the derivative
      return again ? vjp(f, at, wanted).pull_once(g) : (*pull)(g);
    };
    return custom_derivative("network", there, back, split.given, f)[0];
  }

  mutable Replay replay_;
};

template <class T>
void append(std::string& all, const T* values, std::size_t count) {
  all += fmt::format("{}:", count);
  all.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

void append(std::string& all, const Tensor& t, Device device) {
  if (!t.defined() || t.device() == device) return;
  all += fmt::format("{} {};", name_of(t.dtype()), t.shape());
  append(all, static_cast<const char*>(t.bytes_data()), t.bytes());
}

}  // namespace

std::string host_numbers(const Inputs& in) {
  std::string all;
  for (const auto* v : {&in.t, &in.alpha, &in.sigma}) append(all, v->data(), v->size());
  const Device device = in.x.device();
  append(all += 'c', in.classes, device);
  append(all += 'z', in.z, device);
  for (const auto& [name, value] : in.extra) append(all += name + ':', value, device);
  return all;
}

std::shared_ptr<const Network> replayed(std::shared_ptr<const Network> network) {
  return std::make_shared<const Replayed>(std::move(network));
}

}  // namespace costate
