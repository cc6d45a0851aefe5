// Batched matrix product in register tiles: rows of op(a) times packed panels of op(b) (see micro.h).
#include "core/kernels/matmul.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/kernels/copy.h"
#include "core/kernels/micro.h"

namespace costate::cpu {
namespace {

// Stretches of the reduction after which sums go through c: a panel of 64 columns then fits half the second cache.
constexpr std::int64_t reduction_block = 1536;

// Rows of a that a group of column blocks goes over before the next ones: part of the second cache. The group itself, which all
// rows go by before the next one, stays in the third.
constexpr std::int64_t rows_bytes = 192 << 10, group_bytes = 1 << 20;

// With fewer rows than this, packing a b that is used once costs more than it saves.
constexpr std::int64_t few_rows = 2 * tile_rows;

template <class T>
class Product {
  static constexpr std::int64_t depth = tile_depth<T>;

 public:
  Product(bool transpose_a, bool transpose_b, const Tensor& a, const Tensor& b, const Tensor& bias,
          const Tensor& addend, Tensor& c)
      : transpose_a_(transpose_a),
        transpose_b_(transpose_b),
        shared_b_(b.dim(0) == 1),
        batch_(c.dim(0)),
        m_(c.dim(1)),
        n_(c.dim(2)),
        k_(a.dim(transpose_a ? 1 : 2)),
        packed_k_(tile_steps<T>(k_) * depth),
        a_step_(a.dim(0) == 1 ? 0 : m_ * k_),
        bias_step_(bias.defined() && bias.rank() == 2 ? n_ : 0),
        a_(a.data<T>()),
        b_(b.data<T>()),
        bias_(bias.defined() ? bias.data<T>() : nullptr),
        addend_(addend.defined() ? addend.data<T>() : nullptr),
        c_(c.mutable_data<T>()),
        blocks_(column_blocks<T>(1, n_)) {
    if (shared_b_ && !transpose_a) {  // one tall product: rows do not care which item they belong to
      m_ *= batch_;
      batch_ = 1;
    }
    tiles_ = (m_ + tile_rows - 1) / tile_rows;
    const bool in_place = depth == 1 && !shared_b_ && !transpose_b && m_ < few_rows;
    if (in_place) first_packed_ = blocks_.size() - (blocks_.back().count < blocks_.back().width ? 1 : 0);
    packed_width_ = padded_width(blocks_) -
                    (first_packed_ < blocks_.size() ? blocks_[first_packed_].offset : padded_width(blocks_));
    pack_a();
    pack_b(b);
  }

  void run() const {
    const auto blocks = static_cast<std::int64_t>(blocks_.size());
    const std::int64_t column_bytes =
        std::max<std::int64_t>(1, std::min(k_, reduction_block)) * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t most = std::max<std::int64_t>(1, rows_bytes / (tile_rows * column_bytes));
    const std::int64_t chunks = (tiles_ + most - 1) / most, each = (tiles_ + chunks - 1) / chunks;
    const std::int64_t group = std::max<std::int64_t>(1, group_bytes / (blocks_.front().width * column_bytes));
    parallel_tiles(batch_ * chunks * blocks, each, 2 * std::min(tile_rows, m_) * blocks_.front().width * k_,
                   [&](std::int64_t piece, std::int64_t first, std::int64_t last) {
                     const std::int64_t item = piece / (chunks * blocks), of_item = piece % (chunks * blocks),
                                        from = of_item / (chunks * group) * group,
                                        width = std::min(group, blocks - from), in_group = of_item - from * chunks,
                                        start = in_group / width * each;
                     run_tiles(item, static_cast<std::size_t>(from + in_group % width), start + first,
                               std::min(start + last, tiles_));
                   });
  }

 private:
  /// Transposed a: [item][tile][k][6], so that a tile walks through memory in order.
  void pack_a() {
    if (!transpose_a_) return;
    packed_a_.emplace(batch_ * tiles_ * packed_k_ * tile_rows);
    parallel_tiles(
        batch_, tiles_, pack_cost * k_ * tile_rows, [&](std::int64_t item, std::int64_t first, std::int64_t last) {
          for (std::int64_t tile = first; tile < last; ++tile)
            pack_panel(a_ + item * a_step_ + tile * tile_rows, m_, 1, k_, std::min(tile_rows, m_ - tile * tile_rows),
                       tile_rows, packed_a_->data() + (item * tiles_ + tile) * packed_k_ * tile_rows);
        });
  }

  /// Panels [item][block][k][width]. A shared b is taken for weights: its panels stay with its storage.
  void pack_b(const Tensor& b) {
    if (shared_b_) {
      const std::string key =
          layout_key("matmul", {b.offset(), k_, n_, transpose_b_, sizeof(T), kernels_.lanes * kernels_.vectors});
      cached_b_ = b.storage().derived<Scratch<T>>(key, [&] {
        Scratch<T> panels(packed_k_ * packed_width_);
        for (std::size_t block = 0; block < blocks_.size(); ++block) pack_block(0, block, panels.data());
        return panels;
      });
      return;
    }
    packed_b_.emplace(batch_ * packed_k_ * packed_width_);
    const auto packed = static_cast<std::int64_t>(blocks_.size() - first_packed_);
    parallel_tiles(batch_, packed, pack_cost * k_ * blocks_.front().width,
                   [&](std::int64_t item, std::int64_t first, std::int64_t last) {
                     for (std::int64_t i = first; i < last; ++i)
                       pack_block(item, first_packed_ + static_cast<std::size_t>(i), packed_b_->data());
                   });
  }

  void pack_block(std::int64_t item, std::size_t block, T* panels) const {
    const auto& at = blocks_[block];
    pack_panel(b_ + item * k_ * n_ + at.first * (transpose_b_ ? k_ : 1), transpose_b_ ? 1 : n_, transpose_b_ ? k_ : 1,
               k_, at.count, at.width, panels + panel_offset(item, block));
  }

  [[nodiscard]] std::int64_t panel_offset(std::int64_t item, std::size_t block) const {
    return (item * packed_width_ + blocks_[block].offset - blocks_[first_packed_].offset) * packed_k_;
  }

  /// Rows of tiles [first, last) times one block of columns.
  void run_tiles(std::int64_t item, std::size_t block, std::int64_t first, std::int64_t last) const {
    const auto& at = blocks_[block];
    const bool packed = block >= first_packed_;
    const T* panels = shared_b_ ? cached_b_->data() : packed_b_->data();
    const T* b = packed ? panels + panel_offset(shared_b_ ? 0 : item, block) : b_ + item * k_ * n_ + at.first;
    const std::int64_t b_step = packed ? at.width * depth : n_;
    const auto run = kernels_.run_rows[static_cast<std::size_t>(at.vectors - 1)];
    const std::int64_t each = transpose_a_ ? 1 : last - first;  // tiles whose rows of a lie equally far apart
    const std::int64_t block_length = depth == 1 ? reduction_block : k_;
    std::int64_t k = 0;
    do {  // once even for an empty reduction: it has to write its zeros
      const std::int64_t length = std::min(block_length, k_ - k), steps = tile_steps<T>(length);
      const Ahead ahead = Ahead::of(b + k / depth * b_step + steps * b_step,
                                    steps * b_step * static_cast<std::int64_t>(sizeof(T)), steps * (last - first));
      for (std::int64_t tile = first; tile < last; tile += each) {
        const std::int64_t row = tile * tile_rows, rows = std::min(each * tile_rows, m_ - row);
        const std::int64_t at_c = (item * m_ + row) * n_ + at.first;
        const T* a = transpose_a_ ? packed_a_->data() + ((item * tiles_ + tile) * packed_k_ + k) * tile_rows
                                  : a_ + item * a_step_ + row * k_ + k;
        run({a, transpose_a_ ? depth : k_, transpose_a_ ? tile_rows * depth : depth, b + k / depth * b_step, b_step,
             length, c_ + at_c, n_, rows, at.count, k > 0, bias_ ? bias_ + item * bias_step_ + at.first : nullptr,
             addend_ && k + length == k_ ? addend_ + at_c : nullptr, packed && each > 1 ? ahead : Ahead{}});
      }
      k += length;
    } while (k < k_);
  }

  const TileKernels<T>& kernels_ = tile_kernels<T>();
  bool transpose_a_, transpose_b_, shared_b_;
  std::int64_t batch_, m_, n_, k_, packed_k_, tiles_ = 0, a_step_, bias_step_;
  const T *a_, *b_, *bias_, *addend_;
  T* c_;
  std::vector<ColumnBlock> blocks_;
  std::size_t first_packed_ = 0;   ///< blocks before this one are read from b itself
  std::int64_t packed_width_ = 0;  ///< of the blocks from there on
  std::optional<Scratch<T>> packed_a_, packed_b_;
  std::shared_ptr<const Scratch<T>> cached_b_;
};

}  // namespace

void matmul(bool transpose_a, bool transpose_b, const Tensor& a, const Tensor& b, const Tensor& bias,
            const Tensor& addend, Tensor& c) {
  if (c.size() == 0) return;
  const auto run = [&](auto tag) { Product<decltype(tag)>(transpose_a, transpose_b, a, b, bias, addend, c).run(); };
  if (a.dtype() != DType::bf16) return visit_compute(a.dtype(), "matmul", run);
  if (has_pairs()) return run(bf16{});
  through_f32(c, [&](Tensor& wide) {
    matmul(transpose_a, transpose_b, to_compute(a), b.dim(0) == 1 ? to_compute_weight(b) : to_compute(b),
           to_compute(bias), to_compute(addend), wide);
  });
}

}  // namespace costate::cpu

namespace costate {
namespace {
std::atomic<Products> in_f32{Products::full};
}  // namespace

Products products_in_f32() { return in_f32.load(std::memory_order_relaxed); }
void set_products_in_f32(Products how) { in_f32.store(how, std::memory_order_relaxed); }

}  // namespace costate
