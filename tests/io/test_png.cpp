// PNG: round trips, the grid, damage.
#include <boost/test/unit_test.hpp>

#include <png.h>

#include <cmath>
#include <limits>

#include "io/png.h"
#include "io_test.h"

using namespace costate;
using namespace costate::io_test;

namespace {

Tensor picture(std::int64_t h, std::int64_t w, std::int64_t c, DType dtype) {
  std::vector<double> v(static_cast<std::size_t>(h * w * c));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>(i * 7 % 256) / 255;
  return Tensor::from(v, {h, w, c}, dtype);
}

// A picture of any PNG kind, by plain libpng. `rows` are packed as the format has them.
void write_kind(const fs::path& path, int w, int h, int depth, int color, int interlace,
                std::vector<std::vector<png_byte>> rows) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::FILE* f = std::fopen(path.c_str(), "wb");
  png_init_io(png, f);
  png_set_IHDR(png, info, static_cast<png_uint_32>(w), static_cast<png_uint_32>(h), depth, color, interlace, 0, 0);
  png_color palette[] = {{255, 0, 0}, {0, 51, 255}};
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 2);
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (auto& r : rows) pointers.push_back(r.data());
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  std::fclose(f);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(png)

BOOST_AUTO_TEST_CASE(round_trip) {
  const Scratch dir;
  for (const auto dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const std::int64_t c : {1, 3}) {
      const Tensor in = picture(5, 7, c, dtype);
      write_png(dir / "x.png", in);
      const Tensor out = read_png(dir / "x.png");
      BOOST_REQUIRE(out.shape() == in.shape() && out.dtype() == DType::f64);
      const auto a = in.to_vector(), b = out.to_vector();
      for (std::size_t i = 0; i < a.size(); ++i) BOOST_CHECK_LE(std::abs(a[i] - b[i]), 0.5 / 255 + 1e-12);
      if (dtype == DType::f64) BOOST_CHECK(a == b);
    }
  }
}

BOOST_AUTO_TEST_CASE(values_are_clamped_and_rounded_and_nan_is_named) {
  const Scratch dir;
  constexpr double inf = std::numeric_limits<double>::infinity();
  write_png(dir / "x.png", Tensor::from({-1, 0.5, 2, -inf, inf, 0.0019}, {2, 3, 1}));
  const auto v = read_png(dir / "x.png").to_vector();
  BOOST_CHECK(v == (std::vector<double>{0, 128 / 255.0, 1, 0, 1, 0}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  check_error(
      [&] {
        write_png(dir / "y.png", Tensor::from({0, 0, 0, 0, nan, 0}, {2, 3, 1}));
      },
      {"row 1, column 1 is NaN"});
  check_error([&] { write_png(dir / "y.png", ramp({2, 2}, DType::f32)); }, {"(2, 2)"});
  check_error([&] { write_png(dir / "y.png", ramp({2, 2, 2}, DType::f32)); }, {"(2, 2, 2)"});
  check_error([&] { write_png(dir / "y.png", ramp({0, 2, 1}, DType::f32)); }, {"(0, 2, 1)"});
  check_error([&] { write_png(dir / "y.png", ramp({2, 2, 1}, DType::i32)); }, {"floating dtype"});
  check_error([&] { write_png(dir / "no" / "y.png", ramp({2, 2, 1}, DType::f32)); }, {"cannot create"});
  BOOST_CHECK_EQUAL(dir.files(), 1U);
}

BOOST_AUTO_TEST_CASE(other_kinds) {
  const Scratch dir;
  const fs::path p = dir / "x.png";
  const auto values = [&] { return read_png(p).to_vector(); };
  using V = std::vector<double>;
  write_kind(p, 2, 1, 1, PNG_COLOR_TYPE_PALETTE, 0, {{0x40}});
  BOOST_CHECK(values() == (V{1, 0, 0, 0, 0.2, 1}));
  write_kind(p, 3, 1, 1, PNG_COLOR_TYPE_GRAY, 0, {{0xa0}});
  BOOST_CHECK(values() == (V{1, 0, 1}));
  write_kind(p, 2, 1, 16, PNG_COLOR_TYPE_GRAY, 0, {{0xff, 0xff, 0x00, 0x01}});
  BOOST_CHECK(values() == (V{1, 1 / 65535.0}));
  write_kind(p, 1, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, 0, {{51, 102, 153, 0}});
  BOOST_CHECK(values() == (V{0.2, 0.4, 0.6}));
  write_kind(p, 1, 2, 8, PNG_COLOR_TYPE_GRAY_ALPHA, 1, {{51, 0}, {255, 9}});
  BOOST_CHECK(values() == (V{0.2, 1}));
}

BOOST_AUTO_TEST_CASE(damaged_files_never_crash) {
  const Scratch dir;
  write_png(dir / "x.png", picture(4, 3, 3, DType::f32));
  damage(dir / "y.png", read_text(dir / "x.png"), [&] { static_cast<void>(read_png(dir / "y.png")); });
  check_error([&] { read_png(dir / "none.png"); }, {"none.png"});
  write_file(dir / "z.png", "text");
  check_error([&] { read_png(dir / "z.png"); }, {"not a PNG file"});
}

BOOST_AUTO_TEST_CASE(grid) {
  const Tensor in = Tensor::from({0, 0.25, 0.5}, {3, 1, 1, 1}, DType::f32);
  const Tensor out = tile(in, 2, 1, 2);
  BOOST_REQUIRE(out.shape() == (Shape{7, 7, 1}));
  const auto v = out.to_vector();
  const auto at = [&](int y, int x) { return v[static_cast<std::size_t>(y * 7 + x)]; };
  BOOST_CHECK(at(0, 0) == 1 && at(1, 1) == 0 && at(2, 2) == 0 && at(1, 3) == 1 && at(1, 4) == 0.25 && at(4, 1) == 0.5);
  BOOST_CHECK(at(4, 4) == 1 && at(6, 6) == 1);
  BOOST_CHECK(tile(in, 10, 0, 1).shape() == (Shape{1, 3, 1}));
  check_error([&] { static_cast<void>(tile(in, 0, 1, 1)); }, {"columns"});
  check_error([&] { static_cast<void>(tile(ramp({2, 2}, DType::f32), 1, 1, 1)); }, {"(2, 2)"});
}

BOOST_AUTO_TEST_SUITE_END()
