// Shapes: extents, axes from both ends, text, and the refusals.
#include <limits>

#include "core/shape.h"
#include "tests/core/throws.h"

namespace costate {

BOOST_AUTO_TEST_SUITE(shapes)

BOOST_AUTO_TEST_CASE(know_their_extents) {
  const Shape s{2, 3, 5};
  BOOST_TEST(s.rank() == 3);
  BOOST_TEST(s.size() == 30);
  BOOST_TEST((s[0] == 2 && s[2] == 5 && s[-1] == 5 && s[-3] == 2));
  BOOST_TEST((s == Shape(std::vector<std::int64_t>{2, 3, 5})));
  BOOST_TEST(!(s == Shape{2, 3}));
  BOOST_TEST(!(s == Shape{2, 3, 5, 1}));
  BOOST_TEST(!(s == Shape{2, 5, 3}));
  BOOST_TEST((s.with(-1, 7) == Shape{2, 3, 7} && s == Shape{2, 3, 5}));
  BOOST_TEST((s.axis(-2, "op") == 1 && s.axis(2, "op") == 2));
}

BOOST_AUTO_TEST_CASE(of_rank_0_and_empty) {
  BOOST_TEST(Shape().rank() == 0);
  BOOST_TEST(Shape().size() == 1);
  BOOST_TEST((Shape{4, 0, 3}.size() == 0));
  BOOST_TEST(to_string(Shape()) == "()");
  BOOST_TEST(to_string(Shape{4, 0, 3}) == "(4, 0, 3)");
  BOOST_TEST(fmt::format("{}", Shape{7}) == "(7)");
}

BOOST_AUTO_TEST_CASE(refuse_what_is_no_shape) {
  check_throws([] { return Shape{1, 1, 1, 1, 1, 1, 1}; }, {"shape", "rank 7", "6"});
  check_throws([] { return Shape{2, -3}; }, {"shape", "-3"});
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max() / 2;
  check_throws([&] { return Shape{huge, 3}; }, {"too many elements"});
  check_throws([] { return Shape{2, 3}[2]; }, {"axis 2", "(2, 3)"});
  check_throws([] { return Shape{2, 3}[-3]; }, {"axis -3", "(2, 3)"});
  check_throws([] { return Shape{2, 3}.with(5, 1); }, {"axis 5"});
  check_throws([] { return Shape{2, 3}.axis(2, "concat"); }, {"concat: ", "axis 2", "(2, 3)"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
