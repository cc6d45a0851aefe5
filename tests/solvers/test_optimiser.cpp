// Optimisers: the first steps by hand, and a state that is all they remember.
#include "solvers/optimiser.h"
#include "tests/solvers/problems.h"

namespace costate {
namespace {

BOOST_AUTO_TEST_SUITE(optimisers)

BOOST_AUTO_TEST_CASE(first_steps_by_hand) {
  const Tensors x{row_of({1, -2})}, g{row_of({0.5, -0.25})};
  const Optimiser sgd{.kind = Optimiser::Kind::sgd, .rate = 0.1, .momentum = 0.5};
  Optimiser::State state;
  const Tensors one = sgd.step(x, g, state), two = sgd.step(one, g, state);
  check_near(one[0], {0.95, -1.975}, 1e-15);
  check_near(two[0], {0.875, -1.9375}, 1e-15);
  // Adam's first step is the rate in the direction of the sign, its second with equal gradients the same again.
  const Optimiser adam{.rate = 0.1};
  state = {};
  const Tensors first = adam.step(x, g, state), second = adam.step(first, g, state);
  check_near(first[0], {0.9, -1.9}, 1e-7);
  check_near(second[0], {0.8, -1.8}, 1e-7);
  BOOST_TEST(adam.step(x, {Tensor()}, state)[0].to_vector() == x[0].to_vector());
  check_throws([] { return optimiser_from("adm"); }, {"adm", "adam"});
}

BOOST_AUTO_TEST_CASE(a_zero_gradient_moves_nothing) {
  const Tensors x{row_of({1, -2})}, zero{row_of({0, 0})};
  Optimiser::State state;
  BOOST_TEST(Optimiser{}.step(x, zero, state)[0].to_vector() == x[0].to_vector());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace costate
