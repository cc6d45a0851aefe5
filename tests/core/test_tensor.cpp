// Tensors: making, reading, views, bf16 rounding, checks, and the refusals.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <thread>

#include "core/kernel.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "tests/core/throws.h"

namespace costate {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const double nan = std::numeric_limits<double>::quiet_NaN();

std::uint16_t rounded(std::uint32_t bits) { return bf16(std::bit_cast<float>(bits)).bits; }

void add_one(const Tensor& in, double& out) { out = in.item() + 1; }
constexpr Kernel<void(const Tensor&, double&)> half_built{"half_built", add_one};

}  // namespace

BOOST_AUTO_TEST_SUITE(tensors)

BOOST_AUTO_TEST_CASE(hold_what_they_were_given) {
  const std::vector<double> values{1, -2, 3, 0, 5, 6};
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32}) {
    const Tensor t = Tensor::from(values, {2, 3}, dtype);
    BOOST_TEST((t.to_vector() == values), name_of(dtype));
    BOOST_TEST(t.bytes() == 6 * size_of(dtype));
    BOOST_TEST((t.dim(-1) == 3 && t.rank() == 2 && t.size() == 6 && t.dtype() == dtype));
    BOOST_TEST((Tensor::full({2}, 3, dtype).to_vector() == std::vector<double>{3, 3}));
    BOOST_TEST((Tensor::zeros({2}, dtype).to_vector() == std::vector<double>{0, 0}));
  }
  BOOST_TEST(Tensor::full({}, 0.1, DType::f64).item() == 0.1);
  BOOST_TEST(Tensor::full({1, 1}, 0.1).item() == static_cast<double>(0.1F));
  BOOST_TEST(!Tensor().defined());
  BOOST_TEST(Tensor::zeros({0, 3}).to_vector().empty());
}

BOOST_AUTO_TEST_CASE(views_share_storage) {
  Tensor t = Tensor::from({0, 1, 2, 3, 4, 5, 6, 7}, {4, 2});
  const double* p = t.data<double>();
  {
    const Tensor row = t.rows(1, 2);
    BOOST_TEST(row.data<double>() == p + 2);
    BOOST_TEST(row.offset() == 2);
    BOOST_TEST((row.to_vector() == std::vector<double>{2, 3, 4, 5}));
    BOOST_TEST(row.rows(1, 1).data<double>() == p + 4);  // a view of a view counts from the storage's start
    BOOST_TEST(&row.storage() == &t.storage());
    const Tensor flat = row.reshaped({4});
    BOOST_TEST(flat.data<double>() == p + 2);
    BOOST_TEST((flat.shape() == Shape{4}));
    check_throws([&] { return t.mutable_data<double>(); }, {"immutable"});
  }
  t.mutable_data<double>()[0] = 9;  // the views are gone
  BOOST_TEST(t.to_vector()[0] == 9);
  BOOST_TEST(t.rows(4, 0).size() == 0);
  BOOST_TEST((Tensor::zeros({0, 2}).rows(0, 0).shape() == Shape{0, 2}));
}

BOOST_AUTO_TEST_CASE(neighbours_in_one_storage_are_one_view) {
  const Tensor t = Tensor::from({0, 1, 2, 3, 4, 5, 6, 7}, {8});
  const Tensor y = Tensor::spanning({t.rows(1, 2).with_id(3), t.rows(3, 0), t.rows(3, 4)}, 1, {2, 3});
  BOOST_TEST((y.to_vector() == std::vector<double>{1, 2, 3, 4, 5, 6}));
  BOOST_TEST((y.shape() == Shape{2, 3} && y.offset() == 1 && y.id() == 0));
  BOOST_TEST(!Tensor::spanning({t.rows(1, 2), t.rows(4, 2)}, 1, {4}).defined());
  BOOST_TEST(!Tensor::spanning({t.rows(4, 2), t.rows(2, 2)}, 1, {4}).defined());
  BOOST_TEST(!Tensor::spanning({t.rows(1, 2), t.rows(3, 2)}, 2, {4}).defined());  // lines of one lie within the other's
  BOOST_TEST(!Tensor::spanning({Tensor::zeros({2}), Tensor::zeros({2})}, 1, {4}).defined());
  const Tensor ghost = Tensor::zeros({0}).ghost();
  BOOST_TEST(!Tensor::spanning({ghost, ghost}, 1, {0}).defined());  // no storage is not one storage
  check_throws([&] { return Tensor::spanning({t.rows(1, 2), t.rows(3, 2)}, 1, {5}); }, {"4 elements", "(5)"});
}

BOOST_AUTO_TEST_CASE(strips_lie_in_the_tensor_they_are_of) {
  const Tensor t = Tensor::from({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {3, 4});
  const std::int64_t before = memory_use().live;
  const Tensor left = t.strip({3, 2}, 0, 2, 4).with_id(4), right = t.strip({3, 1}, 2, 1, 4),
               last = t.strip({3, 1}, 3, 1, 4);
  BOOST_TEST((left.run() == 2 && left.id() == 4 && t.run() == 12));
  const Tensor both = Tensor::spanning({left, right}, 3, {3, 3}), all = Tensor::spanning({both, last}, 3, {3, 4});
  BOOST_TEST(both.run() == 3);
  BOOST_TEST((all.run() == 12 && all.data<double>() == t.data<double>()));
  BOOST_TEST(!Tensor::spanning({left, last}, 3, {3, 3}).defined());
  BOOST_TEST(!Tensor::spanning({right, left}, 3, {3, 3}).defined());
  BOOST_TEST(memory_use().live == before);
  BOOST_TEST((both.to_vector() == std::vector<double>{0, 1, 2, 4, 5, 6, 8, 9, 10}));
  BOOST_TEST((both.reshaped({9}).rows(4, 3).to_vector() == std::vector<double>{5, 6, 8}));
  BOOST_TEST(both.dense().run() == 9);
  BOOST_TEST(both.offset() == 0);
  BOOST_TEST(both.data<double>() == both.reshaped({9}).data<double>());  // one copy for all that are this strip
  const Tensor second = both.strip({3, 1}, 1, 1, 3), odd = both.strip({2, 2}, 1, 2, 6);  // of a strip
  BOOST_TEST(Tensor::spanning({second, right}, 3, {3, 2}).defined());                    // in place
  BOOST_TEST(
      (second.to_vector() == std::vector<double>{1, 5, 9} && odd.to_vector() == std::vector<double>{1, 2, 9, 10}));
  BOOST_TEST((both.strip({2, 2}, 2, 2, 4).to_vector() == std::vector<double>{2, 4, 8, 9}));  // across its lines
  BOOST_TEST((both.strip({2, 2}, 0, 2, 4).to_vector() == std::vector<double>{0, 1, 5, 6}));  // no whole lines apart
  BOOST_TEST((both.strip({1, 3}, 3, 3, 9).data<double>() == t.data<double>() + 4));
  BOOST_TEST(t.strip({1, 3}, 5, 3, 4).data<double>() == t.data<double>() + 5);  // of one line: dense
  BOOST_TEST(t.strip({0, 2}, 0, 2, 4).size() == 0);
  BOOST_TEST(Tensor::zeros({2, 0, 9}).strip({2, 0, 3}, 3, 3, 9).size() == 0);  // from behind the end of nothing
  BOOST_TEST((both.ghost().strip({3, 1}, 1, 1, 3).shape() == Shape{3, 1}));
  Tensor alone = Tensor::from({0, 1, 2, 3}, {2, 2}).strip({2, 1}, 1, 1, 2);
  check_throws([&] { return alone.mutable_data<double>(); }, {"immutable"});
  check_throws([&] { return t.strip({3, 2}, 3, 2, 4); }, {"strip", "(3, 2)", "(3, 4)"});
}

BOOST_AUTO_TEST_CASE(threads_that_read_a_strip_share_one_copy) {
  for (int run = 0; run < 100; ++run) {
    const Tensor part = Tensor::full({64, 100}, run).strip({64, 60}, 3, 60, 100);
    std::array<const float*, 6> found{};
    std::vector<std::thread> all;
    for (auto& at : found)
      all.emplace_back([&at, mine = part] {
        at = mine.data<float>();
        if (std::count(at, at + mine.size(), at[0]) != mine.size()) at = nullptr;
      });
    for (auto& thread : all) thread.join();
    BOOST_TEST((found[0] != nullptr && std::count(found.begin(), found.end(), found[0]) == 6));
    BOOST_TEST(found[0][59] == static_cast<float>(run));
  }
}

BOOST_AUTO_TEST_CASE(lines_are_read_where_they_lie_if_they_are_words) {
  const Tensor t = Tensor::zeros({3, 8});
  const auto step_of = [&](std::int64_t first, std::int64_t run, std::int64_t width) {
    return t.strip({3, run}, first, run, 8).device_lines<float>(width).step;
  };
  BOOST_TEST(step_of(4, 4, 4) == 8);
  BOOST_TEST(t.strip({3, 4}, 4, 4, 8).device_lines<float>(4).data == t.data<float>() + 4);
  BOOST_TEST(step_of(4, 4, 2) == 2);  // of their copy
  BOOST_TEST(step_of(2, 4, 4) == 4);
  BOOST_TEST(step_of(4, 3, 3) == 3);
  // One line as well: a row is met as it is in a batch.
  BOOST_TEST(t.strip({1, 4}, 4, 4, 8).data<float>() == t.data<float>() + 4);
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(t.strip({1, 4}, 2, 4, 8).data<float>()) % 16 == 0);
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(t.rows(0, 1).strip({1, 4}, 2, 4, 8).data<float>()) % 16 == 0);
  BOOST_TEST(t.strip({1, 3}, 2, 3, 8).data<float>() == t.data<float>() + 2);
  BOOST_TEST(t.strip({0, 4}, 2, 4, 8).dense().size() == 0);
  BOOST_TEST(t.device_lines<float>(8).step == 8);
}

BOOST_AUTO_TEST_CASE(identities_do_not_survive_views) {
  const Tensor t = Tensor::zeros({2, 2}).with_id(7);
  BOOST_TEST(t.id() == 7);
  BOOST_TEST(t.reshaped({4}).id() == 0);
  BOOST_TEST(t.rows(0, 1).id() == 0);
}

BOOST_AUTO_TEST_CASE(ghosts_have_everything_but_data) {
  const Tensor ghost = Tensor::zeros({2, 3}, DType::bf16).with_id(5).ghost();
  BOOST_TEST((ghost.defined() && ghost.is_ghost() && ghost.id() == 5));
  BOOST_TEST((ghost.shape() == Shape{2, 3} && ghost.dtype() == DType::bf16));
  check_throws([&] { return ghost.to_vector(); }, {"no values", "does not need"});
}

BOOST_AUTO_TEST_CASE(refuse_what_makes_no_sense) {
  const Tensor t = Tensor::zeros({2, 3});
  check_throws([] { return Tensor::from({1, 2, 3}, {2, 2}); }, {"3 values", "(2, 2)"});
  check_throws([&] { return t.data<double>(); }, {"f32", "f64"});
  check_throws([&] { return t.item(); }, {"item", "(2, 3)"});
  check_throws([&] { return t.reshaped({4}); }, {"reshape", "(2, 3)", "(4)"});
  check_throws([&] { return t.rows(1, 2); }, {"rows: 2 from 1 on", "(2, 3)"});
  check_throws([&] { return t.rows(-1, 1); }, {"rows", "(2, 3)"});
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  check_throws([&] { return t.rows(1, huge); }, {"rows", "(2, 3)"});
  check_throws([&] { return t.rows(huge, huge); }, {"rows", "(2, 3)"});
  check_throws([&] { return t.strip({2, 1}, huge, 1, 3); }, {"strip", "(2, 3)"});
  check_throws([&] { return t.strip({2, 1}, 0, 1, huge); }, {"strip", "(2, 3)"});
  check_throws([&] { return t.strip({3, 1}, 0, 1, huge); }, {"strip", "(2, 3)"});
  check_throws([&] { return t.strip({2, 1}, 3, 1, -3); }, {"strip", "(2, 3)"});
  check_throws([] { return Tensor::zeros({}).rows(0, 1); }, {"rows", "()"});
  check_throws([] { return Tensor().to_vector(); }, {"undefined"});
  check_throws([&] { return require_same("op", t, Tensor::zeros({3, 2})), 0; }, {"op: ", "(2, 3)", "(3, 2)"});
  check_throws([&] { return require_same("op", t, Tensor::zeros({2, 3}, DType::i32)), 0; }, {"op: ", "f32", "i32"});
  check_throws([&] { return require_same("op", t, Tensor()), 0; }, {"op: ", "undefined"});
  BOOST_CHECK_NO_THROW(require_same_kind("op", t, Tensor::zeros({3, 2})));
}

BOOST_AUTO_TEST_CASE(devices_and_kernels_that_are_not_built_say_so) {
  check_throws([] { return Tensor::zeros({2}, {DType::f32, Device::cuda}); }, {"cuda", "built without CUDA", "CPU"});
  double out = 0;
  half_built(Device::cpu, Tensor::full({}, 1), out);
  BOOST_TEST(out == 2);
  check_throws([&] { return half_built(Device::cuda, Tensor::full({}, 1), out), 0; },
               {"half_built: ", "cuda", "built without CUDA"});
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_is_seen) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    BOOST_TEST(first_non_finite(Tensor::from({1, 2, 3}, {3}, dtype)) == -1);
    BOOST_TEST(first_non_finite(Tensor::from({1, nan, infinity}, {3}, dtype)) == 1);
    BOOST_TEST(first_non_finite(Tensor::from({1, 2, -infinity}, {3}, dtype)) == 2);
    BOOST_TEST(first_non_finite(Tensor::from({nan, 1, 2}, {3}, dtype).rows(1, 2)) == -1);
  }
  BOOST_TEST(first_non_finite(Tensor::zeros({3}, DType::i32)) == -1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bf16_numbers)

BOOST_AUTO_TEST_CASE(round_to_nearest_even) {
  BOOST_TEST(rounded(0x3f800000) == 0x3f80);  // 1
  BOOST_TEST(rounded(0x3f807fff) == 0x3f80);  // just below a tie
  BOOST_TEST(rounded(0x3f808000) == 0x3f80);  // a tie goes to the even neighbour, here down
  BOOST_TEST(rounded(0x3f808001) == 0x3f81);
  BOOST_TEST(rounded(0x3f818000) == 0x3f82);  // and here up
  BOOST_TEST(rounded(0xbf818000) == 0xbf82);  // whatever the sign
  BOOST_TEST(rounded(0x3fffffff) == 0x4000);  // the carry reaches the exponent
  BOOST_TEST(rounded(0x00000001) == 0x0000);
  BOOST_TEST(rounded(0x80000000) == 0x8000);  // -0
  BOOST_TEST(rounded(0x7f7fffff) == 0x7f80);  // above the largest: infinity
}

BOOST_AUTO_TEST_CASE(keep_nan_and_infinity) {
  BOOST_TEST(rounded(0x7f800000) == 0x7f80);
  BOOST_TEST(rounded(0xff800000) == 0xff80);
  // A NaN whose upper half looks like infinity, or whose carry would wrap to zero, stays NaN.
  for (const std::uint32_t bits : {0x7f800001U, 0xff800001U, 0x7fffffffU, 0xffffffffU, 0x7fc00000U})
    BOOST_TEST(std::isnan(static_cast<float>(bf16(std::bit_cast<float>(bits)))), bits);
}

BOOST_AUTO_TEST_CASE(all_survive_the_way_through_f32) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    bf16 v;
    v.bits = static_cast<std::uint16_t>(i);
    const auto f = static_cast<float>(v);
    if (!std::isnan(f)) BOOST_REQUIRE_EQUAL(bf16(f).bits, v.bits);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
