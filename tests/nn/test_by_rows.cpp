// Large batches a few rows at a time: the same bits, and no row mistaken for another.
#include <boost/test/unit_test.hpp>

#include "autodiff/transform.h"
#include "nn/by_rows.h"
#include "small_networks.h"
#include "tests/support/inputs.h"

namespace {

using namespace costate;
using small::waves;

constexpr std::int64_t rows = 17;

/// A network with a condition, and more rows than go at once.
struct Problem {
  std::shared_ptr<const Network> whole, grouped;
  Inputs in;

  Problem() {
    whole = small::filled(
        *small::from_config(small::unet2d_json(R"("class_embed_type": "identity", "time_embedding_dim": 12)")),
        DType::f64);
    grouped = by_rows(whole);
    in.x = waves({rows, 64, 64, 3}, DType::f64, 5);
    in.z = waves({rows, 12}, DType::f64, 6);
    for (std::int64_t i = 0; i < rows; ++i) in.t.push_back(3.0 + 20 * static_cast<double>(i));
  }
};

/// y with the gradients in x and z of <g, y>.
Tensors everything(const Network& network, const Inputs& in) {
  const auto f = [&](const Tensors& at) {
    Inputs moved = in;
    moved.x = at[0];
    moved.z = at[1];
    return Tensors{network(moved)};
  };
  const Vjp back = vjp(f, {in.x, in.z});
  Tensors all = back.pull({waves(back.value[0].shape(), DType::f64, 7)});
  all.push_back(back.value[0]);
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_by_rows)

BOOST_AUTO_TEST_CASE(groups_give_the_bits_of_the_whole) {
  const Problem p;
  BOOST_TEST(p.whole->rows_at_once(p.in) == rows);
  BOOST_TEST(p.grouped->rows_at_once(p.in) > 1);
  BOOST_TEST(p.grouped->rows_at_once(p.in) < rows);
  const Tensors a = everything(*p.whole, p.in), b = everything(*p.grouped, p.in);
  for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST(same_bits(a[i], b[i]), "result " << i);
  BOOST_TEST(same_bits((*p.grouped)(p.in), a.back()));
}

BOOST_AUTO_TEST_CASE(other_weights_are_the_network_as_it_was) {
  const Problem p;
  Tensors own, other;
  for (const auto& each : p.grouped->parameters()) own.push_back(each.value);
  for (const auto& each : own) other.push_back(waves(each.shape(), DType::f64, 1));
  BOOST_TEST(p.grouped->with(own)->rows_at_once(p.in) < rows);
  BOOST_TEST(p.grouped->with(other)->rows_at_once(p.in) == rows);
}

BOOST_AUTO_TEST_CASE(rows_of_inputs) {
  Problem p;
  const Inputs part = rows_of(p.in, 3, 2);
  BOOST_TEST(part.t == std::vector<double>({63, 83}), boost::test_tools::per_element());
  BOOST_TEST(same_bits(part.z, p.in.z.rows(3, 2)));
  p.in.t.pop_back();
  BOOST_TEST(small::holds(small::message([&] { (*p.grouped)(p.in); }), "16 of times or levels for 17 rows"));
  p.in.t = {5};
  BOOST_TEST(rows_of(p.in, 3, 2).t == std::vector<double>({5, 5}), boost::test_tools::per_element());
  p.in.z = waves({rows + 1, 12}, DType::f64, 6);
  BOOST_TEST(small::holds(small::message([&] { (*p.grouped)(p.in); }), "z has shape (18, 12), and x 17 rows"));
}

BOOST_AUTO_TEST_SUITE_END()
