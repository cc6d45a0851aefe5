// Tensors that are joined where they lie: which they are, what is copied, and their derivatives, on both devices.
#include <boost/test/unit_test.hpp>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"
#include "autodiff/ops/slice.h"
#include "autodiff/ops/sum.h"
#include "autodiff/transform.h"
#include "core/kernels/copy.h"
#include "core/memory.h"
#include "tests/gpu/repeated.h"

namespace costate {
namespace {

constexpr Device devices[] = {Device::cpu, Device::cuda};

Tensor numbers(const Shape& shape, Kind kind) {
  std::vector<double> all(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<double>(i) - 3;
  return Tensor::from(all, shape, kind);
}

void check_view(const Tensors& parts, int axis, bool joined) {
  Tensors apart;
  for (const Tensor& t : parts) apart.push_back(copy_of(t));
  Tensor y = concat(parts, axis);
  const Tensor plain = concat(apart, axis);
  BOOST_TEST(same({y}, {plain}));
  BOOST_TEST((&y.storage() == &parts[0].storage()) == joined);
  if (joined) BOOST_TEST(y.offset() == parts[0].offset());
  if (joined) BOOST_CHECK_THROW(static_cast<void>(y.mutable_device_data<float>()), Error);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gpu_concat)

BOOST_AUTO_TEST_CASE(neighbours_are_joined_where_they_lie) {
  for (const Device device : devices) BOOST_TEST_CONTEXT(name_of(device)) {
      const Tensor row = numbers({14}, {DType::f32, device}), matrix = numbers({7, 3}, {DType::f32, device});
      check_view({row.rows(1, 4), row.rows(5, 2), row.rows(7, 6)}, 0, true);
      check_view({row.rows(0, 0), row.rows(0, 5)}, 0, true);
      check_view({matrix.rows(1, 2), matrix.rows(3, 1), matrix.rows(4, 3)}, 0, true);
      check_view({matrix.rows(1, 1), matrix.rows(2, 1)}, 0, true);
      check_view({matrix.rows(1, 2).reshaped({1, 2, 3}), matrix.rows(3, 1).reshaped({1, 1, 3})}, 1, true);
      check_view({matrix.rows(1, 1), matrix.rows(2, 1)}, 1, true);   // of one line
      check_view({row.rows(5, 2), row.rows(1, 4)}, 0, false);        // in wrong order
      check_view({row.rows(1, 4), row.rows(6, 2)}, 0, false);        // with a gap
      check_view({row.rows(1, 4), row.rows(4, 2)}, 0, false);        // of which some are in both
      check_view({row.rows(1, 4), row.rows(1, 4)}, 0, false);        // twice the same
      check_view({matrix.rows(1, 2), matrix.rows(3, 2)}, 1, false);  // as lines, beside one another
      check_view({matrix.rows(0, 1).reshaped({3, 1}), matrix.rows(1, 2).reshaped({3, 2})}, 1,
                 false);                                                // of other strides
      check_view({row.rows(0, 3), copy_of(row.rows(3, 3))}, 0, false);  // in two storages
    }
}

BOOST_AUTO_TEST_CASE(nothing_else_is_written_or_kept) {
  for (const Device device : devices) {
    const std::int64_t before = memory_use(device).live;
    const Tensor all = numbers({6, 4}, {DType::f32, device});
    const std::int64_t held = memory_use(device).live;
    const Tensor y = concat({all.rows(0, 2), all.rows(2, 4)}, 0);
    BOOST_TEST(memory_use(device).live == held);
    BOOST_TEST(held > before);
  }
}

// The value, both gradients and the derivative of a gradient: watched or not, neighbours or not.
BOOST_AUTO_TEST_CASE(derivatives_do_not_know_of_it) {
  const auto cubes = [](const Tensors& in) {
    const Tensor y = concat(in, 0);
    return sum(y * y * y);
  };
  const auto slopes = [&](const Tensors& in) {
    const Tensors g = grad(cubes, in);
    return sum(g[0] * g[0]) + sum(g[1]);
  };
  for (const Device device : devices) BOOST_TEST_CONTEXT(name_of(device)) {
      const Tensor all = numbers({5, 3}, {DType::f32, device});
      const Tensors neighbours{all.rows(0, 2), all.rows(2, 3)};
      const Tensors apart{copy_of(neighbours[0]), copy_of(neighbours[1])};
      BOOST_TEST(same({cubes(neighbours)}, {cubes(apart)}));
      BOOST_TEST(same(grad(cubes, neighbours), grad(cubes, apart)));
      const Tensors second = grad(slopes, neighbours);
      BOOST_TEST(same(second, grad(slopes, apart)));
      const double x = all.to_vector()[0];  // d/dx ((3 x^2)^2 + 0) of the first part
      BOOST_TEST(second[0].to_vector()[0] == 36 * x * x * x);
    }
}

// A part of a large cotangent does not keep all of it; of a small one it is a view.
BOOST_AUTO_TEST_CASE(what_a_part_of_a_cotangent_keeps) {
  const auto beside = [](const Tensors& at) { return Tensors{concat(at, 1)}; };
  for (const Device device : devices)
    for (const std::int64_t rows : {64, 1 << 14}) {
      const Kind kind{DType::f32, device};
      const Tensors in{Tensor::full({rows, 96}, 1, kind), Tensor::full({rows, 32}, 2, kind)};
      const std::int64_t before = memory_use(device).live, line = 4 * rows;
      const Tensor part = vjp(beside, in).pull_once({Tensor::full({rows, 128}, 3, kind)})[1];
      const std::int64_t held = memory_use(device).live - before;
      BOOST_TEST(held >= (rows > 64 ? 32 : 128) * line);
      BOOST_TEST(held < (rows > 64 ? 64 : 256) * line);
      BOOST_TEST(same({part}, {Tensor::full({rows, 32}, 3, kind)}));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
