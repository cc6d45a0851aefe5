// HDF5 files: a reader of any dataset of numbers, and an atomic writer.
//
// All calls into libhdf5 are made under one process-wide recursive lock, so readers and writers may be used from any
// thread (one object from one thread at a time). libhdf5 prints nothing; what it has to say becomes part of the Error.
// It loads no filter plug-ins, and external files, external links and virtual datasets are refused: a file is read,
// nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "io/element.h"

namespace costate {

/// Names are paths without a leading '/': "weights/conv_in.weight"; "" is the root group.
class Hdf5Reader {
 public:
  /// Error when the file is missing, is not HDF5 or is damaged. All dataset names are listed at once. Files in formats
  /// without checksums on their metadata are first listed, and before the first values are asked for read, in a child
  /// process, as damage there can crash libhdf5 itself.
  explicit Hdf5Reader(const std::filesystem::path& path);
  Hdf5Reader(Hdf5Reader&&) noexcept;
  Hdf5Reader& operator=(Hdf5Reader&&) noexcept;
  ~Hdf5Reader();

  [[nodiscard]] const std::filesystem::path& path() const;
  /// Is there a dataset of this name? (Reached by hard links: soft and external links are not followed.)
  [[nodiscard]] bool contains(std::string_view name) const;
  /// All datasets at any depth, sorted.
  [[nodiscard]] const std::vector<std::string>& datasets() const;

  [[nodiscard]] Shape shape(std::string_view name) const;
  [[nodiscard]] Element element(std::string_view name) const;  ///< of what view() gives
  [[nodiscard]] DType dtype(std::string_view name) const;      ///< of what read() gives
  /// The values as they lie in the file, but in little endian and without filters: floats of unusual kinds as f32.
  [[nodiscard]] ElementView view(std::string_view name) const;
  /// f64 as f64; f32 and f16 as f32 (exact); uint16 with the attribute dtype = "bf16" as bf16; integers, booleans and
  /// enumerations as i32, where a value that does not fit is an Error. Any byte order, contiguous, compact or chunked,
  /// with the filters libhdf5 has built in. Rank is at most 6 and the size is checked against the file before it is
  /// allocated.
  [[nodiscard]] Tensor read(std::string_view name) const;

  /// Attributes of a dataset or group; nullopt when the object or the attribute is not there, Error when it is there
  /// but is not of the kind asked for. `number` takes one integer, real or boolean; `numbers` any count of them; `natural`
  /// one integer from 0 on, beyond the largest `integer` as well.
  [[nodiscard]] std::optional<std::string> text(std::string_view object, const std::string& attribute) const;
  [[nodiscard]] std::optional<double> number(std::string_view object, const std::string& attribute) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view object, const std::string& attribute) const;
  [[nodiscard]] std::optional<std::uint64_t> natural(std::string_view object, const std::string& attribute) const;
  [[nodiscard]] std::optional<std::vector<double>> numbers(std::string_view object, const std::string& attribute) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes beside `path` and renames in finish(); without it, or after an Error, nothing is left behind.
/// The file is built in memory (its size, at most), because libhdf5 does not survive a full disk.
/// Files are reproducible: no time stamps, the same calls give the same bytes.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::filesystem::path& path);
  Hdf5Writer(Hdf5Writer&&) noexcept;
  Hdf5Writer& operator=(Hdf5Writer&&) noexcept;
  ~Hdf5Writer();

  /// Creates the groups in the name. f32, f64, i32 are written little endian, bf16 as uint16 with the attribute
  /// dtype = "bf16". With `compress` chunked, shuffled and gzipped (small and empty ones stay contiguous).
  void write(const std::string& name, const Tensor& value, bool compress = false) {
    write(name, view_of(value), compress);
  }
  /// As it lies in a file, bit for bit; f16 and booleans as h5py has them.
  void write(const std::string& name, const ElementView& value, bool compress = false);
  /// On a dataset or group written before, or on "" (the root). An attribute may be set once.
  void attribute(std::string_view object, const std::string& name, std::string_view value);
  void attribute(std::string_view object, const std::string& name, const char* value) {
    attribute(object, name, std::string_view(value));
  }
  void attribute(std::string_view object, const std::string& name, double value);
  void attribute(std::string_view object, const std::string& name, std::int64_t value);
  void attribute(std::string_view object, const std::string& name, std::uint64_t value);
  void attribute(std::string_view object, const std::string& name, int value) {
    attribute(object, name, std::int64_t{value});
  }
  void attribute(std::string_view object, const std::string& name, const std::vector<double>& value);
  /// Flushes, closes, checks and renames. Nothing may be written after it.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace costate
