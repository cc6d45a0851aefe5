// Work that the device repeats: the bits of work that is queued op by op, whatever times, labels and inputs it is done on.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/exp.h"
#include "autodiff/ops/sum.h"
#include "core/kernels/copy.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/replay.h"
#include "nn/resampling.h"
#include "tests/gpu/repeated.h"
#include "tests/gpu/second_run.h"
#include "tests/nn/parity.h"
#include "tests/nn/parity_cases.h"
#include "tests/support/inputs.h"
#include "tools/model/evaluation.h"

namespace costate {
namespace {

/// exp(x) * column + x, the column sent from the host.
Replay::Function scaled(double factor) {
  return [factor](const Tensors& in) {
    const Tensor& x = in[0];
    return Tensors{exp(x) * Tensor::from({factor, 2 * factor}, {2, 1}, there) + x, x * x};
  };
}

/// exp(x x_k') for some k first numbers x_k, of which each second stays until all are there; the sum of those and x.
Tensors of_many_sizes(const Tensors& in) {
  const std::int64_t n = in[0].dim(0);
  std::vector<Tensor> kept;
  for (std::int64_t k = n / 8; k <= n; k += n / 8) {
    const Tensor grown = exp(in[0] * in[0].rows(0, k).reshaped({1, k}));
    if (k / (n / 8) % 2 == 0) kept.push_back(grown);
  }
  Tensor all = in[0];
  for (const Tensor& t : kept) all = all + sum(t).reshaped({1, 1});
  return {all};
}

/// On a device all networks there are; for threads that take turns, those of tests/data.
std::vector<parity::Case> networks() {
  if (!takes_turns) return parity::cases();
  auto all = parity::cases_of(source_dir() / "tests/data/networks/diffusers-unet2d-scaleshift");
  for (const auto& c : parity::cases_of(source_dir() / "tests/data/networks/diffusers-ncsnpp")) all.push_back(c);
  return all;
}

/// Other times of a network, where they may be any.
Inputs at_time(Inputs in, const Signature& s, double by) {
  const bool free = s.takes_time && s.time_rows == 0;
  for (auto& t : in.t) t = free ? t * by : t;
  return in;
}

void check_network(const parity::Case& c) {
  Model model = load_model(c.model.string(), {.device = Device::cuda, .config = c.config});
  if (!c.part.empty()) model.network = model.network->part(c.part);
  Tensors weights;
  for (const auto& p : model.network->parameters()) weights.push_back(copy_of(p.value));
  const auto plain = model.network->with(weights);  // of others' weights nothing is recorded
  BOOST_REQUIRE(plain.get() != model.network.get());
  const Inputs in = parity::read_inputs(Hdf5Reader(c.in), model.kind());
  const Signature s = model.network->signature();
  for (const double by : {1.0, 1.0, 1.0, 0.5}) {
    Inputs now = at_time(in, s, by);
    now.x = in.x * by;
    BOOST_TEST(same({(*model.network)(now)}, {(*plain)(now)}), c.name << ": y, times by " << by);
  }
  const Evaluation e(in, model, {});
  const Tensor g = noise(3, (*plain)(in).shape());
  const auto outcome = [&](const Evaluation& of, const Network& network, const Tensor& cotangent) {
    auto o = of.run(network, cotangent);
    o.g.push_back(o.y);
    return o.g;
  };
  for (int i = 0; i < 4; ++i) {
    const Tensor cotangent = g * (1 + i);
    const Tensors again = outcome(e, *model.network, cotangent);
    if (i % 2 == 0) continue;  // rehearsed, and repeated
    BOOST_TEST(same(again, outcome(Evaluation(in, model, {}), *model.network, cotangent)),
               c.name << ": gradients, " << i);
  }
  BOOST_TEST(e.replay->repeated() == 2, c.name << ": " << e.replay->repeated() << " of 4 gradients were repeated");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_replay)

BOOST_AUTO_TEST_CASE(repeats_have_the_bits_of_first_calls) {
  {
    Replay replay;
    int seed = 0;
    for (const double factor : {0.5, 0.5, 0.5, 0.5, 3.0, 0.5, 4.0}) {
      const Tensors x{noise(static_cast<std::uint64_t>(++seed), {2, 40})};
      BOOST_TEST(same(replay(scaled(factor), x, std::to_string(factor)), scaled(factor)(x)), "call " << seed);
    }
    BOOST_TEST(replay.repeated() == 5);     // new numbers as well
    const Tensors other{noise(1, {2, 3})};  // of another shape: from the beginning
    for (int i = 0; i < 4; ++i) BOOST_TEST(same(replay(scaled(1), other, "1"), scaled(1)(other)));
    BOOST_TEST(replay.repeated() == 7);
    // What an earlier call gave is not written again.
    const Tensors kept = replay(scaled(1), other, "1"), copy{copy_of(kept[0]), copy_of(kept[1])};
    static_cast<void>(replay(scaled(1), {noise(9, {2, 3})}, "1"));
    BOOST_TEST(same(kept, copy));
    BOOST_TEST(replay.repeated() == 9);
  }
  release_cached(Device::cuda);
  BOOST_TEST(memory_use(Device::cuda).live == 0);
  BOOST_TEST(fences_broken() == 0);
}

BOOST_AUTO_TEST_CASE(what_the_host_decides_is_not_repeated) {
  const Tensors x{noise(1, {2, 40})};
  // Reads a result.
  Replay reads;
  const auto halved = [](const Tensors& in) { return Tensors{in[0] * (sum(in[0]).item() > 0 ? 0.5 : 0.25)}; };
  for (int i = 0; i < 5; ++i) {
    const Tensors now{i % 2 == 0 ? x[0] : x[0] * -1};
    BOOST_TEST(same(reads(halved, now, ""), halved(now)));
  }
  BOOST_TEST(reads.repeated() == 0);
  // Takes another way for other numbers.
  Replay turns;
  for (int i = 0; i < 6; ++i) {
    const auto f = [i](const Tensors& in) { return Tensors{i < 4 ? exp(in[0]) : exp(in[0] * in[0])}; };
    BOOST_TEST(same(turns(f, x, i < 4 ? "a" : "b"), f(x)), "call " << i);
  }
  BOOST_TEST(turns.repeated() == 2);
  // Returns what it was given.
  Replay nothing;
  for (int i = 0; i < 4; ++i) BOOST_TEST(same(nothing([](const Tensors& in) { return in; }, x, ""), x));
}

BOOST_AUTO_TEST_CASE(errors_of_the_work_are_its_own) {
  Replay replay;
  const Tensors x{noise(1, {2, 40})};
  const auto f = [](double t) {
    return [t](const Tensors& in) {
      require(t < 10, "time {}: there is none", t);
      return scaled(t)(in);
    };
  };
  for (int i = 0; i < 4; ++i) BOOST_TEST(same(replay(f(1), x, "1"), scaled(1)(x)));
  BOOST_CHECK_EXCEPTION(static_cast<void>(replay(f(11), x, "11")), Error,
                        [](const Error& e) { return std::string(e.what()) == "time 11: there is none"; });
  for (int i = 0; i < 2; ++i) BOOST_TEST(same(replay(f(2), x, "2"), scaled(2)(x)));
  BOOST_TEST(replay.repeated() == 4);
}

BOOST_AUTO_TEST_CASE(recorded_work_lies_in_the_memory_that_it_needs) {
  const Tensors x{noise(1, {320, 1})};
  const auto live = [] { return memory_use(Device::cuda).live; };
  const std::int64_t before = live();
  reset_peak(Device::cuda);
  static_cast<void>(of_many_sizes(x));
  const std::int64_t needed = memory_use(Device::cuda).peak - before;
  BOOST_TEST(needed > 1 << 20);
  Replay replay;
  for (int i = 0; i < 4; ++i) BOOST_TEST(same(replay(of_many_sizes, x, ""), of_many_sizes(x)));
  BOOST_TEST(replay.repeated() == 2);
  BOOST_TEST(live() - before >= needed);
  BOOST_TEST(live() - before < needed * 5 / 4);
}

// Evaluations and round trips lie upon each other; what was recorded before is recorded anew where more memory is needed.
BOOST_AUTO_TEST_CASE(recorded_work_shares_its_memory) {
  struct Expected {
    Tensors x, y, z;
  };
  const auto expected = [](std::uint64_t seed, std::int64_t n) {
    const Tensors x{noise(seed, {n, 1})}, y = of_many_sizes(x);
    return Expected{x, y, of_many_sizes(y)};
  };
  const Expected small = expected(1, 160);
  const auto live = [] { return memory_use(Device::cuda).live; };
  const std::int64_t before = live();
  reset_peak(Device::cuda);
  const Expected large = expected(2, 320);
  const std::int64_t needed = memory_use(Device::cuda).peak - before;
  Replay replay;
  const auto trip = [&] { return Replay::RoundTrip{of_many_sizes, of_many_sizes}; };
  const auto check = [&](const Expected& e) {
    BOOST_TEST(same(replay(of_many_sizes, e.x, ""), e.y));
    const auto [there, back] = replay.round_trip(trip, e.x, "");
    BOOST_TEST(same(there, e.y));
    BOOST_TEST(same(back(e.y), e.z));
  };
  for (int i = 0; i < 4; ++i) check(small);
  const std::int64_t one = live() - before;
  reset_peak(Device::cuda);
  for (int i = 0; i < 4; ++i) check(large);
  BOOST_TEST(live() - before > one);
  BOOST_TEST(live() - before < needed * 5 / 4);
  BOOST_TEST(memory_use(Device::cuda).peak - before < needed * 3 / 2);
  const std::int64_t repeated = replay.repeated();
  check(small);
  check(large);
  BOOST_TEST(replay.repeated() == repeated + 6);
  BOOST_TEST(live() - before < needed * 5 / 4);
}

// As EDM's networks have them in their files: on the device, and wanted on the host.
BOOST_AUTO_TEST_CASE(stored_filters_are_read_once) {
  const Tensor row = Tensor::from({0.125, 0.375, 0.375, 0.125}, {4, 1}, there),
               stored = (row * row.reshaped({1, 4})).reshaped({1, 1, 4, 4}), x = noise(4, {1, 4, 4, 2});
  const auto halved = [&](const Tensors& in) {
    return Tensors{resample(Resampling::fir_down, in[0], filter_from(stored))};
  };
  Replay replay;
  for (int i = 0; i < 4; ++i) BOOST_TEST(same(replay(halved, {x}, ""), halved({x})));
  BOOST_TEST(replay.repeated() == 2);
}

// Where the device has no memory left for others, be it in the midst of a trip.
BOOST_AUTO_TEST_CASE(recorded_work_gives_its_memory_back_when_there_is_no_other) {
  const Tensors x{noise(1, {320, 1})}, y = of_many_sizes(x), z = of_many_sizes(y);
  const auto live = [] { return memory_use(Device::cuda).live; };
  const auto too_much = [] { static_cast<void>(Tensor::empty({std::int64_t{1} << 57}, there)); };
  const std::int64_t before = live();
  Replay replay;
  const auto trip = [&] { return Replay::RoundTrip{of_many_sizes, of_many_sizes}; };
  for (int i = 0; i < 3; ++i) BOOST_TEST(same(replay(of_many_sizes, x, ""), y));
  const std::int64_t recorded = live();
  BOOST_CHECK_THROW(too_much(), Error);
  BOOST_TEST(recorded - live() > 1 << 20);
  BOOST_TEST(live() - before < 1 << 14);  // the input's place
  for (int i = 0; i < 3; ++i) BOOST_TEST(same(replay(of_many_sizes, x, ""), y));
  BOOST_TEST(live() == recorded);
  for (int i = 0; i < 4; ++i) {
    auto [there, back] = replay.round_trip(trip, x, "");
    if (i == 3) BOOST_CHECK_THROW(too_much(), Error);
    BOOST_TEST(same(there, y));
    BOOST_TEST(same(back(y), z));
  }
  BOOST_TEST(replay.repeated() == 4 + 3);  // the last way back was made op by op
}

BOOST_AUTO_TEST_CASE(networks_and_their_gradients) {
  int seen = 0;
  for (const auto& c : networks()) {
    check_network(c);
    ++seen;
  }
  BOOST_TEST(seen > 0);
  release_cached(Device::cuda);
  BOOST_TEST(memory_use(Device::cuda).live == 0);
  BOOST_TEST(fences_broken() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
