// Tensor: creation, views, checks.
#include "core/tensor.h"

#include <algorithm>
#include <mutex>
#include <type_traits>

#include "core/kernels/copy.h"
#include "core/kernels/memory.h"
#include "core/kernels/search.h"

namespace costate {

/// How the elements of a strip lie, and their dense copy, once somebody has asked for it.
struct Strip {
  Strip(std::int64_t together, std::int64_t apart) : run(together), pitch(apart) {}
  std::int64_t run, pitch;
  std::mutex mutex;
  Tensor copy;
};

/// Whether so many elements are whole words of 16 bytes, as kernels load them.
static bool whole_words(std::int64_t elements, DType dtype) {
  return elements * static_cast<std::int64_t>(size_of(dtype)) % 16 == 0;
}

Tensor Tensor::empty(const Shape& shape, Kind kind) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = kind.dtype;
  t.device_ = kind.device;
  t.storage_ = std::make_shared<Storage>(t.bytes(), kind.device);
  return t;
}

Tensor Tensor::ghost_of(const Shape& shape, Kind kind) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = kind.dtype;
  t.device_ = kind.device;
  t.ghost_ = true;
  return t;
}

Tensor Tensor::borrow(const void* data, const Shape& shape, DType dtype, std::shared_ptr<const void> owner) {
  require(owner != nullptr && reinterpret_cast<std::uintptr_t>(data) % size_of(dtype) == 0,
          "tensor: borrowed memory wants an owner and elements aligned to their size");
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(data, std::move(owner));
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, Kind kind) {
  Tensor t = empty(shape, kind);
  fill_kernel.always(kind.device, value, t);
  return t;
}

Tensor Tensor::from(const std::vector<double>& values, const Shape& shape, Kind kind) {
  require(static_cast<std::int64_t>(values.size()) == shape.size(), "tensor: {} values do not fill shape {}",
          values.size(), shape);
  Tensor t = empty(shape, kind.dtype);
  visit_dtype(kind.dtype, [&](auto tag) {
    using T = decltype(tag);
    auto* out = t.mutable_data<T>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_same_v<T, bf16>)
        out[i] = bf16(static_cast<float>(values[i]));
      else
        out[i] = static_cast<T>(values[i]);
    }
  });
  return t.to(kind.device);
}

const void* Tensor::raw(DType want) const {
  require(!ghost_,
          "tensor: a parameter has no values; give the layer its weights first (or a derivative rule read what it said "
          "it does not need)");
  require(storage_ != nullptr, "tensor: an undefined tensor was read");
  require(want == dtype_, "tensor: holds {}, read as {}", name_of(dtype_), name_of(want));
  if (strip_) return dense().raw(want);
  return static_cast<const char*>(storage_->data()) + static_cast<std::size_t>(offset_) * size_of(dtype_);
}

void* Tensor::mutable_raw(DType want) {
  const void* p = raw(want);
  require(storage_.use_count() == 1 && id_ == 0 && !storage_->borrowed() && !strip_,
          "tensor: written to after it was shared; tensors are immutable, make a new one");
  storage_->forget_derived();
  return const_cast<void*>(p);
}

const void* Tensor::on_host(const void* p) const {
  require(device_ == Device::cpu, "tensor: its numbers are on {}; copy it with to(Device::cpu) first",
          name_of(device_));
  return p;
}

Tensor Tensor::to(Device device) const {
  if (device == device_) return *this;
  Tensor t = empty(shape_, {dtype_, device});
  if (device == Device::cpu)
    to_host_kernel.always(device_, raw(dtype_), t.mutable_bytes(), bytes());
  else
    from_host_kernel.always(device, bytes_data(), t.mutable_raw(dtype_), bytes());
  return t;
}

const Storage& Tensor::storage() const {
  static_cast<void>(raw(dtype_));
  return strip_ ? *dense().storage_ : *storage_;
}

std::vector<double> Tensor::to_vector() const {
  if (device_ != Device::cpu) return to(Device::cpu).to_vector();
  std::vector<double> v(static_cast<std::size_t>(size()));
  visit_dtype(dtype_, [&](auto tag) {
    using T = decltype(tag);
    const T* p = data<T>();
    for (std::size_t i = 0; i < v.size(); ++i) {
      if constexpr (std::is_same_v<T, bf16>)
        v[i] = static_cast<float>(p[i]);
      else
        v[i] = static_cast<double>(p[i]);
    }
  });
  return v;
}

std::shared_ptr<const std::vector<double>> numbers_of(const Tensor& constant) {
  return constant.storage().derived<std::vector<double>>(
      fmt::format("numbers {} {}", constant.offset(), constant.size()), [&] { return constant.to_vector(); });
}

double Tensor::item() const {
  require(size() == 1, "item: shape {} has not exactly one element", shape_);
  return to_vector()[0];
}

Tensor Tensor::reshaped(const Shape& shape) const {
  require(shape.size() == size(), "reshape: {} to {} changes the number of elements", shape_, shape);
  return with_shape(shape);
}

Tensor Tensor::with_shape(const Shape& shape) const {
  Tensor t = *this;
  t.shape_ = shape;
  t.id_ = 0;
  return t;
}

Tensor Tensor::rows(std::int64_t first, std::int64_t count) const {
  require(rank() > 0 && first >= 0 && count >= 0 && first <= dim(0) && count <= dim(0) - first,
          "rows: {} from {} on are outside shape {}", count, first, shape_);
  Tensor t = dense();
  t.shape_ = shape_.with(0, count);
  t.offset_ += dim(0) == 0 ? 0 : first * (size() / dim(0));
  t.id_ = 0;
  return t;
}

Tensor Tensor::strip(const Shape& shape, std::int64_t first, std::int64_t run, std::int64_t pitch) const {
  const std::int64_t lines = run > 0 ? shape.size() / run : 0;
  const std::int64_t rest = first < 0 ? 0 : size() - first;
  const bool inside = lines == 0 || (run <= rest && (lines == 1 || (pitch > 0 && lines - 1 <= (rest - run) / pitch)));
  require(first >= 0 && lines * run == shape.size() && inside,
          "strip: {} elements of each {} from {} on are not {} of {}", run, pitch, first, shape, shape_);
  if (strip_ && lines > 0) {
    const std::int64_t within = first % strip_->run;
    if (within + run > strip_->run || (lines > 1 && pitch % strip_->run != 0))
      return dense().strip(shape, first, run, pitch);
    first = first / strip_->run * strip_->pitch + within;
    pitch = pitch / strip_->run * strip_->pitch;
  }
  Tensor t = with_shape(shape);
  t.offset_ += first;
  t.strip_.reset();
  // One line is dense. But words that do not begin as words do are met as a copy, as those of several lines are, or a row would not have
  // the bits that it has in a batch.
  const bool askew = lines == 1 && whole_words(run, dtype_) && !whole_words(t.offset_, dtype_);
  if (!ghost_ && (askew || (lines > 1 && run != pitch))) t.strip_ = std::make_shared<Strip>(run, pitch);
  return t;
}

std::int64_t Tensor::run() const { return strip_ ? strip_->run : size(); }

Tensor Tensor::dense() const {
  if (!strip_) return *this;
  const std::lock_guard lock(strip_->mutex);
  if (!strip_->copy.defined()) {
    Tensor from = *this, to = empty({size()}, kind());
    from.strip_.reset();
    const CopyBox box{.rank = 2,
                      .extent = {size() / strip_->run, strip_->run},
                      .from_step = {strip_->pitch, 1},
                      .to_step = {strip_->run, 1}};
    copy_kernel.always(device_, box, from, to);
    strip_->copy = to;
  }
  return strip_->copy.with_shape(shape_).with_id(id_);
}

Lines<void> Tensor::raw_lines(DType want, std::int64_t width) const {
  if (strip_ && strip_->run == width) {
    Tensor first = *this;
    first.strip_.reset();
    const void* const data = first.raw(want);
    // Kernels go by whether lines are whole words of 16 bytes: so they do the same with a strip as with its copy.
    if (reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && whole_words(width, want) &&
        whole_words(strip_->pitch, want))
      return {data, strip_->pitch};
  }
  return {raw(want), width};
}

Tensor Tensor::spanning(const Tensors& parts, std::int64_t lines, const Shape& shape) {
  if (parts.empty() || lines == 0) return {};
  const auto run_of = [&](const Tensor& t) { return t.size() / lines; };
  const auto step_of = [&](const Tensor& t) { return t.strip_ ? t.strip_->pitch : run_of(t); };
  const Tensor& first = parts[0];
  std::int64_t run = 0;
  for (const Tensor& t : parts) {
    const bool follows = t.storage_ != nullptr && t.storage_ == first.storage_ && t.dtype_ == first.dtype_ &&
                         t.offset_ == first.offset_ + run && (!t.strip_ || t.strip_->run == run_of(t)) &&
                         (lines == 1 || step_of(t) == step_of(first));
    if (!follows) return {};
    run += run_of(t);
  }
  require(run * lines == shape.size(), "spanning: {} elements do not fill shape {}", run * lines, shape);
  if (lines > 1 && run > step_of(first)) return {};
  Tensor t = first.with_shape(shape);
  t.strip_.reset();
  if (lines > 1 && run < step_of(first)) t.strip_ = std::make_shared<Strip>(run, step_of(first));
  return t;
}

Tensor Tensor::with_id(std::uint64_t id) const {
  Tensor t = *this;
  t.id_ = id;
  return t;
}

Tensor Tensor::ghost() const {
  Tensor t = *this;
  t.storage_.reset();
  t.strip_.reset();
  t.ghost_ = true;
  return t;
}

void require_same_kind(const char* op, const Tensor& a, const Tensor& b) {
  require(a.defined() && b.defined(), "{}: an operand is undefined", op);
  require(a.dtype() == b.dtype(), "{}: dtypes {} and {} differ; cast one of them", op, name_of(a.dtype()),
          name_of(b.dtype()));
  require(a.device() == b.device(), "{}: operands on {} and {}; move one of them", op, name_of(a.device()),
          name_of(b.device()));
}

void require_same(const char* op, const Tensor& a, const Tensor& b) {
  require_same_kind(op, a, b);
  require(a.shape() == b.shape(), "{}: shapes {} and {} differ", op, a.shape(), b.shape());
}

std::unique_ptr<Finding> find_non_finite(const Tensor& t) {
  std::unique_ptr<Finding> found;
  search_kernel.always(t.device(), t, found);
  return found;
}
std::int64_t first_non_finite(const Tensor& t) { return find_non_finite(t)->at(); }

}  // namespace costate
