// Moving parameters behind each other.
#include "nn/neighbours.h"

#include <algorithm>

#include "autodiff/ops/concat.h"
#include "autodiff/tape.h"

namespace costate {

void move_each_together(const Neighbours& all) {
  for (const auto& [name, places] : all) {
    Tensors values;
    for (const Tensor* t : places) values.push_back(*t);
    const Shape& shape = values[0].shape();
    const bool fixed = std::any_of(values.begin(), values.end(), [&](const Tensor& t) {
      return t.is_ghost() || t.device() == Device::cpu || t.kind() != values[0].kind();
    });
    if (values.size() < 2 || fixed || watched(values)) continue;
    const Tensor together = stacked(values);  // as they lie, if they do
    for (std::size_t i = 0; i < places.size(); ++i)
      *places[i] = together.rows(static_cast<std::int64_t>(i), 1).reshaped(shape);
  }
}

}  // namespace costate
