// Trees of tensors: which leaves they have, in which order, under which keys, and putting them back.
#include <map>

#include "core/tree.h"
#include "tests/core/throws.h"

namespace costate {
namespace {

struct Leaf {
  Tensor weight, bias;
  static void fields(auto& self, auto&& visit) {
    visit("weight", self.weight);
    visit("bias", self.bias, "extra");
  }
};

struct Branch {
  std::vector<Leaf> list;
  std::optional<Leaf> maybe;
  std::pair<Tensor, Leaf> both;
  static void fields(auto& self, auto&& visit) {
    visit("list", self.list);
    visit("maybe", self.maybe);
    visit("both", self.both);
  }
};

Tensor number(double v) { return Tensor::full({}, v, DType::f64); }

Branch branch() { return {{{number(1), number(2)}, {number(3), {}}}, {}, {number(4), {number(5), number(6)}}}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(trees)

BOOST_AUTO_TEST_CASE(name_their_tensors_in_order) {
  const Branch b = branch();
  std::vector<std::string> keys;
  std::map<std::string, std::size_t> extras;
  for_each_tensor("net", b, [&](const std::string& key, const Tensor&, const auto&... more) {
    keys.push_back(key);
    extras[key] = sizeof...(more);
  });
  const std::vector<std::string> expected{"net.list.0.weight", "net.list.0.bias", "net.list.1.weight",
                                          "net.list.1.bias",   "net.both.0",      "net.both.1.weight",
                                          "net.both.1.bias"};
  BOOST_TEST(keys == expected, boost::test_tools::per_element());
  BOOST_TEST((extras["net.list.0.weight"] == 0 && extras["net.list.0.bias"] == 1));
}

BOOST_AUTO_TEST_CASE(give_their_defined_tensors) {
  Branch b = branch();
  const Tensors all = leaves(b);
  BOOST_REQUIRE_EQUAL(all.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) BOOST_TEST(all[i].item() == static_cast<double>(i + 1));
  b.maybe = Leaf{number(7), number(8)};
  BOOST_TEST(leaves(b).size() == 8);
  BOOST_TEST(leaves(b)[3].item() == 7);
  BOOST_TEST(leaves(number(3)).size() == 1);
  BOOST_TEST(leaves(Tensors{}).empty());
}

BOOST_AUTO_TEST_CASE(take_others_in_their_place) {
  const Branch b = branch();
  Tensors tens;
  for (const auto& t : leaves(b)) tens.push_back(number(10 * t.item()));
  const Branch c = with_leaves(b, tens);
  BOOST_TEST((c.list[0].bias.item() == 20 && c.both.second.bias.item() == 60));
  BOOST_TEST(!c.list[1].bias.defined());
  BOOST_TEST(b.list[0].bias.item() == 2);  // the original is untouched
  check_throws([&] { return with_leaves(b, Tensors(tens.begin(), tens.end() - 1)); }, {"tree", "both.1.bias"});
  tens.push_back(number(0));
  check_throws([&] { return with_leaves(b, tens); }, {"tree", "7 tensors given, 6 taken"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace costate
