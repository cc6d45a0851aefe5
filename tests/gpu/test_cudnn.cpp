// cuDNN beside the own kernels: on a device and on the shim with a stand-in for the library, results against each other; without
// either, plans that the library itself makes for a chip that is only described, and the file of choices.
#include <dlfcn.h>
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "autodiff/ops/attention.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/transform.h"
#include "core/kernels/matmul.h"
#include "core/random.h"
#include "core/replay.h"
#include "gpu/cudnn/choices.h"
#include "gpu/cudnn/operations.h"
#include "tests/gpu/second_run.h"
#include "tests/support/convolutions_by.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"
#include "tests/tools/command.h"

namespace costate {
namespace {

/// Whether plans can be run: on a device, or here by the stand-in that ctest names.
bool can_run() {
  const char* library = std::getenv("COSTATE_CUDNN");
  const bool fake = library != nullptr && std::string(library).find("fake") != std::string::npos;
  if (takes_turns ? fake : cuda::cudnn::is_there()) return true;
  BOOST_TEST_MESSAGE("skipped: no cuDNN that could run (COSTATE_CUDNN is " << (library ? library : "not set") << ")");
  return false;
}

struct Problem {
  const char* name;
  Shape x, w;
  ConvGeometry at;
};

const std::vector<Problem>& problems() {
  static const std::vector<Problem> all{
      {"3x3", {2, 6, 6, 8}, {3, 3, 8, 16}, {.top = 1, .bottom = 1, .left = 1, .right = 1}},
      {"stride 2",
       {2, 8, 6, 8},
       {3, 3, 8, 8},
       {.stride_h = 2, .stride_w = 2, .top = 1, .bottom = 1, .left = 1, .right = 1}},
      {"zeros on one side", {1, 6, 6, 8}, {3, 3, 8, 8}, {.stride_h = 2, .stride_w = 2, .bottom = 1, .right = 1}},
      {"groups and dilation",
       {1, 7, 7, 16},
       {3, 3, 8, 16},
       {.dilation_h = 2, .dilation_w = 2, .top = 2, .bottom = 2, .left = 2, .right = 2, .groups = 2}},
      {"1x1", {3, 4, 4, 16}, {1, 1, 16, 8}, {}}};
  return all;
}

Tensor noise(std::uint64_t seed, const Shape& shape, Kind kind) {
  return Tensor::from(normal_noise(seed, 0, shape[0], 0, Shape(shape.begin() + 1, shape.end())).to_vector(), shape,
                      kind.dtype)
      .to(kind.device);
}

/// y and the gradients in x, whose own cotangent comes to the convolution's, w and bias.
Tensors outcome(const Problem& p, DType dtype, bool rows) {
  const Kind kind{dtype, Device::cuda};
  const Tensor bias = rows ? noise(3, {p.x[0], p.w[3]}, kind) : noise(3, {p.w[3], 1}, kind).reshaped({p.w[3]});
  const Vjp back = vjp(
      [&](const Tensors& in) {
        return Tensors{conv2d(in[0], in[1], in[2], p.at), in[0]};
      },
      {noise(1, p.x, kind), noise(2, p.w, kind), bias});
  Tensors all = back.pull({noise(4, back.value[0].shape(), kind), noise(5, p.x, kind)});
  all.push_back(back.value[0]);
  for (auto& t : all) t = t.to(Device::cpu);
  return all;
}

std::int64_t last_engine() {
  void* library = dlopen(std::getenv("COSTATE_CUDNN"), RTLD_NOW | RTLD_NOLOAD);
  auto* ask =
      library == nullptr ? nullptr : reinterpret_cast<std::int64_t (*)()>(dlsym(library, "fake_cudnn_last_engine"));
  return ask == nullptr ? -1 : ask();
}

/// An H200 as cuDNN describes it, so that plans for it can be made anywhere.
std::string described_device() {
  std::ifstream in(source_dir() / "tests/data/cudnn-h200.json");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

cuda::cudnn::Timer timer(std::vector<double> times, int& calls) {
  return [times, &calls](const cuda::cudnn::Work& work) {
    work();
    return times.at(static_cast<std::size_t>(calls++));
  };
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_cudnn)

BOOST_AUTO_TEST_CASE(convolutions_and_gradients_agree_with_own_kernels) {
  if (!can_run()) return;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
    for (const Problem& p : problems()) {
      const Tensors own = outcome(p, dtype, p.x[0] == 2);
      const ConvolutionsBy by(ConvAlgorithm::vendor, Device::cuda);
      const Tensors theirs = outcome(p, dtype, p.x[0] == 2), again = outcome(p, dtype, p.x[0] == 2);
      for (std::size_t i = 0; i < own.size(); ++i) {
        const double off = relative_difference(theirs[i], own[i]);
        BOOST_TEST(off <= tolerance::rounding(dtype, 300),
                   p.name << " " << name_of(dtype) << ", result " << i << ": " << off);
        BOOST_TEST(same_bits(theirs[i], again[i]), p.name << ": not the same bits again");
      }
      if (takes_turns) BOOST_TEST(last_engine() == (dtype == DType::f32 ? 3 : 2));
    }
}

BOOST_AUTO_TEST_CASE(tensor_cores_in_f32_only_when_asked_for) {
  if (!can_run()) return;
  const ConvolutionsBy by(ConvAlgorithm::vendor, Device::cuda);
  set_products_in_f32(Products::tf32);
  const Tensors coarse = outcome(problems()[0], DType::f32, false);
  set_products_in_f32(Products::full);
  if (takes_turns) BOOST_TEST(last_engine() == 2);
  const Tensors fine = outcome(problems()[0], DType::f32, false);
  if (takes_turns) BOOST_TEST(last_engine() == 3);
  BOOST_TEST(relative_difference(coarse[3], fine[3]) <= 5e-3);
}

BOOST_AUTO_TEST_CASE(what_it_cannot_do_own_kernels_do) {
  if (!can_run()) return;
  const Problem crop{"crop", {1, 6, 6, 8}, {3, 3, 8, 8}, {.top = -1, .bottom = 1, .left = -1, .right = 1}};
  const Tensors own = outcome(crop, DType::f32, false);
  const ConvolutionsBy by(ConvAlgorithm::vendor, Device::cuda);
  const Tensors now = outcome(crop, DType::f32, false);
  for (std::size_t i = 0; i < own.size(); ++i) BOOST_TEST(same_bits(own[i], now[i]));
}

BOOST_AUTO_TEST_CASE(attention_agrees_with_own_kernels) {
  if (!can_run()) return;
  const Kind kind{DType::bf16, Device::cuda};
  const Tensor q = noise(1, {2, 20, 64}, kind), k = noise(2, {2, 12, 64}, kind), v = noise(3, {2, 12, 64}, kind);
  const auto run = [&] { return attention(q, k, v, 4, 0.25).to(Device::cpu); };
  const Tensor own = run();
  const ConvolutionsBy by(ConvAlgorithm::vendor, Device::cuda);
  BOOST_TEST(relative_difference(run(), own) <= tolerance::ladder(DType::bf16, 20));
  if (takes_turns) BOOST_TEST(last_engine() == 2);
}

BOOST_AUTO_TEST_CASE(plans_are_recorded_like_kernels) {
  if (!can_run()) return;
  const ConvolutionsBy by(ConvAlgorithm::vendor, Device::cuda);
  const Problem& p = problems()[0];
  const Kind kind{DType::f32, Device::cuda};
  const Tensor w = noise(2, p.w, kind);
  Replay replay;
  const auto f = [&](const Tensors& in) { return Tensors{conv2d(in[0], w, p.at)}; };
  for (std::uint64_t i = 0; i < 5; ++i) {
    const Tensors x{noise(10 + i, p.x, kind)};
    BOOST_TEST(same_bits(replay(f, x, "")[0].to(Device::cpu), f(x)[0].to(Device::cpu)), "call " << i);
  }
  BOOST_TEST(replay.repeated() == 3);
}

BOOST_AUTO_TEST_CASE(the_faster_way_is_measured_and_written_down) {
  if (!can_run()) return;
  const test::Folder cache;
  setenv("XDG_CACHE_HOME", (cache / "").c_str(), 1);
  const Problem& p = problems()[0];
  const Tensors own = outcome(p, DType::f32, false);
  const ConvolutionsBy by(ConvAlgorithm::faster, Device::cuda);
  const Tensors first = outcome(p, DType::f32, false), again = outcome(p, DType::f32, false);
  for (std::size_t i = 0; i < own.size(); ++i) {
    BOOST_TEST(relative_difference(first[i], own[i]) <= tolerance::rounding(DType::f32, 300));
    BOOST_TEST(same_bits(first[i], again[i]));
  }
  const std::string kept = test::slurp(cuda::cudnn::choices_file());
  for (const char* what : {": conv2d f32 x(1, 6, 6, 8)", ": conv2d_dx f32", ": conv2d_dw f32"})
    BOOST_TEST(kept.find(what) != std::string::npos, what << " is not in " << kept);
}

BOOST_AUTO_TEST_CASE(rows_of_a_batch_by_cudnn) {
  if (!can_run()) return;
  const ConvolutionsBy by(ConvAlgorithm::vendor, Device::cuda);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Kind kind{dtype, Device::cuda};
    const Problem& p = problems()[0];
    const Tensor x = noise(1, p.x, kind), w = noise(2, p.w, kind), y = conv2d(x, w, p.at).to(Device::cpu);
    const bool same = same_bits(conv2d(x.rows(1, 1), w, p.at).to(Device::cpu), y.rows(1, 1));
    BOOST_TEST_MESSAGE(name_of(dtype) << ": a row alone has " << (same ? "the" : "other") << " bits");
    if (takes_turns) BOOST_TEST(same);  // cuDNN promises nothing here; --help says so
  }
}

// The library itself, and no device: it plans for a chip it is told of.
BOOST_AUTO_TEST_CASE(cudnn_has_plans_for_what_networks_do) {
  using namespace cuda::cudnn;
  if (!is_there() || version() == "9.99.99") {
    BOOST_TEST_MESSAGE("skipped: this wants cuDNN itself, and is its own entry of ctest");
    return;
  }
  const Target h200(described_device());
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const bool tf32 : {false, true})
      for (const auto& [x, w] : std::vector<std::pair<Shape, Shape>>{{{1, 32, 32, 128}, {3, 3, 128, 128}},
                                                                     {{16, 8, 8, 512}, {3, 3, 512, 256}},
                                                                     {{64, 16, 16, 256}, {1, 1, 256, 256}}})
        for (const Direction d : {Direction::forward, Direction::data_gradient, Direction::filter_gradient}) {
          const std::int64_t zeros = w[0] / 2;
          const Convolution c{
              d, {.top = zeros, .bottom = zeros, .left = zeros, .right = zeros}, x, w, x.with(3, w[3]), dtype, tf32};
          const auto plan = plan_for(h200, c);
          BOOST_TEST((plan != nullptr), name_of(c));
          if (plan) BOOST_TEST(plan->workspace() < std::int64_t{1} << 30);
        }
  BOOST_TEST_MESSAGE("cuDNN " << version() << " planned for an H200");
}

BOOST_AUTO_TEST_CASE(choices_are_measured_once_and_kept) {
  const test::Folder folder;
  const auto file = folder / "cache/costate/convolutions";
  int own = 0, theirs = 0, timed = 0;
  const auto choose = [&](cuda::cudnn::Choices& c, const std::string& what, std::vector<double> times) {
    timed = 0;
    return c.theirs(
        what, [&] { ++own; }, [&] { ++theirs; }, timer(std::move(times), timed));
  };
  {
    cuda::cudnn::Choices c(file);
    BOOST_TEST(!c.knows("a"));
    BOOST_TEST(choose(c, "a", {10, 5}));
    BOOST_TEST(!choose(c, "b", {5, 10}));
    BOOST_TEST(choose(c, "a", {}));  // known: nothing is timed
    BOOST_TEST(own == 2);
    BOOST_TEST(theirs == 2);
  }
  cuda::cudnn::Choices later(file);  // another process
  BOOST_TEST(choose(later, "a", {}));
  BOOST_TEST(!choose(later, "b", {}));
  BOOST_TEST(choose(later, "c", {2, 1}));
  cuda::cudnn::Choices last(file);
  BOOST_TEST(choose(last, "c", {}));
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_read_is_as_if_it_were_not_there) {
  const test::Folder folder;
  const auto file = folder / "convolutions";
  cuda::cudnn::Choices first(file);
  int timed = 0;
  first.theirs(
      "kept", [] {}, [] {}, timer({2, 1}, timed));
  const std::string good = test::slurp(file);
  const auto heading = good.substr(0, good.find('\n') + 1);
  for (const std::string& text :
       {std::string("another program's\nkept\t2\t1\n"), std::string("\0\1\2\xff", 4), std::string(),
        heading + "kept\tnan\t1\n", heading + "kept\t2\n", heading + "kept\t2\t-1\n", heading + "kept\t2\t1\tmore\n",
        heading + "\t\t\nkept 2 1\n"}) {
    test::spill(file, text);
    timed = 0;
    BOOST_TEST(!cuda::cudnn::Choices(file).theirs(
                   "kept", [] {}, [] {}, timer({1, 2}, timed)),
               text);
    BOOST_TEST(timed == 2);
  }
  // Good lines among bad ones count.
  test::spill(file, heading + "rubbish\nkept\t2\t1\n\n");
  BOOST_TEST(cuda::cudnn::Choices(file).theirs(
      "kept", [] {}, [] {}, timer({}, timed)));
  // Where it cannot be written, what was measured still holds.
  cuda::cudnn::Choices nowhere("/proc/costate/convolutions");
  timed = 0;
  BOOST_TEST(nowhere.theirs(
      "x", [] {}, [] {}, timer({2, 1}, timed)));
  BOOST_TEST(nowhere.theirs(
      "x", [] {}, [] {}, timer({}, timed)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
