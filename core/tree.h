// Trees of tensors: a Tensor, a vector / optional / pair of trees, or a struct that lists its members.
//
// A struct takes part by one static function, which alone serves loading, saving, casting, counting, optimising and gradients:
//
//   struct Linear {
//     Tensor weight, bias;
//     static void fields(auto& self, auto&& visit) { visit("weight", self.weight); visit("bias", self.bias); }
//   };
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace costate {

/// A visitor for `fields` that ignores everything: used to ask whether a type has the function.
struct IgnoreField {
  void operator()(const auto&...) const {}
};

template <class T>
concept HasFields = requires(T& t) {
  T::fields(t, IgnoreField{});
};

inline std::string join_key(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : name.empty() ? prefix : prefix + "." + name;
}

/// Calls visit(key, tensor, extras...) for every defined or undefined Tensor of the tree, in declaration order; keys are joined
/// with dots, vector elements are numbered. `extras` are what `fields` passed after the member.
template <class Tree, class Visit, class... Extra>
void for_each_tensor(const std::string& key, Tree& tree, Visit&& visit, const Extra&... extra) {
  using T = std::remove_const_t<Tree>;
  if constexpr (std::same_as<T, Tensor>) {
    visit(key, tree, extra...);
  } else if constexpr (HasFields<T>) {
    T::fields(tree, [&](const char* name, auto& member, const auto&... more) {
      for_each_tensor(join_key(key, name), member, visit, more...);
    });
  } else if constexpr (requires { tree.has_value(); }) {
    if (tree.has_value()) for_each_tensor(key, *tree, visit, extra...);
  } else if constexpr (requires { tree.first; }) {
    for_each_tensor(join_key(key, "0"), tree.first, visit, extra...);
    for_each_tensor(join_key(key, "1"), tree.second, visit, extra...);
  } else {
    std::size_t i = 0;
    for (auto& element : tree) for_each_tensor(join_key(key, std::to_string(i++)), element, visit, extra...);
  }
}

/// Calls visit(part) for every struct of the tree that lists its members, those within one after itself.
template <class Tree, class Visit>
void for_each_struct(Tree& tree, Visit&& visit) {
  using T = std::remove_const_t<Tree>;
  if constexpr (std::same_as<T, Tensor>) {
    return;
  } else if constexpr (HasFields<T>) {
    visit(tree);
    T::fields(tree, [&](const char*, auto& member, const auto&...) { for_each_struct(member, visit); });
  } else if constexpr (requires { tree.has_value(); }) {
    if (tree.has_value()) for_each_struct(*tree, visit);
  } else if constexpr (requires { tree.first; }) {
    for_each_struct(tree.first, visit);
    for_each_struct(tree.second, visit);
  } else {
    for (auto& element : tree) for_each_struct(element, visit);
  }
}

/// The defined tensors of a tree, in order.
template <class Tree>
Tensors leaves(const Tree& tree) {
  Tensors all;
  for_each_tensor("", tree, [&](const std::string&, const Tensor& t, const auto&...) {
    if (t.defined()) all.push_back(t);
  });
  return all;
}

/// The tree with its defined tensors replaced, in order.
template <class Tree>
Tree with_leaves(Tree tree, const Tensors& replacement) {
  std::size_t i = 0;
  for_each_tensor("", tree, [&](const std::string& key, Tensor& t, const auto&...) {
    if (!t.defined()) return;
    require(i < replacement.size(), "tree: too few tensors: none left for {}", key);
    t = replacement[i++];
  });
  require(i == replacement.size(), "tree: {} tensors given, {} taken", replacement.size(), i);
  return tree;
}

}  // namespace costate
