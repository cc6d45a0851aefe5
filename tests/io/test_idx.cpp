// IDX files: what they hold, and the message for damaged ones.
#include "io/idx.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "tests/io/io_test.h"

using namespace costate;
using namespace costate::io_test;

BOOST_AUTO_TEST_SUITE(idx)

BOOST_AUTO_TEST_CASE(plain_files_and_damage) {
  const Scratch scratch;
  const std::string good("\0\0\x08\x02\0\0\0\x02\0\0\0\x03\x01\x02\x03\x04\x05\xff", 18);
  overwrite(scratch / "a", good);
  const Tensor t = read_idx(scratch / "a");
  BOOST_TEST((t.shape() == Shape{2, 3}));
  BOOST_TEST(t.to_vector() == (std::vector<double>{1, 2, 3, 4, 5, 255}));
  for (std::size_t length = 0; length < good.size(); ++length) {
    overwrite(scratch / "cut", good.substr(0, length));
    BOOST_CHECK_THROW(static_cast<void>(read_idx(scratch / "cut")), Error);
  }
  std::string other = good;
  other[2] = 0x0d;  // floats
  overwrite(scratch / "other", other);
  BOOST_CHECK_THROW(static_cast<void>(read_idx(scratch / "other")), Error);
  other = good;
  other[4] = '\x7f';  // 2^31 rows
  overwrite(scratch / "huge", other);
  BOOST_CHECK_THROW(static_cast<void>(read_idx(scratch / "huge")), Error);
  BOOST_CHECK_THROW(static_cast<void>(read_idx(scratch / "none")), Error);
}

BOOST_AUTO_TEST_CASE(a_head_is_not_believed) {
  const Scratch scratch;
  overwrite(scratch / "a", std::string("\0\0\x08\x01\x40\0\0\0 and no gigabyte", 23));
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit before{};
  BOOST_REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE)) + (256UL << 20);
  BOOST_REQUIRE(setrlimit(RLIMIT_AS, &tight) == 0);
  BOOST_CHECK_THROW(static_cast<void>(read_idx(scratch / "a")), Error);
  BOOST_REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
