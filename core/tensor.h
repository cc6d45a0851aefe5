// The tensor: a handle on row-major, immutable storage, dense but for slices: those are strips of the tensor that they are of until
// somebody asks for their data.
//
// Layouts: images (n, h, w, c), tokens (n, t, c), vectors (n, d), convolution weights (kh, kw, in, out), matrices (in, out).
// A tensor is written once, by whoever made it, before anybody else holds it; after that it never changes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"
#include "core/storage.h"

namespace costate {

/// What the operands of an op have in common: how elements are stored, and where. A bare dtype means: on the CPU.
struct Kind {
  DType dtype = DType::f32;
  Device device = Device::cpu;

  constexpr Kind(DType of, Device on = Device::cpu) : dtype(of), device(on) {}  // NOLINT: converts
  [[nodiscard]] constexpr Kind with(DType other) const { return {other, device}; }
  bool operator==(const Kind&) const = default;
};

class Tensor;
using Tensors = std::vector<Tensor>;
struct Strip;

/// Lines of neighbours, so many elements from one to the next.
template <class T>
struct Lines {
  const T* data;
  std::int64_t step;
};

class Tensor {
 public:
  Tensor() = default;  ///< no tensor: defined() is false

  // What is made to meet another tensor takes that one's kind().

  /// Uninitialised; fill it through mutable_data before handing it on.
  static Tensor empty(const Shape& shape, Kind kind);
  /// Shape and kind alone.
  static Tensor ghost_of(const Shape& shape, Kind kind);
  /// Elements that lie in host memory of others, aligned to their size, which `owner` keeps. Never written.
  static Tensor borrow(const void* data, const Shape& shape, DType dtype, std::shared_ptr<const void> owner);
  static Tensor full(const Shape& shape, double value, Kind kind = DType::f32);
  static Tensor zeros(const Shape& shape, Kind kind = DType::f32) { return full(shape, 0, kind); }
  /// From host values, converted to the dtype. Throws when the count does not fit the shape.
  static Tensor from(const std::vector<double>& values, const Shape& shape, Kind kind = DType::f64);

  [[nodiscard]] bool defined() const { return storage_ != nullptr || ghost_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] int rank() const { return shape_.rank(); }
  [[nodiscard]] std::int64_t dim(int axis) const { return shape_[axis]; }
  [[nodiscard]] std::int64_t size() const { return shape_.size(); }
  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size()) * size_of(dtype_); }
  [[nodiscard]] DType dtype() const { return dtype_; }
  [[nodiscard]] Device device() const { return device_; }
  [[nodiscard]] Kind kind() const { return {dtype_, device_}; }

  /// Elements in row-major order. T must be the host type of dtype(); throws on another device than the CPU.
  template <class T>
  [[nodiscard]] const T* data() const {
    return static_cast<const T*>(on_host(raw(dtype_of<T>())));
  }
  /// For the maker only: throws once another handle shares the storage.
  template <class T>
  [[nodiscard]] T* mutable_data() {
    return const_cast<T*>(static_cast<const T*>(on_host(mutable_raw(dtype_of<T>()))));
  }
  [[nodiscard]] const void* bytes_data() const { return on_host(raw(dtype_)); }
  [[nodiscard]] void* mutable_bytes() { return const_cast<void*>(on_host(mutable_raw(dtype_))); }

  /// The same for kernels of the tensor's device: an address there.
  template <class T>
  [[nodiscard]] const T* device_data() const {
    return static_cast<const T*>(raw(dtype_of<T>()));
  }
  /// Lines of `width` elements for kernels of its device, where they lie if they are the runs of a strip.
  template <class T>
  [[nodiscard]] Lines<T> device_lines(std::int64_t width) const {
    const auto [data, step] = raw_lines(dtype_of<T>(), width);
    return {static_cast<const T*>(data), step};
  }
  template <class T>
  [[nodiscard]] T* mutable_device_data() {
    return static_cast<T*>(mutable_raw(dtype_of<T>()));
  }

  [[nodiscard]] Tensor to(Device device) const;         ///< itself if it is there, else a copy
  [[nodiscard]] std::vector<double> to_vector() const;  ///< all elements, as f64, from any device
  [[nodiscard]] double item() const;                    ///< the only element

  /// Same storage under another shape of equal size.
  [[nodiscard]] Tensor reshaped(const Shape& shape) const;
  /// Rows [first, first + count) of the first axis, same storage.
  [[nodiscard]] Tensor rows(std::int64_t first, std::int64_t count) const;
  /// The first `run` elements of each `pitch`, from element `first` on, under a shape of that many: same storage. Whoever asks for the data
  /// of such a strip gets those of a dense copy, made once for it; kernels that can ask for its lines. Of a strip's lines, too, it is one.
  [[nodiscard]] Tensor strip(const Shape& shape, std::int64_t first, std::int64_t run, std::int64_t pitch) const;
  /// Elements that lie together: all, but of a strip.
  [[nodiscard]] std::int64_t run() const;
  /// Itself, or the dense copy of a strip.
  [[nodiscard]] Tensor dense() const;
  /// Parts whose lines, so many in each, lie behind one another in one storage, as one tensor of these lines joined; undefined where they
  /// do not.
  static Tensor spanning(const Tensors& parts, std::int64_t lines, const Shape& shape);

  [[nodiscard]] const Storage& storage() const;
  /// First element, counted from the storage's start.
  [[nodiscard]] std::int64_t offset() const { return strip_ ? 0 : offset_; }

  /// Identity under automatic differentiation; 0 for constants. Set by autodiff/ only.
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] Tensor with_id(std::uint64_t id) const;
  /// Shape, dtype and identity without the data: what a tape keeps of values its derivative does not read.
  [[nodiscard]] Tensor ghost() const;
  [[nodiscard]] bool is_ghost() const { return ghost_; }

 private:
  [[nodiscard]] Tensor with_shape(const Shape& shape) const;
  [[nodiscard]] const void* raw(DType want) const;
  [[nodiscard]] Lines<void> raw_lines(DType want, std::int64_t width) const;
  [[nodiscard]] void* mutable_raw(DType want);
  [[nodiscard]] const void* on_host(const void* p) const;

  std::shared_ptr<Storage> storage_;
  std::shared_ptr<Strip> strip_;  ///< null: dense
  std::int64_t offset_ = 0;
  Shape shape_;
  std::uint64_t id_ = 0;
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
  bool ghost_ = false;
};

/// The elements of a constant that is read as numbers again and again: kept with its storage.
std::shared_ptr<const std::vector<double>> numbers_of(const Tensor& constant);

/// Throws, naming `op`, unless dtype and device agree.
void require_same_kind(const char* op, const Tensor& a, const Tensor& b);
/// Throws, naming `op`, unless shape, dtype and device agree.
void require_same(const char* op, const Tensor& a, const Tensor& b);

/// Index of the first NaN or infinity in row-major order, or -1.
std::int64_t first_non_finite(const Tensor& t);

}  // namespace costate
