// libpng, with its long jumps kept to functions that own nothing.
#include "io/png.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstring>
#include <string>
#include <vector>

#include "io/atomic_file.h"
#include "io/mapped_file.h"

namespace costate {
namespace {

constexpr std::uint32_t max_side = 1U << 20;
constexpr std::uint64_t max_pixels = std::uint64_t{1} << 28;

// Shared with libpng's callbacks. An error jumps to `jump`, which the caller has set in a frame whose locals are all
// trivial: nothing with a destructor may live between the jump and its target.
struct Session {
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool writing = false;
  std::jmp_buf jump;
  char message[200] = "";
  std::string_view input;  // the rest of the file that is read
  std::string output;      // the file that is written

  ~Session() {
    if (writing)
      png_destroy_write_struct(&png, &info);
    else
      png_destroy_read_struct(&png, &info, nullptr);
  }
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* s = static_cast<Session*>(png_get_error_ptr(png));
  std::strncpy(s->message, message, sizeof s->message - 1);
  std::longjmp(s->jump, 1);
}
void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, std::size_t count) {
  auto& input = static_cast<Session*>(png_get_io_ptr(png))->input;
  if (count > input.size()) png_error(png, "the file ends too early");
  std::memcpy(to, input.data(), count);
  input.remove_prefix(count);
}

void on_write(png_structp png, png_bytep from, std::size_t count) {
  bool failed = false;
  try {
    static_cast<Session*>(png_get_io_ptr(png))->output.append(reinterpret_cast<const char*>(from), count);
  } catch (...) {
    failed = true;  // a jump out of the handler would leak the exception
  }
  if (failed) png_error(png, "out of memory");
}
void on_flush(png_structp) {}

struct Header {
  png_uint_32 width = 0, height = 0;
  int channels = 0, depth = 0;
};

bool read_header(Session& s, Header& h) {
  if (setjmp(s.jump) != 0) return false;
  png_set_read_fn(s.png, &s, on_read);
  png_set_user_limits(s.png, max_side, max_side);
  png_set_chunk_malloc_max(s.png, 8U << 20);
  png_read_info(s.png, s.info);
  png_set_expand(s.png);  // palettes to RGB, 1, 2, 4 bits to 8, tRNS to alpha
  png_set_strip_alpha(s.png);
  png_set_interlace_handling(s.png);
  png_read_update_info(s.png, s.info);
  h.width = png_get_image_width(s.png, s.info);
  h.height = png_get_image_height(s.png, s.info);
  h.channels = png_get_channels(s.png, s.info);
  h.depth = png_get_bit_depth(s.png, s.info);
  return true;
}

bool read_rows(Session& s, png_bytepp rows) {
  if (setjmp(s.jump) != 0) return false;
  png_read_image(s.png, rows);
  png_read_end(s.png, nullptr);
  return true;
}

bool write_rows(Session& s, const Header& h, png_bytepp rows) {
  if (setjmp(s.jump) != 0) return false;
  png_set_write_fn(s.png, &s, on_write, on_flush);
  png_set_user_limits(s.png, max_side, max_side);
  png_set_IHDR(s.png, s.info, h.width, h.height, 8, h.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(s.png, s.info);
  png_write_image(s.png, rows);
  png_write_end(s.png, nullptr);
  return true;
}

// Pointers to the rows of a block, for libpng.
std::vector<png_bytep> rows_of(std::vector<unsigned char>& pixels, std::size_t height) {
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = pixels.data() + y * (pixels.size() / height);
  return rows;
}

template <class T>
double value_of(T v) {
  if constexpr (std::is_same_v<T, bf16>)
    return static_cast<float>(v);
  else
    return static_cast<double>(v);
}

std::vector<unsigned char> to_bytes(const Tensor& image, const std::string& where) {
  std::vector<unsigned char> bytes(static_cast<std::size_t>(image.size()));
  visit_dtype(image.dtype(), [&](auto tag) {
    const auto* from = image.data<decltype(tag)>();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const double v = value_of(from[i]);
      if (std::isnan(v)) {
        const auto pixel = static_cast<std::int64_t>(i) / image.dim(2);
        fail("{}: the value of row {}, column {} is NaN", where, pixel / image.dim(1), pixel % image.dim(1));
      }
      bytes[i] = static_cast<unsigned char>(std::lround(std::clamp(v, 0.0, 1.0) * 255));
    }
  });
  return bytes;
}

}  // namespace

void write_png(const std::filesystem::path& path, const Tensor& image) {
  const std::string where = fmt::format("PNG output '{}'", path.string());
  require(image.defined() && image.rank() == 3 && (image.dim(2) == 1 || image.dim(2) == 3) && image.size() > 0,
          "{}: wants (h, w, 1) or (h, w, 3), got {}", where, image.defined() ? to_string(image.shape()) : "nothing");
  require(is_floating(image.dtype()), "{}: wants values in [0, 1] of a floating dtype, got {}", where,
          name_of(image.dtype()));
  require(image.dim(0) <= max_side && image.dim(1) <= max_side, "{}: {} is larger than {} on a side", where,
          to_string(image.shape()), max_side);
  auto bytes = to_bytes(image, where);
  auto rows = rows_of(bytes, static_cast<std::size_t>(image.dim(0)));
  Session s;
  s.writing = true;
  s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
  s.info = s.png == nullptr ? nullptr : png_create_info_struct(s.png);
  require(s.info != nullptr, "{}: libpng cannot start (out of memory, or of another version than its header)", where);
  const Header h{static_cast<png_uint_32>(image.dim(1)), static_cast<png_uint_32>(image.dim(0)),
                 static_cast<int>(image.dim(2)), 8};
  require(write_rows(s, h, rows.data()), "{}: {}", where, s.message);
  write_file(path, s.output);
}

Tensor read_png(const std::filesystem::path& path) {
  const std::string where = fmt::format("PNG '{}'", path.string());
  const MappedFile file(path);
  constexpr std::string_view signature = "\x89PNG\r\n\x1a\n";
  require(file.bytes().starts_with(signature), "{}: is not a PNG file", where);
  Session s;
  s.input = file.bytes();
  s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
  s.info = s.png == nullptr ? nullptr : png_create_info_struct(s.png);
  require(s.info != nullptr, "{}: libpng cannot start (out of memory, or of another version than its header)", where);
  Header h;
  require(read_header(s, h), "{}: is damaged: {}", where, s.message);
  require((h.channels == 1 || h.channels == 3) && (h.depth == 8 || h.depth == 16), "{}: has an unsupported layout",
          where);
  const std::uint64_t pixels = std::uint64_t{h.width} * h.height;
  // deflate packs at most 1032 bytes into one, 8 pixels into each of them
  require(pixels <= max_pixels && pixels / 8 <= std::uint64_t{file.size()} * 1032,
          "{}: claims {} x {} pixels, more than it can hold", where, h.width, h.height);
  const auto width = static_cast<std::size_t>(h.depth / 8),
             count = static_cast<std::size_t>(pixels) * static_cast<std::size_t>(h.channels);
  std::vector<unsigned char> bytes(count * width);
  auto rows = rows_of(bytes, h.height);
  require(read_rows(s, rows.data()), "{}: is damaged: {}", where, s.message);
  Tensor image = Tensor::empty({h.height, h.width, h.channels}, DType::f64);
  auto* to = image.mutable_data<double>();
  for (std::size_t i = 0; i < count; ++i)
    to[i] = width == 1 ? bytes[i] / 255.0 : (bytes[2 * i] * 256 + bytes[2 * i + 1]) / 65535.0;
  return image;
}

Tensor tile(const Tensor& images, int columns, int gap, int scale) {
  require(images.defined() && images.rank() == 4 && images.size() > 0, "tile: wants images (n, h, w, c), got {}",
          images.defined() ? to_string(images.shape()) : "nothing");
  require(is_floating(images.dtype()), "tile: wants a floating dtype, got {}", name_of(images.dtype()));
  require(columns >= 1 && scale >= 1 && gap >= 0, "tile: wants columns and scale >= 1 and gap >= 0, got {}, {} and {}",
          columns, scale, gap);
  const std::int64_t n = images.dim(0), h = images.dim(1), w = images.dim(2), c = images.dim(3);
  const std::int64_t across = std::min<std::int64_t>(columns, n), down = (n + across - 1) / across;
  const std::int64_t height = down * (h * scale + gap) + gap, width = across * (w * scale + gap) + gap;
  Tensor sheet = Tensor::full({height, width, c}, 1.0, DType::f64);
  auto* to = sheet.mutable_data<double>();
  visit_dtype(images.dtype(), [&](auto tag) {
    const auto* from = images.data<decltype(tag)>();
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t top = gap + i / across * (h * scale + gap), left = gap + i % across * (w * scale + gap);
      for (std::int64_t y = 0; y < h * scale; ++y)
        for (std::int64_t x = 0; x < w * scale; ++x)
          for (std::int64_t k = 0; k < c; ++k)
            to[((top + y) * width + left + x) * c + k] = value_of(from[((i * h + y / scale) * w + x / scale) * c + k]);
    }
  });
  return sheet;
}

}  // namespace costate
