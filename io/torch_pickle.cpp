// The stack machine of a pickle, reduced to building data.
#include "io/torch_pickle.h"

#include <bit>
#include <cstring>
#include <unordered_map>

#include "io/torch_opcodes.h"
#include "io/torch_rebuild.h"

namespace costate {
namespace {

using namespace pickle_opcodes;

constexpr std::size_t max_length = std::size_t{256} << 20;
constexpr std::size_t max_values = 16'000'000;

class Machine {
 public:
  Machine(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  Pickle run() {
    while (!stopped_) {
      opcode_at_ = at_;
      const auto op = take<std::uint8_t>();
      if (!scalar(op) && !text(op) && !container(op) && !memory(op) && !object(op))
        fail(
            "{}: opcode 0x{:02x} at byte {} is not one of pickle protocols 2 to 5 that costate reads; the file is "
            "damaged",
            where_, op, opcode_at_);
    }
    pickle_.length = at_;
    return std::move(pickle_);
  }

 private:
  // Numbers, constants, and the opcodes about the stream itself.
  bool scalar(std::uint8_t op) {
    switch (op) {
      case PROTO: {
        const auto version = take<std::uint8_t>();
        wants(version >= 2 && version <= 5, "is of an unknown protocol");
        return true;
      }
      case FRAME:
        take<std::uint64_t>();
        return true;  // a hint for readers of streams
      case STOP:
        pickle_.root = pop();
        stopped_ = true;
        return true;
      case NONE:
        push(PickleNone{});
        return true;
      case NEWTRUE:
        push(true);
        return true;
      case NEWFALSE:
        push(false);
        return true;
      case BININT:
        push(std::int64_t{take<std::int32_t>()});
        return true;
      case BININT1:
        push(std::int64_t{take<std::uint8_t>()});
        return true;
      case BININT2:
        push(std::int64_t{take<std::uint16_t>()});
        return true;
      case LONG1:
        push_long(take<std::uint8_t>());
        return true;
      case LONG4:
        push_long(take<std::uint32_t>());
        return true;
      case BINFLOAT:
        push(std::bit_cast<double>(__builtin_bswap64(take<std::uint64_t>())));
        return true;  // big endian
      default:
        return false;
    }
  }

  bool text(std::uint8_t op) {
    switch (op) {
      case BINUNICODE:
        push(PickleText{take_string(take<std::uint32_t>())});
        return true;
      case SHORT_BINUNICODE:
        push(PickleText{take_string(take<std::uint8_t>())});
        return true;
      case BINUNICODE8:
        push(PickleText{take_string(take<std::uint64_t>())});
        return true;
      case BINSTRING:
        push(PickleText{take_string(take<std::uint32_t>())});
        return true;  // Python 2 text
      case SHORT_BINSTRING:
        push(PickleText{take_string(take<std::uint8_t>())});
        return true;
      case BINBYTES:
        push(PickleBytes{take_string(take<std::uint32_t>())});
        return true;
      case SHORT_BINBYTES:
        push(PickleBytes{take_string(take<std::uint8_t>())});
        return true;
      case BINBYTES8:
      case BYTEARRAY8:
        push(PickleBytes{take_string(take<std::uint64_t>())});
        return true;
      default:
        return false;
    }
  }

  bool container(std::uint8_t op) {
    switch (op) {
      case MARK:
        marks_.push_back(stack_.size());
        return true;
      case POP:
        if (!marks_.empty() && marks_.back() == stack_.size())
          marks_.pop_back();
        else
          pop();
        return true;
      case POP_MARK:
        pop_to_mark();
        return true;
      case DUP:
        wants(!stack_.empty(), "takes from an empty stack");
        stack_.push_back(stack_.back());
        return true;
      case EMPTY_LIST:
        push(PickleList{});
        return true;
      case EMPTY_TUPLE:
      case EMPTY_SET:
        push(PickleTuple{});
        return true;
      case EMPTY_DICT:
        push(PickleDict{});
        return true;
      case LIST:
        push(PickleList{pop_to_mark()});
        return true;
      case TUPLE:
      case FROZENSET:
        push(PickleTuple{pop_to_mark()});
        return true;
      case TUPLE1:
        push(PickleTuple{pop_items(1)});
        return true;
      case TUPLE2:
        push(PickleTuple{pop_items(2)});
        return true;
      case TUPLE3:
        push(PickleTuple{pop_items(3)});
        return true;
      case DICT: {
        const auto items = pop_to_mark();
        push(PickleDict{});
        set_items(items);
        return true;
      }
      case APPEND:
        append(pop_items(1));
        return true;
      case APPENDS:
      case ADDITEMS:
        append(pop_to_mark());
        return true;
      case SETITEM:
        set_items(pop_items(2));
        return true;
      case SETITEMS:
        set_items(pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  bool memory(std::uint8_t op) {
    switch (op) {
      case BINPUT:
        memo_[take<std::uint8_t>()] = top();
        return true;
      case LONG_BINPUT:
        memo_[take<std::uint32_t>()] = top();
        return true;
      case MEMOIZE:
        memo_[static_cast<std::uint32_t>(memo_.size())] = top();
        return true;
      case BINGET:
        recall(take<std::uint8_t>());
        return true;
      case LONG_BINGET:
        recall(take<std::uint32_t>());
        return true;
      default:
        return false;
    }
  }

  bool object(std::uint8_t op) {
    switch (op) {
      case GLOBAL: {
        const auto module = take_line();
        push_global(module + "." + take_line());
        return true;
      }
      case STACK_GLOBAL: {
        const auto names = pop_items(2);
        const auto *module = names[0]->as<PickleText>(), *name = names[1]->as<PickleText>();
        wants(module != nullptr && name != nullptr, "names a global by something else than text");
        push_global(module->text + "." + name->text);
        return true;
      }
      case BINPERSID:
        push(persistent_storage(*pop(), where_));
        return true;
      case REDUCE:
      case NEWOBJ: {
        const auto v = pop_items(2);
        push_rebuilt(*v[0], v[1]);
        return true;
      }
      case NEWOBJ_EX: {
        const auto v = pop_items(3);
        push_rebuilt(*v[0], v[1]);
        return true;
      }
      case BUILD: {
        const auto state = pop();
        if (auto* o = std::get_if<PickleObject>(&mutable_top().value)) o->state = state;
        return true;  // the state of a dictionary or tensor is decoration (state_dict versions, hooks)
      }
      default:
        return false;
    }
  }

  void wants(bool ok, std::string_view what) const {
    require(ok, "{}: the pickle {} at byte {}; the file is damaged", where_, what, opcode_at_);
  }

  template <class T>
  T take() {
    wants(bytes_.size() - at_ >= sizeof(T), "ends too early (truncated file?)");
    T v;
    std::memcpy(&v, bytes_.data() + at_, sizeof v);
    at_ += sizeof v;
    return v;
  }
  std::string take_string(std::uint64_t length) {
    wants(length <= bytes_.size() - at_, "ends too early (truncated file?)");
    at_ += length;
    return std::string(bytes_.substr(at_ - length, length));
  }
  std::string take_line() {
    const auto end = bytes_.find('\n', at_);
    wants(end != std::string_view::npos && end - at_ < 1000, "has a name without an end");
    const auto line = take_string(end - at_);
    ++at_;
    return line;
  }

  void push(decltype(PickleValue::value) value) {
    require(pickle_.values.size() < max_values, "{}: the pickle has more than {} values", where_, max_values);
    pickle_.values.push_back({std::move(value)});
    stack_.push_back(&pickle_.values.back());
  }
  void push_rebuilt(const PickleValue& callable, PickleItem args) {
    push(rebuild(callable, args, where_));
    const auto& made = pickle_.values.back();
    // copies of what the memo holds cost two bytes of file each, so they are counted apart
    if (const auto* d = made.as<PickleDict>()) copied_ += d->items.size();
    if (const auto* t = made.as<PickleTuple>()) copied_ += t->items.size();
    if (const auto* b = made.as<PickleBytes>()) copied_ += b->bytes.size();
    wants(copied_ <= max_values, "copies its values too often");
  }
  void push_long(std::uint64_t length) {
    const std::string digits = take_string(length);
    if (length > 8) return push(PickleBytes{digits});
    const bool negative = length > 0 && (digits.back() & 0x80) != 0;
    std::uint64_t v = negative ? ~std::uint64_t{0} : 0;
    std::memcpy(&v, digits.data(), length);
    push(static_cast<std::int64_t>(v));
  }
  void push_global(const std::string& name) {
    require(is_accepted_global(name),
            "{}: its pickle wants to use '{}'; costate runs no code from checkpoints and knows only tensors and plain "
            "data. Save the "
            "state_dict alone, best as safetensors",
            where_, printable(name));
    push(PickleGlobal{name});
  }

  // Never below the last mark: items there belong to the container that is being built.
  PickleItem pop() {
    wants(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "takes from an empty stack");
    const PickleItem v = stack_.back();
    stack_.pop_back();
    return v;
  }
  PickleItems pop_items(std::size_t count) {
    wants(stack_.size() >= count + (marks_.empty() ? 0 : marks_.back()), "takes from an empty stack");
    PickleItems items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  PickleItems pop_to_mark() {
    wants(!marks_.empty(), "lacks a mark");
    PickleItems items = pop_items(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }
  PickleItem top() const {
    wants(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "takes from an empty stack");
    return stack_.back();
  }
  PickleValue& mutable_top() { return *const_cast<PickleValue*>(top()); }  // values are ours; only the view is const

  void append(const PickleItems& items) {
    auto& value = mutable_top().value;
    PickleItems* to = nullptr;
    if (auto* list = std::get_if<PickleList>(&value)) to = &list->items;
    if (auto* set = std::get_if<PickleTuple>(&value)) to = &set->items;
    wants(to != nullptr, "appends to something that is not a list");
    to->insert(to->end(), items.begin(), items.end());
  }
  void set_items(const PickleItems& items) {
    auto* dict = std::get_if<PickleDict>(&mutable_top().value);
    wants(dict != nullptr && items.size() % 2 == 0, "sets items of something that is not a dictionary");
    for (std::size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
  }
  void recall(std::uint32_t index) {
    const auto it = memo_.find(index);
    wants(it != memo_.end(), "recalls what it did not store");
    stack_.push_back(it->second);
  }

  std::string_view bytes_;
  const std::string& where_;
  std::size_t at_ = 0, opcode_at_ = 0, copied_ = 0;
  bool stopped_ = false;
  Pickle pickle_;
  PickleItems stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, PickleItem> memo_;
};

}  // namespace

Pickle unpickle(std::string_view bytes, const std::string& where) {
  return Machine(bytes.substr(0, max_length), where).run();
}

PickleItem find_item(PickleItem v, std::string_view key) {
  const auto* dict = v == nullptr ? nullptr : v->as<PickleDict>();
  if (dict == nullptr) return nullptr;
  for (const auto& [k, value] : dict->items)
    if (const auto* text = k->as<PickleText>(); text != nullptr && text->text == key) return value;
  return nullptr;
}

}  // namespace costate
