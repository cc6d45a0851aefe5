// A pickle reader that runs nothing: protocols 2 to 5 become a tree of plain values.
//
// A pickle is a program; its power lies in the globals it may call. Here a global is only ever a name, and a name
// outside a short list (torch_globals.cpp) ends the reading with an Error that says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/element.h"

namespace costate {

struct PickleValue;
/// Values are owned by their Pickle and may be shared or even cyclic: walk them with a bound on depth and count.
using PickleItem = const PickleValue*;
using PickleItems = std::vector<PickleItem>;

struct PickleNone {};
struct PickleText {
  std::string text;
};
struct PickleBytes {
  std::string bytes;
};  ///< also integers of more than 64 bits: little endian, two's complement
struct PickleList {
  PickleItems items;
};
struct PickleTuple {
  PickleItems items;
};  ///< also torch.Size, set and frozenset
struct PickleDict {
  std::vector<std::pair<PickleItem, PickleItem>> items;
};  ///< also OrderedDict, defaultdict
struct PickleGlobal {
  std::string name;
};  ///< "torch.float32"
/// A view into a storage of the file, as the persistent id names it. `view_offset` is counted in elements.
struct PickleStorage {
  std::string key;
  Element element = Element::u8;
  std::size_t width = 1;  ///< bytes per element, also of kinds that cannot be read
  bool untyped = false;   ///< bytes, whose tensors name the type themselves
  std::int64_t size = 0;  ///< elements
  std::int64_t view_offset = 0;
};
struct PickleTensor {
  PickleStorage storage;
  std::int64_t offset = 0;  ///< first element, counted from the storage's start (view_offset included)
  std::vector<std::int64_t> dims, strides;
};
/// What an accepted global was called on: kept, never run. `state` is null without a BUILD.
struct PickleObject {
  std::string name;
  PickleItem args = nullptr, state = nullptr;
};

struct PickleValue {
  std::variant<PickleNone, bool, std::int64_t, double, PickleText, PickleBytes, PickleList, PickleTuple, PickleDict,
               PickleGlobal, PickleStorage, PickleTensor, PickleObject>
      value;

  template <class T>
  [[nodiscard]] const T* as() const {
    return std::get_if<T>(&value);
  }
};

/// One unpickled value and everything it refers to.
struct Pickle {
  std::deque<PickleValue> values;  ///< the owner; freed by a loop, whatever the nesting
  PickleItem root = nullptr;
  std::size_t length = 0;  ///< bytes read, STOP included: the next pickle of a stream starts there
};

/// Reads one pickle from the start of `bytes`. `where` begins every Error. Limits: 256 MiB, 16 million values.
[[nodiscard]] Pickle unpickle(std::string_view bytes, const std::string& where);

/// Is `global` ("module.name") on the list of names that may occur?
[[nodiscard]] bool is_accepted_global(std::string_view global);
/// Is it a dictionary, or a class that is nothing else?
[[nodiscard]] bool is_dictionary(std::string_view global);
/// The element type of "torch.FloatStorage" or "torch.float32" and its bytes; false when it names none.
[[nodiscard]] bool element_of_global(std::string_view global, Element& element, std::size_t& width);

/// The entry of a dictionary with this text key, or null (also when `v` is no dictionary).
[[nodiscard]] PickleItem find_item(PickleItem v, std::string_view key);

}  // namespace costate
