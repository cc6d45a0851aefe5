// The main() of every test executable: Boost.Test runs whatever the other files registered.
#define BOOST_TEST_MODULE costate
#include <boost/test/unit_test.hpp>
