// What a pickle's calls stand for: tensors, storages and dictionaries out of an accepted global and its arguments.
#pragma once

#include <string>
#include <string_view>

#include "io/torch_pickle.h"

namespace costate {

using PickleVariant = decltype(PickleValue::value);

/// The value that calling `callable` on the tuple `args` stands for. Dictionaries come out as PickleDict, tensors as
/// PickleTensor, numpy's protocol-2 bytes as PickleBytes, everything else as PickleObject. Error, beginning with
/// `where`, when the arguments are not what PyTorch writes.
[[nodiscard]] PickleVariant rebuild(const PickleValue& callable, PickleItem args, const std::string& where);

/// The storage a persistent id stands for: ('storage', type, key, location, size[, view]).
[[nodiscard]] PickleStorage persistent_storage(const PickleValue& id, const std::string& where);

/// The text with bytes outside printable ASCII replaced by '?', cut at 80: for error messages about untrusted names.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace costate
