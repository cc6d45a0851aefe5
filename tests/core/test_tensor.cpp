// Shapes, tensors, bf16, trees, devices and the allocator's counters.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>

#include "core/kernels/conv2d.h"
#include "core/kernels/exp.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "core/tree.h"

using namespace costate;

namespace {

const auto names = [](const char* what) {
  return [what](const Error& e) { return std::string(e.what()).find(what) != std::string::npos; };
};

struct Pair {
  Tensor weight, bias;
  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias);
  }
};
struct Model {
  std::vector<Pair> layers;
  std::optional<Pair> head;
  static void fields(auto& self, auto&& visit) {
    visit("layers", self.layers);
    visit("head", self.head);
  }
};

/// f32 -> bf16 -> f32 as the definition has it: to the nearest, halves to the even one.
float rounded(float v) {
  int exponent = 0;
  const double mantissa = std::frexp(static_cast<double>(v), &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor)

BOOST_AUTO_TEST_CASE(shapes) {
  const Shape s{2, 3, 4};
  BOOST_TEST(s.rank() == 3);
  BOOST_TEST(s.size() == 24);
  BOOST_TEST(s[-1] == 4);
  BOOST_TEST(to_string(s) == "(2, 3, 4)");
  BOOST_TEST(to_string(Shape{}) == "()");
  BOOST_TEST(Shape{}.size() == 1);
  BOOST_TEST((Shape{2, 0, 5}.size()) == 0);
  BOOST_TEST((s.with(-2, 7) == Shape{2, 7, 4}));
  BOOST_TEST((!(Shape{2, 3} == Shape{2, 3, 1})));
  BOOST_TEST(s.axis(-3, "op") == 0);
  BOOST_CHECK_EXCEPTION(static_cast<void>(s.axis(3, "my_op")), Error, names("my_op"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(s[3]), Error, names("(2, 3, 4)"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(s[-4]), Error, names("(2, 3, 4)"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(Shape({1, 1, 1, 1, 1, 1, 1})), Error, names("rank 7"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(Shape({2, -1})), Error, names("-1"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(Shape({std::int64_t{1} << 40, std::int64_t{1} << 40})), Error,
                        names("too many"));
}

BOOST_AUTO_TEST_CASE(values_in_every_dtype) {
  const std::vector<double> values{1, -2, 3, 0, 5, 6};
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32}) {
    const Tensor t = Tensor::from(values, {2, 3}, dtype);
    BOOST_TEST(t.to_vector() == values);
    BOOST_TEST(t.bytes() == 6 * size_of(dtype));
    BOOST_TEST(Tensor::full({}, -3, dtype).item() == -3);
  }
}

BOOST_AUTO_TEST_CASE(views_share_storage) {
  const Tensor t = Tensor::from({1, 2, 3, 4, 5, 6}, {3, 2});
  const Tensor rows = t.rows(1, 2), flat = rows.reshaped({4});
  BOOST_TEST(rows.data<double>() == t.data<double>() + 2);
  BOOST_TEST(flat.data<double>() == rows.data<double>());
  BOOST_TEST(flat.to_vector() == (std::vector<double>{3, 4, 5, 6}));
  BOOST_TEST(flat.rows(1, 1).item() == 4);
  BOOST_TEST(t.rows(3, 0).size() == 0);
}

BOOST_AUTO_TEST_CASE(wrong_uses) {
  Tensor t = Tensor::zeros({2, 3});
  BOOST_CHECK_EXCEPTION(static_cast<void>(Tensor::from({1, 2}, {3})), Error, names("(3)"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(t.reshaped({5})), Error, names("(5)"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(t.rows(1, 2)), Error, names("rows"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(t.rows(-1, 1)), Error, names("rows"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(t.item()), Error, names("item"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(t.data<double>()), Error, names("f64"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(Tensor().data<float>()), Error, names("undefined"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(t.ghost().data<float>()), Error, names("internal error"));
  t.mutable_data<float>()[0] = 1;
  const Tensor other = t;
  BOOST_CHECK_EXCEPTION(static_cast<void>(t.mutable_data<float>()), Error, names("immutable"));
  BOOST_CHECK_EXCEPTION(require_same("my_op", t, Tensor::zeros({3, 2})), Error, names("my_op"));
}

BOOST_AUTO_TEST_CASE(devices_that_are_not_there) {
  BOOST_CHECK_EXCEPTION(static_cast<void>(Tensor::zeros({2}, DType::f32, Device::cuda)), Error,
                        names("built without CUDA"));
  BOOST_CHECK_EXCEPTION(require_device(Device::cuda), Error, names("cuda"));
  const Tensor x = Tensor::zeros({2});
  Tensor y = Tensor::zeros({2});
  BOOST_CHECK_EXCEPTION(exp_kernel(Device::cuda, x, y), Error, names("exp: no cuda kernel in this build"));
  BOOST_CHECK_EXCEPTION(conv2d_kernel(Device::cuda, {}, x, x, y), Error, names("conv2d: no cuda kernel in this build"));
  BOOST_TEST(memory_use(Device::cuda).live == 0);
}

BOOST_AUTO_TEST_CASE(bf16_rounds_to_nearest_even) {
  for (const float v :
       {0.0F, 1.0F, -1.0F, 1.00390625F, 1.01171875F, 1.0039063F, 3.1415927F, 1e-30F, -6.5e30F, 255.5F, 65537.0F})
    BOOST_TEST(static_cast<float>(bf16(v)) == rounded(v));
  BOOST_TEST(static_cast<float>(bf16(1.00390625F)) == 1.0F);       // 1 + 2^-8 lies half way: down to even
  BOOST_TEST(static_cast<float>(bf16(1.01171875F)) == 1.015625F);  // 1 + 3 * 2^-8: up to even
  BOOST_TEST(std::isinf(static_cast<float>(bf16(std::numeric_limits<float>::infinity()))));
  BOOST_TEST(std::isinf(static_cast<float>(bf16(std::numeric_limits<float>::max()))));
  BOOST_TEST(std::isnan(static_cast<float>(bf16(std::numeric_limits<float>::quiet_NaN()))));
  BOOST_TEST(
      std::isnan(static_cast<float>(bf16(std::bit_cast<float>(0x7f800001U)))));  // its payload is all in the lost half
}

BOOST_AUTO_TEST_CASE(first_bad_value) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    BOOST_TEST(first_non_finite(Tensor::from({1, 2, 3}, {3}, dtype)) == -1);
    BOOST_TEST(first_non_finite(Tensor::from({1, nan, inf}, {3}, dtype)) == 1);
    BOOST_TEST(first_non_finite(Tensor::from({1, 2, -inf}, {3}, dtype)) == 2);
  }
}

BOOST_AUTO_TEST_CASE(trees) {
  const Tensor one = Tensor::full({1}, 1), two = Tensor::full({1}, 2), three = Tensor::full({1}, 3);
  const Model model{{{one, {}}, {two, three}}, std::nullopt};
  std::string keys;
  for_each_tensor("net", model,
                  [&](const std::string& key, const Tensor& t) { keys += key + (t.defined() ? " " : "? "); });
  BOOST_TEST(keys == "net.layers.0.weight net.layers.0.bias? net.layers.1.weight net.layers.1.bias ");
  BOOST_TEST(leaves(model).size() == 3U);
  const Model moved = with_leaves(model, {three, one, two});
  BOOST_TEST(moved.layers[1].bias.item() == 2);
  BOOST_TEST(!moved.layers[0].bias.defined());
  BOOST_CHECK_EXCEPTION(static_cast<void>(with_leaves(model, {one})), Error, names("layers.1.weight"));
  BOOST_CHECK_EXCEPTION(static_cast<void>(with_leaves(model, {one, one, one, one})), Error, names("4 tensors"));
}

BOOST_AUTO_TEST_CASE(counters_are_exact) {
  const std::int64_t before = memory_use().live;
  reset_peak();
  {
    const Tensor a = Tensor::zeros({100}, DType::f64);  // 800 bytes in 832
    BOOST_TEST(memory_use().live - before == 832);
    const Tensor view = a.rows(1, 5), copy = a;
    BOOST_TEST(memory_use().live - before == 832);
    { const Tensor b = Tensor::zeros({16}); }
    BOOST_TEST(memory_use().live - before == 832);
    const Tensor nothing = Tensor::zeros({0, 4});
    BOOST_TEST(memory_use().live - before == 832 + 64);
  }
  BOOST_TEST(memory_use().live == before);
  BOOST_TEST(memory_use().peak - before == 832 + 64);
  reset_peak();
  BOOST_TEST(memory_use().peak == before);
  release_cached();
  BOOST_TEST(memory_use().live == before);
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(Tensor::zeros({3}).data<float>()) % 64 == 0U);
}

BOOST_AUTO_TEST_CASE(derived_layouts_are_made_once_and_counted) {
  const std::int64_t before = memory_use().live;
  {
    const Tensor w = Tensor::zeros({16});
    int made = 0;
    const auto layout = [&] {
      return w.storage().derived<Block>("panels", [&] {
        ++made;
        return Block(640, Device::cpu);
      });
    };
    BOOST_TEST(layout() == layout());
    BOOST_TEST(made == 1);
    BOOST_TEST(memory_use().live - before == 64 + 640);
  }
  BOOST_TEST(memory_use().live == before);
}

BOOST_AUTO_TEST_CASE(more_memory_than_there_is) {
  BOOST_CHECK_EXCEPTION(static_cast<void>(Tensor::empty({std::int64_t{1} << 50}, DType::f64)), Error,
                        names("cannot allocate"));
  BOOST_TEST(format_bytes(0) == "0 B");
  BOOST_TEST(format_bytes(1536) == "1.5 KiB");
  BOOST_TEST(format_bytes(std::int64_t{5} << 30) == "5.0 GiB");
}

BOOST_AUTO_TEST_SUITE_END()
