// Slices that kernels read where they lie: the bits of their copies, and no launch that copies them.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/add.h"
#include "autodiff/ops/attention.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/conv2d.h"
#include "autodiff/ops/group_norm.h"
#include "autodiff/ops/linear.h"
#include "autodiff/ops/matmul.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/split.h"
#include "autodiff/transform.h"
#include "core/kernels/copy.h"
#include "core/replay.h"
#include "tests/cases/case.h"
#include "tests/gpu/repeated.h"
#include "tests/gpu/second_run.h"

namespace costate {
namespace {

int queued() {
#ifdef COSTATE_SHIM
  return shim::calls_queued();
#else
  return 0;
#endif
}

/// Of (..., 8 and c and 16), the c in between.
Tensor middle(const Tensor& whole) { return slice(whole, -1, 8, whole.dim(-1) - 24); }

/// What f makes of the middles of tensors must be what it makes of their copies, by as many launches.
void check_in_place(const char* what, const Function& f, const Tensors& wholes) {
  Tensors slices, copies;
  for (const Tensor& t : wholes) {
    slices.push_back(middle(t));
    copies.push_back(copy_of(middle(t)));
  }
  static_cast<void>(f(copies));  // which may pack weights
  const int before = queued();
  const Tensors plain = f(copies);
  const int between = queued();
  const Tensors found = f(slices);
  BOOST_TEST(queued() - between == between - before, what << " copies what it reads");
  BOOST_TEST(same(found, plain), what << " has other bits");
}

/// t as part of a larger tensor, with so many others before and behind it on one axis.
struct Within {
  std::int64_t before, behind;
  int axis;  ///< 1: the last one
};
Tensor part_like(const Tensor& t, const Within& w) {
  if (!t.defined() || !is_floating(t.dtype()) || t.rank() == 0) return t;
  const int axis = std::max(0, t.rank() - w.axis);
  return slice(pad(t, axis, w.before, w.behind), axis, w.before, t.dim(axis));
}

/// The value of a case and its gradients, with a cotangent that `as` is given.
template <class F>
Tensors outcome(const Case& c, const Tensors& in, const F& as) {
  const Vjp back = vjp([&](const Tensors& x) { return Tensors{c.run(x)}; }, in, differentiable(c));
  const Tensor& y = back.value[0];
  Tensors all = back.pull({as(Tensor::from(normal_noise(7, 0, 1, 0, y.shape()).to_vector(), y.shape(), y.kind()))});
  all.push_back(y);
  return all;
}

Tensor noise_of(std::uint64_t seed, const Shape& shape, DType dtype) { return cast(noise(seed, shape), dtype); }

/// Whose middle has this shape.
Tensor around(std::uint64_t seed, const Shape& shape, DType dtype) {
  return noise_of(seed, shape.with(-1, shape[-1] + 24), dtype);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_strips)

BOOST_AUTO_TEST_CASE(are_read_where_they_lie) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) BOOST_TEST_CONTEXT(name_of(dtype)) {
      const Tensor picture = around(1, {2, 6, 5, 16}, dtype), w = noise_of(2, {3, 3, 16, 24}, dtype),
                   tokens = around(3, {2, 7, 32}, dtype), matrix = noise_of(4, {32, 40}, dtype),
                   turned = noise_of(5, {40, 32}, dtype), other = noise_of(11, {2, 7, 32}, dtype);
      BOOST_TEST(middle(picture).run() == 16);
      const ConvGeometry same_size{.top = 1, .bottom = 1, .left = 1, .right = 1};
      ConvGeometry halved = same_size;
      halved.stride_h = halved.stride_w = 2;
      const ConvAlgorithm before = conv_algorithm(Device::cuda);
      set_conv_algorithm(ConvAlgorithm::direct, Device::cuda);  // Winograd copies what it reads
      for (const ConvGeometry& geometry : {same_size, halved}) {
        const Tensor x = copy_of(middle(picture));
        check_in_place("conv2d", [&](const Tensors& in) { return Tensors{conv2d(in[0], w, geometry)}; }, {picture});
        const Tensor g = around(6, conv2d(x, w, geometry).shape(), dtype);
        check_in_place("conv2d_dx",
                       [&](const Tensors& in) { return Tensors{conv2d_dx(in[0], w, x.shape(), geometry)}; }, {g});
        check_in_place("conv2d_dw",
                       [&](const Tensors& in) { return Tensors{conv2d_dw(in[0], in[1], w.shape(), geometry)}; },
                       {picture, g});
      }
      set_conv_algorithm(before, Device::cuda);
      check_in_place("linear", [&](const Tensors& in) { return Tensors{linear(in[0], matrix)}; }, {tokens});
      check_in_place("linear, transposed",
                     [&](const Tensors& in) { return Tensors{linear(in[0], turned, {}, {}, true)}; }, {tokens});
      check_in_place("matmul", [&](const Tensors& in) { return Tensors{matmul(in[0], in[1], false, true)}; },
                     {tokens, around(8, {2, 9, 32}, dtype)});
      check_in_place("matmul across", [&](const Tensors& in) { return Tensors{matmul(in[0], in[1], true)}; },
                     {tokens, around(9, {2, 7, 8}, dtype)});
      check_in_place("add", [&](const Tensors& in) { return Tensors{add(in[0], in[1])}; },
                     {tokens, around(10, {2, 7, 32}, dtype)});
      check_in_place("add", [&](const Tensors& in) { return Tensors{add(in[0], other)}; }, {tokens});
      check_in_place("concat", [&](const Tensors& in) { return Tensors{concat(in, -1)}; },
                     {tokens, around(12, {2, 7, 8}, dtype), around(13, {2, 7, 16}, dtype)});
    }
}

// Where they begin in the middle of a word, are no whole words or lie apart by none, their copies are read.
BOOST_AUTO_TEST_CASE(that_are_no_words_have_the_bits_of_their_copies) {
  struct Part {
    std::int64_t whole, first, count;
  };
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const Part p : {Part{56, 3, 32}, Part{56, 8, 35}, Part{37, 0, 32}, Part{16, 8, 3}}) {
      const Tensor tokens = slice(noise_of(1, {2, 7, p.whole}, dtype), -1, p.first, p.count), copy = copy_of(tokens),
                   matrix = noise_of(2, {p.count, 40}, dtype);
      BOOST_TEST(same({linear(tokens, matrix), add(tokens, tokens), concat({tokens, copy}, 2)},
                      {linear(copy, matrix), add(copy, copy), concat({copy, copy}, 2)}));
    }
}

// Every op on parts of larger tensors: in whole words, and not.
BOOST_AUTO_TEST_CASE(operands_of_every_op_may_be_parts) {
  for (const auto& file : cases())
    for (const auto& c : file.cases) {
      if (c.bench) continue;
      for (const Device device : {Device::cpu, Device::cuda})
        for (const DType dtype : {DType::f32, DType::bf16}) {
          Tensors in;
          for (const Tensor& t : case_inputs(c, dtype))
            in.push_back(t.defined() && is_floating(t.dtype()) ? t.to(device) : t);
          const Tensors whole = outcome(c, in, [](const Tensor& g) { return g; });
          for (const Within& w : {Within{8, 16, 1}, Within{3, 2, 1}, Within{1, 2, 2}}) {
            Tensors parts;
            for (const Tensor& t : in) parts.push_back(part_like(t, w));
            BOOST_TEST(same(outcome(c, parts, [&](const Tensor& g) { return part_like(g, w); }), whole),
                       c.op << " " << c.variant << " on " << name_of(device) << " in " << name_of(dtype) << ", "
                            << w.before << " before");
          }
        }
    }
}

// A part of a row begins anywhere, and so does that of a batch's: what alignment decides is the same for both.
BOOST_AUTO_TEST_CASE(a_row_has_the_bits_that_it_has_in_a_batch) {
  for (const std::int64_t first : {1, 3, 4}) {
    const Tensor all = noise(1, {3, first + 64}), gain = noise(2, {64}), shift = noise(3, {64});
    const auto norm = [&](const Tensor& x) { return layer_norm(slice(x, 1, first, 64), gain, shift, 1e-5); };
    for (std::int64_t i = 0; i < 3; ++i) {
      const Tensor row = norm(all).rows(i, 1);
      BOOST_TEST(same({norm(all.rows(i, 1)), norm(copy_of(all.rows(i, 1)))}, {row, row}));
    }
  }
}

// q, k, v and the cotangent lie by heads or by tokens, each in a tensor of its own.
BOOST_AUTO_TEST_CASE(attention_reads_tokens_and_heads_of_any_tensors) {
  constexpr std::int64_t n = 2, t = 19, heads = 2;
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const std::int64_t width : {3, 40, 168})
      for (unsigned which = 0; which < 16; ++which) {
        Tensors in, copies;
        for (unsigned i = 0; i < 4; ++i) {
          const bool by_heads = (which >> i & 1) != 0;
          const Shape part = by_heads ? Shape{n, t, heads, width} : Shape{n, t, heads * width};
          in.push_back(middle(around(i, part, dtype)).reshaped({n, t, heads * width}));
          copies.push_back(copy_of(in.back()));
        }
        const auto pulled = [&](const Tensors& of, const Wanted& wanted) {
          const Vjp at = vjp([&](const Tensors& x) { return Tensors{attention(x[0], x[1], x[2], heads, 0.3)}; },
                             {of[0], of[1], of[2]}, wanted);
          Tensors all = at.pull({of[3]});
          all.push_back(at.value[0]);
          return all;
        };
        const Wanted every{true, true, true}, queries{true, false, false};
        const Tensors found = pulled(in, every), of_queries = pulled(in, queries);
        BOOST_TEST(same(found, pulled(copies, every)), name_of(dtype) << " " << width << " " << which);
        BOOST_TEST(same({of_queries[0]}, {found[0]}), name_of(dtype) << " " << width << " " << which);
        BOOST_TEST(!of_queries[1].defined());
      }
}

// q, k and v of one product: neither there nor back anything is copied, and their cotangents are one tensor.
BOOST_AUTO_TEST_CASE(attention_reads_and_writes_parts_of_one_tensor) {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const std::int64_t width : {8, 64, 168}) BOOST_TEST_CONTEXT(name_of(dtype) << " " << width) {
        const std::int64_t heads = width == 168 ? 1 : 2, inner = heads * width;
        const Tensor all = noise_of(1, {2, 34, 3 * inner}, dtype), g = noise_of(2, {2, 34, inner}, dtype);
        const auto of = [&](const Tensors& t) { return Tensors{attention(t[0], t[1], t[2], heads, 0.3)}; };
        const auto joint = [&](const Tensors& t) { return of(split(t[0], 2, {inner, inner, inner})); };
        Tensors apart;
        for (const Tensor& t : split(all, 2, {inner, inner, inner})) apart.push_back(copy_of(t));
        int calls = queued();
        const Vjp plain = vjp(of, apart);
        const Tensors plain_back = plain.pull({g});
        const int plainly = queued() - calls;
        calls = queued();
        const Vjp at = vjp(joint, {all});
        const Tensor back = at.pull({g})[0];
        BOOST_TEST(queued() - calls == plainly);
        BOOST_TEST(back.run() == back.size());
        BOOST_TEST(same(at.value, plain.value));
        BOOST_TEST(same(split(back, 2, {inner, inner, inner}), plain_back));
      }
}

// A slice is a result, and so is a cotangent: each time of the work that was repeated, not of the call that recorded it.
BOOST_AUTO_TEST_CASE(that_repeated_work_gives_are_new_each_time) {
  Replay forward, both;
  const Replay::Function f = [](const Tensors& in) { return Tensors{middle(add(in[0], in[0]))}; };
  const Replay::Maker trip = [] {
    const auto at = std::make_shared<Vjp>();
    return Replay::RoundTrip{[at](const Tensors& in) {
                               *at = vjp([](const Tensors& t) { return Tensors{concat(t, 1)}; }, in);
                               return at->value;
                             },
                             [at](const Tensors& g) { return std::exchange(*at, {}).pull_once({g[0]}); }};
  };
  for (std::uint64_t i = 0; i < 6; ++i) {
    const Tensors in{noise(i, {3, 40})}, parts{noise(10 + i, {3, 8}), noise(20 + i, {3, 16})};
    const Tensor g = noise(30 + i, {3, 24});
    BOOST_TEST(same(forward(f, in, ""), f(in)));
    const auto [value, back] = both.round_trip(trip, parts, "");
    BOOST_TEST(same(value, {concat(parts, 1)}));
    BOOST_TEST(same(back({g}), {slice(g, 1, 0, 8), slice(g, 1, 8, 16)}));
  }
  BOOST_TEST((forward.repeated() > 0 && both.repeated() > 0));
}

// ... and one that such work holds, which nobody has read before it is rehearsed, is the same for all others.
BOOST_AUTO_TEST_CASE(that_repeated_work_holds_are_copied_for_good) {
  const Tensor held = slice(noise(2, {3, 40}), -1, 3, 32), copy = copy_of(slice(noise(2, {3, 40}), -1, 3, 32));
  Replay both;
  const Replay::Maker trip = [&] {
    return Replay::RoundTrip{[](const Tensors& in) { return Tensors{add(in[0], in[0])}; },
                             [&](const Tensors& g) { return Tensors{add(g[0], held)}; }};
  };
  for (std::uint64_t i = 0; i < 6; ++i) {
    const Tensor g = noise(30 + i, {3, 32});
    const auto back = both.round_trip(trip, {noise(i, {3, 32})}, std::to_string(i)).second;
    if (i > 3) BOOST_TEST(same(back({g}), {add(g, copy)}));
  }
  BOOST_TEST(both.repeated() > 4);
  BOOST_TEST(same({held}, {copy}));
}

BOOST_AUTO_TEST_CASE(parts_are_joined_by_one_launch) {
  const Tensors parts{noise(1, {2, 5, 5, 16}), noise(2, {2, 5, 5, 8}), noise(3, {2, 5, 5, 3})};
  for (const std::size_t count : {2, 3}) {
    const Tensors some(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(count));
    const int before = queued();
    const Tensor y = concat(some, 3);
    BOOST_TEST(queued() - before == (takes_turns ? 1 : 0));
    std::int64_t first = 0;
    for (const Tensor& t : some) {
      BOOST_TEST(same({slice(y, 3, first, t.dim(3))}, {t}));
      first += t.dim(3);
    }
  }
  Tensors many;
  for (std::uint64_t i = 0; i < 9; ++i) many.push_back(noise(10 + i, {3, static_cast<std::int64_t>(i) + 1}));
  const Tensors there = split(concat(many, 1), 1, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  BOOST_TEST(same(there, many));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
