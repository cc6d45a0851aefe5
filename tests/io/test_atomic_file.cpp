// Outputs are there whole or not at all.
#include <boost/test/unit_test.hpp>

#include <sys/resource.h>

#include <csignal>

#include "io_test.h"

using namespace costate;
using namespace costate::io_test;

BOOST_AUTO_TEST_SUITE(atomic_file)

BOOST_AUTO_TEST_CASE(writes_replaces_and_leaves_nothing_behind) {
  const Scratch dir;
  write_file(dir / "a.txt", "one");
  write_file(dir / "a.txt", "two");
  BOOST_CHECK_EQUAL(read_text(dir / "a.txt"), "two");
  {
    AtomicFile unfinished(dir / "a.txt");
    BOOST_CHECK(unfinished.temporary().parent_path() == dir.folder());
    overwrite(unfinished.temporary(), "half");
  }
  {
    OutputFile unfinished(dir / "b.txt");
    unfinished.write("half");
  }
  BOOST_CHECK_EQUAL(read_text(dir / "a.txt"), "two");
  BOOST_CHECK_EQUAL(dir.files(), 1U);
}

BOOST_AUTO_TEST_CASE(a_link_keeps_pointing_and_the_mode_is_kept) {
  const Scratch dir;
  write_file(dir / "real", "one");
  fs::permissions(dir / "real", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("real", dir / "link");
  write_file(dir / "link", "two");
  BOOST_CHECK(fs::is_symlink(dir / "link"));
  BOOST_CHECK_EQUAL(read_text(dir / "real"), "two");
  BOOST_CHECK(fs::status(dir / "real").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  fs::create_symlink("not-yet", dir / "dangling");
  write_file(dir / "dangling", "three");
  BOOST_CHECK(fs::is_symlink(dir / "dangling"));
  BOOST_CHECK_EQUAL(read_text(dir / "not-yet"), "three");
}

BOOST_AUTO_TEST_CASE(unusable_places_are_errors) {
  const Scratch dir;
  check_error([&] { write_file(dir / "no" / "such" / "x", ""); }, {"cannot create a file in", "No such file"});
  check_error([&] { write_file(dir.folder(), ""); }, {"is a directory"});
  check_error([&] { write_file("/dev/full", "x"); }, {"/dev/full", "not a regular file"});
  check_error([&] { write_file("", "x"); }, {"is not a file name"});
  check_error([&] { static_cast<void>(read_text(dir / "none")); }, {"none", "No such file"});
  check_error([&] { static_cast<void>(read_text(dir.folder())); }, {"is a directory"});
  write_file(dir / "long", "0123456789");
  check_error([&] { static_cast<void>(read_text(dir / "long", 5)); }, {"longer than 5 bytes"});
}

// A limit on the size of files stands for a full disk: the same failing write().
BOOST_AUTO_TEST_CASE(a_full_disk_is_an_error_and_keeps_the_old_file) {
  const Scratch dir;
  write_file(dir / "x", "old");
  rlimit old{};
  BOOST_REQUIRE_EQUAL(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit low = old;
  low.rlim_cur = 1 << 16;
  BOOST_REQUIRE_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
  check_error([&] { write_file(dir / "x", std::string(1 << 17, 'x')); }, {"writing failed", "nothing was kept"});
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  BOOST_CHECK_EQUAL(read_text(dir / "x"), "old");
  BOOST_CHECK_EQUAL(dir.files(), 1U);
}

BOOST_AUTO_TEST_SUITE_END()
