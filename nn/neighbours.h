// Parameters that one product reads are put behind each other when a network gets its weights, so that nothing is copied then.
//
// A layer says which by a function beside `fields`, from a name and a tensor for each:
//
//   static void neighbours(auto& self, auto&& visit) { visit("qkv", self.to_q.weight); visit("qkv", self.to_k.weight); ... }
//
// Those of one name, shape and dtype in a whole network lie in the order in which they are visited.
#pragma once

#include <fmt/format.h>

#include <map>

#include "core/tree.h"

namespace costate {

/// The tensors to lie together, by name, in order.
using Neighbours = std::map<std::string, std::vector<Tensor*>>;

/// Moves what is not watched and on a device, whose products are as fast as they are few (the host's have panels of each weight).
void move_each_together(const Neighbours& all);

/// ... of a tree of layers.
template <class Tree>
void move_together(Tree& tree) {
  Neighbours all;
  for_each_struct(tree, [&](auto& part) {
    using Part = std::remove_cvref_t<decltype(part)>;
    if constexpr (requires { Part::neighbours(part, [](const char*, Tensor&) {}); })
      Part::neighbours(part, [&](const char* name, Tensor& t) {
        if (t.defined()) all[fmt::format("{} {}", name, t.shape())].push_back(&t);
      });
  });
  move_each_together(all);
}

}  // namespace costate
