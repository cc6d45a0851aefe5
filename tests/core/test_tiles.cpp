// Register tiles that go by pairs, of every size, against the sums they promise: to the bit.
#include <boost/test/unit_test.hpp>

#include <random>
#include <vector>

#include "tests/core/pairs.h"

namespace costate {
namespace {

/// Numbers of T; those of bf16 from [-1, 1], those of i16 from their whole range.
template <class T>
std::vector<T> numbers(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<T> v(static_cast<std::size_t>(count));
  for (auto& e : v)
    if constexpr (std::is_same_v<T, bf16>)
      e = bf16(std::uniform_real_distribution<float>(-1, 1)(engine));
    else
      e = static_cast<T>(engine());
  return v;
}

bf16 expected(bf16 bias, bf16 addend, const bf16* a, const bf16* b, std::int64_t length) {
  const float sum = pair_chain(
      static_cast<float>(bias), length, [&](auto k) { return a[k]; }, [&](auto k) { return b[k]; });
  return bf16(sum + static_cast<float>(addend));
}
std::int32_t expected(std::int32_t bias, std::int32_t addend, const std::int16_t* a, const std::int16_t* b,
                      std::int64_t length) {
  auto sum = static_cast<std::uint32_t>(bias) + static_cast<std::uint32_t>(addend);  // modulo 2^32, as the machine sums
  for (std::int64_t k = 0; k < length; ++k) sum += static_cast<std::uint32_t>(std::int32_t{a[k]} * b[k]);
  return static_cast<std::int32_t>(sum);
}

std::uint32_t bits(bf16 v) { return v.bits; }
std::uint32_t bits(std::int32_t v) { return static_cast<std::uint32_t>(v); }

/// One tile of `rows` by `columns`, two segments of `length` and 2 elements.
template <class T>
void check_tile(std::int64_t rows, std::int64_t vectors, std::int64_t columns, std::int64_t length) {
  using Out = cpu::TileOut<T>;
  const auto& tiles = cpu::tile_kernels<T>();
  const std::int64_t width = vectors * tiles.lanes, steps = cpu::tile_steps<T>(length);
  const auto a = numbers<T>(rows * length, 1), b = numbers<T>(columns * length, 2), a2 = numbers<T>(rows * 2, 3),
             b2 = numbers<T>(columns * 2, 4);
  const auto bias = numbers<Out>(columns, 5), addend = numbers<Out>(rows * columns, 6);
  std::vector<T> panel(static_cast<std::size_t>(steps * 2 * width)), panel2(static_cast<std::size_t>(2 * width));
  cpu::pack_panel(b.data(), 1, length, length, columns, width, panel.data());
  cpu::pack_panel(b2.data(), 1, 2, 2, columns, width, panel2.data());
  std::vector<Out> out(static_cast<std::size_t>(rows * columns));
  cpu::Segment<T> segments[2] = {{{}, panel.data(), length}, {{}, panel2.data(), 2}};
  cpu::TileWork<T> work{segments, 2, 2, 2 * width, {}, columns, false, bias.data()};
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto at = static_cast<std::size_t>(r);
    segments[0].a[at] = a.data() + r * length;
    segments[1].a[at] = a2.data() + r * 2;
    work.out[at] = out.data() + r * columns;
    work.addend[at] = addend.data() + r * columns;
  }
  tiles.run[static_cast<std::size_t>(rows - 1)][static_cast<std::size_t>(vectors - 1)](work);
  std::int64_t wrong = 0;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      std::vector<T> row(a.begin() + r * length, a.begin() + (r + 1) * length),
          column(b.begin() + c * length, b.begin() + (c + 1) * length);
      for (auto* v : {&row, &column})
        if (length % 2 != 0) v->push_back(T{});  // a segment of odd length ends in half a pair
      row.insert(row.end(), a2.begin() + r * 2, a2.begin() + (r + 1) * 2);
      column.insert(column.end(), b2.begin() + c * 2, b2.begin() + (c + 1) * 2);
      const Out want = expected(bias[static_cast<std::size_t>(c)], addend[static_cast<std::size_t>(r * columns + c)],
                                row.data(), column.data(), static_cast<std::int64_t>(row.size()));
      wrong += bits(want) != bits(out[static_cast<std::size_t>(r * columns + c)]) ? 1 : 0;
    }
  BOOST_TEST_CONTEXT(rows << " rows, " << columns << " columns, " << length << " products") BOOST_TEST(wrong == 0);
}

template <class T>
void check_tiles() {
  for (std::int64_t rows = 1; rows <= cpu::tile_rows; ++rows)
    for (std::int64_t vectors = 1; vectors <= cpu::tile_kernels<T>().vectors; ++vectors)
      for (const std::int64_t short_of : {0, 1, 15})
        for (const std::int64_t length : {1, 2, 7, 32})
          check_tile<T>(rows, vectors, vectors * cpu::tile_kernels<T>().lanes - short_of, length);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tiles_of_pairs, *boost::unit_test::precondition(machine_has_pairs))

BOOST_AUTO_TEST_CASE(sum_bf16_in_f32_of_each_pair_the_second_first) { check_tiles<bf16>(); }
BOOST_AUTO_TEST_CASE(sum_i16_exactly) { check_tiles<std::int16_t>(); }

BOOST_AUTO_TEST_CASE(round_to_nearest_even_and_keep_infinities_and_nan) {
  const auto& tiles = cpu::tile_kernels<bf16>();
  const bf16 one(1.0F), a[2] = {one, one};
  for (const float v : {1.00390625F, 1.01171875F, -1.00390625F, 1e30F, INFINITY, -INFINITY, NAN}) {
    std::vector<bf16> panel(static_cast<std::size_t>(2 * tiles.lanes));
    panel[0] = bf16(v);
    panel[1] = bf16(v - static_cast<float>(bf16(v)));  // what bf16 leaves of it: NaN of an infinity
    if (std::isinf(v)) panel[1] = bf16(0.0F);
    bf16 out{};
    const cpu::Segment<bf16> segment{{a}, panel.data(), 2};
    tiles.run[0][0]({&segment, 1, 2, 2 * tiles.lanes, {&out}, 1, false});
    BOOST_TEST(std::isnan(static_cast<float>(out)) == std::isnan(v));
    if (!std::isnan(v)) BOOST_TEST(out.bits == bf16(v).bits);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
