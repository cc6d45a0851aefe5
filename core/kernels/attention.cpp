// Attention in register tiles (see micro.h), a few rows of scores at a time.
//
// Forward: a task takes some queries of one head; their scores never leave its cache. Way back: with P = softmax(scale q k^T),
//   dv = P^T g,  dS = scale P (g v^T - <g v^T, P>),  dq = dS k,  dk = dS^T q.
// Bands of queries go by: first tasks over queries make the band's rows of P and dS and finish dq, then tasks over keys add
// P^T g and dS^T q to dv and dk. Every element is one chain in the order of keys or queries, however the bands are cut.
//
// In bf16 (micro.h) scores, P and dS are made in f32, then rounded to be factors; gradients are sums in f32 till the last band.
#include "core/kernels/attention.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/kernels/copy.h"
#include "core/kernels/micro.h"
#include "core/kernels/softmax.h"
#include "core/parallel.h"

namespace costate::cpu {
namespace {

constexpr std::int64_t score_bytes = 384 << 10;  // scores of one task: most of a second cache
constexpr std::int64_t band_bytes = 2 << 20;     // P and dS of all tasks together

/// What scores of factors of T are.
template <class T>
using Score = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

/// Rounded scores, where factors are not the scores themselves.
template <class T>
std::int64_t rounded_size(std::int64_t scores) {
  return std::is_same_v<T, Score<T>> ? 0 : scores;
}

/// Scores as factors of a product: themselves, or rounded to where `room` is.
template <class S>
const S* as_factors(const S* scores, std::int64_t, Scratch<S>&) {
  return scores;
}
const bf16* as_factors(const float* scores, std::int64_t count, Scratch<bf16>& room) {
  round(scores, room.data(), count);
  return room.data();
}

/// One head of a tensor (n, length, heads * width): row r of item (sample, head) is at(item) + r * step.
template <class T>
struct Heads {
  Heads(const Tensor& t, std::int64_t heads) : Heads(t, tokens_in<std::remove_const_t<T>>(t, heads), heads) {}
  Heads(const Tensor& t, const Tokens<T>& tokens, std::int64_t heads)
      : data(tokens.data),
        count(heads),
        length(t.dim(1)),
        width(t.dim(2) / heads),
        step(tokens.token),
        head_step(tokens.head) {}

  [[nodiscard]] T* at(std::int64_t item) const {
    return data + item / count * length * step + item % count * head_step;
  }

  T* data;
  std::int64_t count, length, width, step, head_step;
};

/// Panels of right-hand factors, one set an item: [item][block][k][width].
template <class T>
class Panels {
 public:
  /// Of x's rows [first, first + rows) as `rows` steps of a reduction to x.width columns, or, transposed, as columns of a
  /// reduction over x.width. For items [item, item + items).
  Panels(const Heads<const T>& x, bool transposed, std::int64_t first, std::int64_t rows, std::int64_t item,
         std::int64_t items)
      : blocks_(column_blocks<T>(1, transposed ? rows : x.width)),
        length_(transposed ? x.width : rows),
        packed_length_(tile_steps<T>(length_) * tile_depth<T>),
        data_(items * size()) {
    const std::int64_t k_step = transposed ? 1 : x.step, column_step = transposed ? x.step : 1;
    const auto count = static_cast<std::int64_t>(blocks_.size());
    parallel_tiles(items, count, pack_cost * length_ * blocks_.front().width,
                   [&](std::int64_t i, std::int64_t from, std::int64_t to) {
                     for (std::int64_t b = from; b < to; ++b) {
                       const auto& block = blocks_[static_cast<std::size_t>(b)];
                       T* out = data_.data() + i * size() + block.offset * packed_length_;
                       pack_panel(x.at(item + i) + first * x.step + block.first * column_step, k_step, column_step,
                                  length_, block.count, block.width, out);
                     }
                   });
  }

  [[nodiscard]] std::int64_t width() const { return padded_width(blocks_); }

  /// out (+)= a times the panels of the i-th item, for `rows` rows of a and out, `a_row` and `out_row` elements apart.
  template <class Out>
  void multiply(std::int64_t i, const T* a, std::int64_t a_row, std::int64_t a_step, std::int64_t rows, Out* out,
                std::int64_t out_row, bool accumulate = false) const {
    for (const auto& block : blocks_)
      multiply_block(i, block, block.count, a, a_row, a_step, rows, out, out_row, accumulate);
  }
  /// The same in whole vectors, width() elements a row, with zeros behind the last column.
  void multiply_whole(std::int64_t i, const T* a, std::int64_t a_row, std::int64_t rows, Score<T>* out,
                      std::int64_t out_row) const {
    for (const auto& block : blocks_)
      multiply_block(i, block, block.width, a, a_row, tile_depth<T>, rows, out, out_row, false);
  }

 private:
  [[nodiscard]] std::int64_t size() const { return width() * packed_length_; }

  template <class Out>
  void multiply_block(std::int64_t i, const ColumnBlock& block, std::int64_t columns, const T* a, std::int64_t a_row,
                      std::int64_t a_step, std::int64_t rows, Out* out, std::int64_t out_row, bool accumulate) const {
    tile_kernels<T, Out>().run_rows[static_cast<std::size_t>(block.vectors - 1)](
        {a, a_row, a_step, data_.data() + i * size() + block.offset * packed_length_, block.width * tile_depth<T>,
         length_, out + block.first, out_row, rows, columns, accumulate});
  }

  std::vector<ColumnBlock> blocks_;
  std::int64_t length_, packed_length_;
  Scratch<T> data_;
};

/// Queries of one task: whole tiles, as many as keep its scores in the cache.
std::int64_t chunk_rows(std::int64_t keys, std::int64_t element) {
  return std::clamp(score_bytes / (keys * element) / tile_rows, std::int64_t{1}, std::int64_t{8}) * tile_rows;
}

std::int64_t pieces(std::int64_t size, std::int64_t each) { return (size + each - 1) / each; }

template <class T>
void forward(const AttentionSpec& spec, const Tensor& q_all, const Tensor& k_all, const Tensor& v_all, Tensor& y_all) {
  const Heads<const T> q(q_all, spec.heads), k(k_all, spec.heads), v(v_all, spec.heads);
  const Heads<T> y(y_all, {y_all.mutable_data<T>(), y_all.dim(2), y_all.dim(2) / spec.heads}, spec.heads);
  const std::int64_t items = q_all.dim(0) * spec.heads, keys = k.length;
  const Panels<T> k_panels(k, true, 0, keys, 0, items), v_panels(v, false, 0, keys, 0, items);
  const std::int64_t each = chunk_rows(keys, sizeof(Score<T>)), chunks = pieces(q.length, each);
  parallel_for(items * chunks, [&](std::int64_t task) {
    const std::int64_t item = task / chunks, first = task % chunks * each, rows = std::min(each, q.length - first);
    const std::int64_t width = k_panels.width();
    Scratch<Score<T>> scores(rows * width);
    Scratch<T> rounded(rounded_size<T>(rows * width));
    k_panels.multiply_whole(item, q.at(item) + first * q.step, q.step, rows, scores.data(), width);
    softmax_rows(scores.data(), scores.data(), rows, keys, width, spec.scale);
    v_panels.multiply(item, as_factors(scores.data(), rows * width, rounded), width, tile_depth<T>, rows,
                      y.at(item) + first * y.step, y.step);
  });
}

template <class T>
class Backward {
 public:
  Backward(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
           const GradTokens<Score<T>>& to)
      : q_(q, spec.heads),
        k_(k, spec.heads),
        v_(v, spec.heads),
        g_(g, spec.heads),
        dq_(q, to.q, spec.heads),
        dk_(k, to.k, spec.heads),
        dv_(v, to.v, spec.heads),
        keys_wanted_(to.of_keys()),
        scale_(spec.scale),
        items_(q.dim(0) * spec.heads),
        keys_(k.dim(1)),
        chunk_(chunk_rows(keys_, sizeof(Score<T>))),
        step_(padded_width(column_blocks<T>(1, keys_)) + 16) {}

  void run() const {
    const std::int64_t row_bytes = 2 * step_ * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t band = std::min(q_.length, std::max<std::int64_t>(1, band_bytes / row_bytes / chunk_) * chunk_);
    const std::int64_t group = std::clamp<std::int64_t>(band_bytes / (row_bytes * q_.length), 1, items_);
    for (std::int64_t item = 0; item < items_; item += group) {
      const Group items{item, std::min(group, items_ - item)};
      const Panels<T> scores(k_, true, 0, keys_, items.first, items.count),
          k(k_, false, 0, keys_, items.first, items.count), v(v_, true, 0, keys_, items.first, items.count);
      Scratch<T> p(items.count * size(band)), ds(items.count * size(band));
      for (std::int64_t first = 0; first < q_.length; first += band) {
        const Band rows{first, std::min(band, q_.length - first)};
        over_queries(items, rows, scores, k, v, p.data(), ds.data());
        if (keys_wanted_) over_keys(items, rows, p.data(), ds.data());
      }
    }
  }

 private:
  struct Group {
    std::int64_t first, count;  ///< items
  };
  struct Band {
    std::int64_t first, rows;  ///< queries
  };

  /// Of a band's P or dS: [query][key], or by pairs [query / 2][key][2]; chunks start with whole pairs.
  [[nodiscard]] std::int64_t size(std::int64_t queries) const { return tile_steps<T>(queries) * tile_depth<T> * step_; }

  /// P and dS of every item, and dq.
  void over_queries(const Group& items, const Band& band, const Panels<T>& scores, const Panels<T>& k,
                    const Panels<T>& v, T* p, T* ds) const {
    const std::int64_t chunks = pieces(band.rows, chunk_);
    parallel_for(items.count * chunks, [&](std::int64_t task) {
      const std::int64_t i = task / chunks, item = items.first + i, at = task % chunks * chunk_,
                         rows = std::min(chunk_, band.rows - at), first = band.first + at;
      T *p_rows = p + i * size(band.rows) + at * step_, *ds_rows = ds + i * size(band.rows) + at * step_;
      const T *from = q_.at(item) + first * q_.step, *slopes = g_.at(item) + first * g_.step;
      const auto make = [&](Score<T>* p_of, Score<T>* ds_of) {
        scores.multiply_whole(i, from, q_.step, rows, p_of, step_);
        softmax_rows(p_of, p_of, rows, keys_, step_, scale_);
        v.multiply_whole(i, slopes, g_.step, rows, ds_of, step_);
        softmax_vjp_rows(p_of, ds_of, ds_of, rows, keys_, step_, scale_);
      };
      const auto finish = [&](const T* ds_of) {
        k.multiply(i, ds_of, step_, tile_depth<T>, rows, dq_.at(item) + first * dq_.step, dq_.step);
      };
      if constexpr (std::is_same_v<T, Score<T>>) {
        make(p_rows, ds_rows);
        finish(ds_rows);
      } else {
        Scratch<Score<T>> exact(2 * rows * step_);
        Scratch<T> rounded(rows * step_);
        make(exact.data(), exact.data() + rows * step_);
        round(exact.data(), rounded.data(), rows * step_);
        interleave(rounded.data(), rows, p_rows);
        round(exact.data() + rows * step_, rounded.data(), rows * step_);
        interleave(rounded.data(), rows, ds_rows);
        finish(rounded.data());
      }
    });
  }

  /// Rows two by two, as pairs.
  void interleave(const T* rows, std::int64_t count, T* to) const {
    for (std::int64_t r = 0; r < count; r += 2, to += 2 * step_) {
      const T *even = rows + r * step_, *odd = r + 1 < count ? even + step_ : even;
      for (std::int64_t key = 0; key < keys_; ++key) to[2 * key] = even[key], to[2 * key + 1] = odd[key];
    }
  }

  void over_keys(const Group& items, const Band& band, const T* p, const T* ds) const {
    const Panels<T> q(q_, false, band.first, band.rows, items.first, items.count),
        g(g_, false, band.first, band.rows, items.first, items.count);
    const std::int64_t tiles = pieces(keys_, tile_rows);
    parallel_tiles(items.count, tiles, 2 * tile_rows * band.rows * (q_.width + g_.width),
                   [&](std::int64_t i, std::int64_t from, std::int64_t to) {
                     for (std::int64_t first = from * tile_rows; first < std::min(keys_, to * tile_rows);
                          first += chunk_) {
                       const std::int64_t rows = std::min({chunk_, keys_ - first, to * tile_rows - first});
                       add_transposed(g, i, p + i * size(band.rows), first, rows, band, dv_, items.first + i);
                       add_transposed(q, i, ds + i * size(band.rows), first, rows, band, dk_, items.first + i);
                     }
                   });
  }

  /// out[first + r] (+)= sum over the band's queries of scores[query][first + r] times the panels.
  void add_transposed(const Panels<T>& panels, std::int64_t i, const T* scores, std::int64_t first, std::int64_t rows,
                      const Band& band, const Heads<Score<T>>& out, std::int64_t item) const {
    panels.multiply(i, scores + first * tile_depth<T>, tile_depth<T>, step_ * tile_depth<T>, rows,
                    out.at(item) + first * out.step, out.step, band.first > 0);
  }

  Heads<const T> q_, k_, v_, g_;
  Heads<Score<T>> dq_, dk_, dv_;
  bool keys_wanted_;
  double scale_;
  std::int64_t items_, keys_, chunk_;
  std::int64_t
      step_;  ///< between rows of scores; a power of two would put the rows of a key into the same few cache sets
};

}  // namespace

void attention(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, Tensor& y) {
  if (y.size() == 0) return;
  if (q.dtype() == DType::bf16 && !has_pairs())
    return through_f32(y, [&](Tensor& wide) { attention(spec, to_compute(q), to_compute(k), to_compute(v), wide); });
  visit_floating(q.dtype(), "attention", [&](auto tag) { forward<decltype(tag)>(spec, q, k, v, y); });
}

void attention_vjp(const AttentionSpec& spec, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g,
                   AttentionGrads& grads) {
  const auto run = [&]<class T>(T, AttentionGrads& sums) {
    const GradTokens<Score<T>> to(sums.all.mutable_data<Score<T>>(), sums, spec.heads, q, k, v);
    Backward<T>(spec, q, k, v, g, to).run();
  };
  if (q.dtype() != DType::bf16) return visit_compute(q.dtype(), "attention_vjp", [&](auto tag) { run(tag, grads); });
  through_f32(grads.all, [&](Tensor& wide) {
    AttentionGrads sums{std::exchange(wide, {}), grads.lines};  // one owner, or it could not be written to
    if (has_pairs())
      run(bf16{}, sums);
    else
      attention_vjp(spec, to_compute(q), to_compute(k), to_compute(v), to_compute(g), sums);
    wide = sums.all;
  });
}

}  // namespace costate::cpu
