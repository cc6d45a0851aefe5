// Products and attention by warp groups (gpu/warp_groups.h, gpu/attention/groups.h) where the op cases' shapes do not lead: channels that
// are no whole step, all tiles, pieces by blocks of their own and by one block, convolutions that stride, dilate and start outside,
// tokens that end inside a tile and go round all stages; against the CPU in f64.
#include <boost/test/unit_test.hpp>

#include <array>
#include <cmath>

#include "autodiff/ops/slice.h"
#include "core/kernels/attention.h"
#include "core/kernels/conv2d.h"
#include "core/kernels/matmul.h"
#include "gpu/attention/ways.h"
#include "gpu/group_ways.h"
#include "gpu/runtime.h"
#include "tests/gpu/coarse.h"
#include "tests/gpu/rounded.h"
#include "tests/gpu/second_run.h"
#include "tests/support/inputs.h"
#include "tests/tolerances.h"

namespace costate {
namespace {

struct Convolved {
  Shape x, w;  ///< (image, row, column, channel), (row, column, cin, cout)
  ConvGeometry geometry;
};

ConvGeometry same(std::int64_t pad, std::int64_t stride = 1, std::int64_t dilation = 1) {
  return {stride, stride, dilation, dilation, pad, pad, pad, pad, 1};
}

/// Whether threads that take turns are soon through it.
std::vector<Convolved> convolutions() {
  std::vector<Convolved> all{
      {{2, 5, 7, 64}, {3, 3, 64, 64}, same(1)},
      {{3, 6, 5, 72}, {3, 3, 72, 40}, same(1)},                       // no whole steps
      {{2, 9, 8, 64}, {3, 3, 64, 136}, same(1, 2)},                   // strides, tiles that end outside
      {{2, 9, 8, 8}, {3, 2, 8, 16}, {1, 1, 2, 3, 0, 3, 4, 0, 1}},     // dilated, off to one side
      {{1, 8, 8, 64}, {5, 5, 64, 64}, {2, 1, 1, 2, -1, 2, 3, 1, 1}},  // cropped above; several pieces
      {{3, 4, 4, 192}, {1, 1, 192, 64}, same(0)},
      {{2, 6, 6, 64}, {3, 3, 64, 3}, same(1)},    // outputs that are no whole words
      {{3, 5, 7, 32}, {3, 3, 32, 160}, same(1)},  // 105 pixels, which are terms of dw
      {{3, 7, 7, 96}, {3, 3, 96, 8}, same(1, 2)},
      {{1, 2, 2, 32}, {1, 1, 32, 8}, same(0)},  // one word
      {{3, 9, 8, 32}, {3, 2, 32, 40}, {1, 1, 2, 3, 0, 3, 4, 0, 1}},
  };
  if (takes_turns) return all;
  all.push_back({{300, 8, 8, 1280}, {3, 3, 1280, 128}, same(1)});  // pieces by one block, large tiles and small ones
  all.push_back({{80, 8, 8, 1280}, {3, 3, 1280, 64}, same(1)});
  all.push_back({{16, 32, 32, 128}, {3, 3, 128, 256}, same(1)});
  all.push_back({{3, 8, 8, 1280}, {3, 3, 1280, 128}, same(1)});  // pieces by blocks of their own
  return all;
}

Tensor there(const Shape& shape, DType dtype) { return Tensor::empty(shape, {dtype, Device::cuda}); }

std::int64_t outputs(std::int64_t in, std::int64_t taps, std::int64_t stride, std::int64_t dilation,
                     std::int64_t pads) {
  return (in + pads - (taps - 1) * dilation - 1) / stride + 1;
}

Shape result(const Convolved& c) {
  const ConvGeometry& g = c.geometry;
  return {c.x[0], outputs(c.x[1], c.w[0], g.stride_h, g.dilation_h, g.top + g.bottom),
          outputs(c.x[2], c.w[1], g.stride_w, g.dilation_w, g.left + g.right), c.w[3]};
}

void check_close(const Tensor& there, const Tensor& here, std::int64_t terms) {
  const double off = relative_difference(in_f64(there.to(Device::cpu)), here),
               bound = tolerance::ladder(there.dtype(), terms);
  BOOST_TEST(off <= bound, off << " off, bound " << bound);
}

/// The result of run(y), twice the same.
template <class F>
Tensor twice(const Shape& shape, DType dtype, const F& run) {
  Tensor y = there(shape, dtype), again = there(shape, dtype);
  run(y);
  const SecondRun turned;
  run(again);
  BOOST_TEST(same_bits(y.to(Device::cpu), again.to(Device::cpu)), "depends on the order of threads");
  return y;
}

/// What f32 holds of numbers as these is exact in TF32: the tolerance is that of f32.
void check_convolution(const Convolved& c, DType dtype) {
  const Shape to = result(c);
  const Tensor x = rounded(c.x, 1, dtype), w = rounded(c.w, 2, dtype), g = rounded(to, 3, dtype);
  const Tensor on_x = x.to(Device::cuda), on_w = w.to(Device::cuda), on_g = g.to(Device::cuda);
  Tensor y = Tensor::empty(to, DType::f64), dx = Tensor::empty(c.x, DType::f64), dw = Tensor::empty(c.w, DType::f64);
  cpu::conv2d(c.geometry, in_f64(x), in_f64(w), Tensor(), Tensor(), y);
  cpu::conv2d_dx(c.geometry, in_f64(g), in_f64(w), in_f64(x), dx);
  cpu::conv2d_dw(c.geometry, in_f64(x), in_f64(g), dw);
  const std::int64_t taps = c.w[0] * c.w[1];
  const Tensor whole =
      twice(to, dtype, [&](Tensor& y) { cuda::conv2d(c.geometry, on_x, on_w, Tensor(), Tensor(), y); });
  check_close(whole, y, taps * c.w[2]);
  check_close(twice(c.x, dtype, [&](Tensor& dx) { cuda::conv2d_dx(c.geometry, on_g, on_w, on_x, dx); }), dx,
              taps * c.w[3]);
  check_close(twice(c.w, dtype, [&](Tensor& dw) { cuda::conv2d_dw(c.geometry, on_x, on_g, dw); }), dw,
              to[0] * to[1] * to[2]);
  Tensor alone = there(to.with(0, 1), dtype);
  cuda::conv2d(c.geometry, x.rows(to[0] - 1, 1).to(Device::cuda), on_w, Tensor(), Tensor(), alone);
  BOOST_TEST(same_bits(alone.to(Device::cpu), whole.to(Device::cpu).rows(to[0] - 1, 1)), "the batch shows in a row");
}

struct RestoreWay {
  ~RestoreWay() { cuda::force_group_way(-1); }
};

/// By all tiles, the same bits. In pieces, if there are 18 steps of pixels.
void check_weight_gradients(const Convolved& c, DType dtype) {
  const Shape to = result(c);
  const Tensor x = rounded(c.x, 1, dtype), g = rounded(to, 3, dtype), on_x = x.to(Device::cuda),
               on_g = g.to(Device::cuda);
  Tensor here = Tensor::empty(c.w, DType::f64), first;
  cpu::conv2d_dw(c.geometry, in_f64(x), in_f64(g), here);
  for (int way = 0; way < cuda::group_ways; ++way) {
    cuda::force_group_way(way);
    const Tensor dw = twice(c.w, dtype, [&](Tensor& dw) { cuda::conv2d_dw(c.geometry, on_x, on_g, dw); });
    check_close(dw, here, to[0] * to[1] * to[2]);
    if (!first.defined()) first = dw.to(Device::cpu);
    BOOST_TEST(same_bits(dw.to(Device::cpu), first), "way " << way);
  }
}

/// (batch, m, k) by (batch or 1, k, n).
void check_product(DType dtype, std::int64_t batch, std::int64_t shared, std::int64_t m, std::int64_t n,
                   std::int64_t k) {
  for (const bool turn_a : {false, true}) {
    for (const bool turn_b : {false, true}) {
      const Tensor a = rounded(turn_a ? Shape{batch, k, m} : Shape{batch, m, k}, 4, dtype),
                   b = rounded(turn_b ? Shape{shared, n, k} : Shape{shared, k, n}, 5, dtype);
      const Tensor bias = shared == 1 && !turn_a ? rounded({n}, 6, dtype) : Tensor(),
                   addend = rounded({batch, m, n}, 7, dtype);
      const auto converted = [](const Tensor& t) { return t.defined() ? in_f64(t) : t; };
      const auto moved = [](const Tensor& t) { return t.defined() ? t.to(Device::cuda) : t; };
      Tensor here = Tensor::empty({batch, m, n}, DType::f64);
      cpu::matmul(turn_a, turn_b, in_f64(a), in_f64(b), converted(bias), in_f64(addend), here);
      const Tensor on_a = moved(a), on_b = moved(b), on_bias = moved(bias), on_addend = moved(addend);
      BOOST_TEST_CONTEXT(m << " x " << n << " x " << k << (turn_a ? ", a turned" : "") << (turn_b ? ", b turned" : ""))
      check_close(twice({batch, m, n}, dtype,
                        [&](Tensor& c) { cuda::matmul(turn_a, turn_b, on_a, on_b, on_bias, on_addend, c); }),
                  here, k);
    }
  }
}

/// Each piece by a block of its own, which add them up if they are up to eight, else a second kernel does; and all by one: the same bits.
template <class F>
Tensor by_both(std::int64_t pieces, const Shape& shape, DType dtype, const F& run) {
  const int way = static_cast<int>(pieces % (cuda::group_ways / 2));
  const auto kernels_by = [&](int way) {
    cuda::force_group_way(way);
    Tensor y = there(shape, dtype);
    run(y);  // what is done once is done
    const int before = kernels_queued();
    run(y);
    return kernels_queued() - before;
  };
  const int kernels = kernels_by(cuda::group_ways / 2 + way);
  const Tensor one = twice(shape, dtype, run).to(Device::cpu);
  BOOST_TEST(kernels_by(way) == kernels + (takes_turns && pieces > 8 ? 1 : 0));
  const Tensor each = twice(shape, dtype, run).to(Device::cpu);
  BOOST_TEST(same_bits(each, one));
  return each;
}

/// Of nine steps each: rows and columns that are no whole words, a row of bias for each image.
void check_pieces_of_convolution(std::int64_t pieces, DType dtype) {
  const std::int64_t terms = pieces * 9 * (dtype == DType::bf16 ? 64 : 32),
                     outputs = std::array{20, 7, 72}[static_cast<std::size_t>(pieces % 3)];
  const Shape to{2, 3, 5, outputs};
  const Tensor x = rounded({2, 3, 5, terms}, 1, dtype), w = rounded({1, 1, terms, outputs}, 2, dtype),
               bias = rounded({2, outputs}, 3, dtype), addend = rounded(to, 4, dtype);
  const Tensor on_x = x.to(Device::cuda), on_w = w.to(Device::cuda), on_bias = bias.to(Device::cuda),
               on_addend = addend.to(Device::cuda);
  Tensor here = Tensor::empty(to, DType::f64);
  cpu::conv2d(same(0), in_f64(x), in_f64(w), in_f64(bias), in_f64(addend), here);
  check_close(by_both(pieces, to, dtype, [&](Tensor& y) { cuda::conv2d(same(0), on_x, on_w, on_bias, on_addend, y); }),
              here, terms);
}
void check_pieces_of_weight_gradient(std::int64_t pieces, DType dtype) {
  const std::int64_t step = dtype == DType::bf16 ? 64 : 32;
  const Shape to{1, 1, step, 24};
  const Tensor x = rounded({1, 3 * pieces, 3 * step, step}, 5, dtype),
               g = rounded({1, 3 * pieces, 3 * step, 24}, 6, dtype), on_x = x.to(Device::cuda),
               on_g = g.to(Device::cuda);
  Tensor here = Tensor::empty(to, DType::f64);
  cpu::conv2d_dw(same(0), in_f64(x), in_f64(g), here);
  check_close(by_both(pieces, to, dtype, [&](Tensor& dw) { cuda::conv2d_dw(same(0), on_x, on_g, dw); }), here,
              pieces * 9 * step);
}

struct Attended {
  std::int64_t samples, queries, keys, heads, width;
  double scale;  ///< in units of 1 / sqrt(width)
};

/// Of q, k, v and g: y, dq, dk and dv by warp groups where the chip has them, whatever way would be taken; by products where a vjp is too wide.
Tensors attended(const AttentionSpec& spec, const Tensors& in) {
  Tensors on;
  for (const Tensor& t : in) on.push_back(t.to(Device::cuda));
  const Tensor &q = on[0], &k = on[1], &v = on[2], &g = on[3];
  Tensor y = there(q.shape(), DType::bf16);
  AttentionGrads grads = AttentionGrads::room_for({q, k, v});
  const bool by_products = q.dim(2) / spec.heads > 160;  // the way back; and there, on chips without warp groups
  if (!cuda::attend_by_groups(spec, q, k, v, y) && !cuda::attend_by_warps(spec, q, k, v, y)) {
    BOOST_TEST(by_products);
    cuda::attention(spec, q, k, v, y);
  }
  if (by_products)
    cuda::attention_vjp(spec, q, k, v, g, grads);
  else
    BOOST_TEST(
        (cuda::attend_vjp_by_groups(spec, q, k, v, g, grads) || cuda::attend_vjp_by_warps(spec, q, k, v, g, grads)));
  Tensors out{y.to(Device::cpu)};
  for (const Tensor& t : grads.parts({q, k, v})) out.push_back(t.to(Device::cpu));
  return out;
}

/// Each sample, and each head, has the bits that it has alone.
void check_attention(const Attended& a) {
  const AttentionSpec spec{a.heads, a.scale / std::sqrt(static_cast<double>(a.width))}, of_one{1, spec.scale};
  const std::int64_t line = a.heads * a.width;
  const Shape queries{a.samples, a.queries, line}, keys{a.samples, a.keys, line};
  const Tensors in{rounded(queries, 6), rounded(keys, 7), rounded(keys, 8), rounded(queries, 9)};
  const auto each = [](const Tensors& all, auto&& f) {
    Tensors out;
    for (const Tensor& t : all) out.push_back(f(t));
    return out;
  };
  const Tensors exact = each(in, in_f64);
  Tensor y = Tensor::empty(queries, DType::f64);
  const Tensors of(exact.begin(), exact.begin() + 3);
  AttentionGrads grads = AttentionGrads::room_for(of);
  cpu::attention(spec, exact[0], exact[1], exact[2], y);
  cpu::attention_vjp(spec, exact[0], exact[1], exact[2], exact[3], grads);
  Tensors here = grads.parts(of);
  here.insert(here.begin(), y);
  const Tensors found = attended(spec, in);
  const auto last_row = [&](const Tensor& t) { return t.rows(a.samples - 1, 1); };
  const auto last_head = [&](const Tensor& t) { return slice(t, 2, line - a.width, a.width); };
  const Tensors alone = a.samples > 1 ? attended(spec, each(in, last_row)) : found,
                head = a.heads > 1 ? attended(of_one, each(in, last_head)) : found;
  const SecondRun turned;
  const Tensors again = attended(spec, in);
  for (std::size_t i = 0; i < found.size(); ++i) {
    BOOST_TEST_CONTEXT((std::array{"y", "dq", "dk", "dv"})[i]) {
      check_close(found[i], here[i], std::max({a.width, a.keys, a.queries}));
      BOOST_TEST(same_bits(again[i], found[i]), "depends on the order of threads");
      BOOST_TEST(same_bits(alone[i], last_row(found[i])), "the batch shows in a row");
      BOOST_TEST(same_bits(head[i], last_head(found[i])), "the other heads show in one");
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_warp_groups)

BOOST_AUTO_TEST_CASE(convolutions_of_all_kinds) {
  for (const Convolved& c : convolutions())
    BOOST_TEST_CONTEXT("x " << to_string(c.x) << ", w " << to_string(c.w)) check_convolution(c, DType::bf16);
}

BOOST_AUTO_TEST_CASE(convolutions_in_tf32) {
  const Coarse coarse;
  for (const Convolved& c : convolutions())
    BOOST_TEST_CONTEXT("x " << to_string(c.x) << ", w " << to_string(c.w)) check_convolution(c, DType::f32);
}

BOOST_AUTO_TEST_CASE(matrices_of_all_layouts) {
  for (const DType dtype : {DType::bf16, DType::f32}) {
    const Coarse coarse;
    check_product(dtype, 3, 3, 24, 40, 16);
    check_product(dtype, 2, 1, 136, 72, 200);
    check_product(dtype, 2, 2, 20, 12, 36);
    check_product(dtype, 2, 1, 3, 4, 8);
    check_product(dtype, 1, 1, 64, 64, 64 * 38);  // several pieces
    check_product(dtype, 2, 2, 36, 72, 64 * 37);  // ... of two problems
    if (takes_turns) continue;
    check_product(dtype, 1, 1, 8192, 128, 4096);
    check_product(dtype, 4, 4, 4096, 512, 512);
  }
}

BOOST_AUTO_TEST_CASE(tiles_of_all_shapes_give_the_same_bits) {
  RestoreWay restore;
  const Convolved cut{{2, 7, 6, 72}, {5, 5, 72, 168}, same(2)};  // in pieces; tiles end outside, in rows and columns
  const Tensor x = rounded(cut.x, 1), w = rounded(cut.w, 2), on_x = x.to(Device::cuda), on_w = w.to(Device::cuda);
  Tensor here = Tensor::empty(result(cut), DType::f64);
  cpu::conv2d(cut.geometry, in_f64(x), in_f64(w), Tensor(), Tensor(), here);
  const auto there_by = [&](int way) {
    cuda::force_group_way(way);
    return twice(result(cut), DType::bf16,
                 [&](Tensor& y) { cuda::conv2d(cut.geometry, on_x, on_w, Tensor(), Tensor(), y); })
        .to(Device::cpu);
  };
  const Tensor first = there_by(0);
  check_close(first, here, 25 * 72);
  for (int way = 1; way < cuda::group_ways; ++way) BOOST_TEST(same_bits(there_by(way), first), "way " << way);
  check_weight_gradients({{6, 14, 15, 64}, {1, 1, 64, 168}, same(0)}, DType::bf16);
  {
    const Coarse coarse;
    check_weight_gradients({{3, 14, 15, 32}, {3, 3, 32, 168}, same(1)}, DType::f32);
  }
  for (int way = 0; way < cuda::group_ways; ++way) {
    cuda::force_group_way(way);
    BOOST_TEST_CONTEXT("way " << way) {
      check_product(DType::bf16, 2, 1, 136, 168, 200);
      check_convolution({{2, 6, 5, 72}, {3, 3, 72, 168}, same(1)}, DType::bf16);
      const Coarse coarse;
      check_product(DType::f32, 2, 1, 136, 168, 200);
      check_convolution({{2, 6, 5, 72}, {3, 3, 72, 168}, same(1)}, DType::f32);
    }
  }
}

BOOST_AUTO_TEST_CASE(pieces_by_blocks_of_their_own_are_added_in_order) {
  RestoreWay restore;
  for (const std::int64_t pieces : {3, 4, 5, 6, 7, 8})
    BOOST_TEST_CONTEXT(pieces << " pieces") check_pieces_of_convolution(pieces, DType::bf16);
  const Coarse coarse;
  for (const std::int64_t pieces : {5, 8})
    BOOST_TEST_CONTEXT(pieces << " pieces") check_pieces_of_convolution(pieces, DType::f32);
  for (const DType dtype : {DType::bf16, DType::f32})
    for (const std::int64_t pieces : {2, 7, 9})
      BOOST_TEST_CONTEXT(pieces << " pieces") check_pieces_of_weight_gradient(pieces, dtype);
  for (const int way : {1, 2, 3}) {
    cuda::force_group_way(way);
    BOOST_TEST_CONTEXT("way " << way) check_product(DType::f32, 1, 1, 20, 12, 32 * 37);  // some of them turned
  }
}

BOOST_AUTO_TEST_CASE(attention_of_all_widths) {
  for (const std::int64_t width : {8, 32, 40, 64, 80, 104, 128, 160, 200, 256})
    for (const Attended& a :
         {Attended{2, 70, 77, 2, width, 1},  // tiles that end inside on both sides
          {1, 5, 400, 1, width, 1},          // all stages more than once, by one group
          {1, 140, 460, 1, width, 1},        // by two in turns
          {3, 200, 1, 1, width, 1},          // one key
          {2, 100, 256, 1, width, 12}})      // largest scores that move on; a block's groups differ (shim)
      BOOST_TEST_CONTEXT(a.samples << " x " << a.queries << " by " << a.keys << ", " << a.heads << " of " << width) {
        check_attention(a);
      }
  if (takes_turns) return;
  for (const std::int64_t width : {40, 64, 80, 128, 160, 256}) check_attention({2, 1000, 1100, 8, width, 1});
}

BOOST_AUTO_TEST_CASE(attention_that_warp_groups_take) {
  struct Taken {
    bool forward, vjp;
    bool operator==(const Taken&) const = default;
  };
  const auto takes = [](std::int64_t width, double scale) {
    const Tensor x = rounded({1, 16, width}, 9).to(Device::cuda);
    Tensor y = there(x.shape(), DType::bf16);
    AttentionGrads grads = AttentionGrads::room_for({x, x, x});
    return Taken{cuda::attend_by_groups({1, scale}, x, x, x, y),
                 cuda::attend_vjp_by_groups({1, scale}, x, x, x, x, grads)};
  };
  int generation = 0;
  cuda::check("test", cudaDeviceGetAttribute(&generation, cudaDevAttrComputeCapabilityMajor, cuda::device()));
  const bool here = generation == 9;
  constexpr Taken none{false, false};
  BOOST_CHECK((takes(160, 1) == Taken{here, here}));
  BOOST_CHECK((takes(256, 1) == Taken{here, false}));  // two sums of a row are more than registers hold
  BOOST_CHECK(takes(264, 1) == none);                  // wider than tiles
  BOOST_CHECK(takes(60, 1) == none);                   // no whole words
  BOOST_CHECK(takes(64, -1) == none);                  // the largest score is not the largest product
#ifdef COSTATE_SHIM
  const OlderChip without_warp_groups;
  BOOST_CHECK(takes(64, 1) == none);
#endif
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
