// The arguments of torch._utils._rebuild_*, persistent ids and a few containers, each checked for kind and count.
#include "io/torch_rebuild.h"

#include <algorithm>

namespace costate {
namespace {

const PickleItems* items_of(PickleItem v) {
  if (v == nullptr) return nullptr;
  if (const auto* t = v->as<PickleTuple>()) return &t->items;
  if (const auto* l = v->as<PickleList>()) return &l->items;
  return nullptr;
}

std::int64_t integer(PickleItem v, const std::string& where) {
  const auto* n = v->as<std::int64_t>();
  require(n != nullptr, "{}: a number is missing in the description of a tensor; the file is damaged", where);
  return *n;
}

std::vector<std::int64_t> integers(PickleItem v, const std::string& where) {
  const PickleItems* items = items_of(v);
  require(items != nullptr && items->size() <= 64, "{}: a tensor's shape or strides are damaged", where);
  std::vector<std::int64_t> numbers;
  for (const auto item : *items) numbers.push_back(integer(item, where));
  return numbers;
}

void set_element(PickleStorage& s, PickleItem global, const std::string& where) {
  const auto* g = global->as<PickleGlobal>();
  require(g != nullptr && element_of_global(g->name, s.element, s.width), "{}: a tensor has an unknown element type{}",
          where, g != nullptr ? " (" + printable(g->name) + ")" : "");
}

// args: storage, offset, size, stride [, requires_grad, hooks [, dtype for v3, metadata]]
PickleTensor tensor_of(std::string_view version, const PickleItems& args, const std::string& where) {
  require(args.size() >= 4, "{}: the description of a tensor is too short; the file is damaged", where);
  const auto* storage = args[0]->as<PickleStorage>();
  require(storage != nullptr, "{}: a tensor has no storage; the file is damaged", where);
  PickleTensor t;
  t.storage = *storage;
  if (version == "_rebuild_tensor_v3") {
    require(args.size() >= 7, "{}: the description of a tensor is too short; the file is damaged", where);
    set_element(t.storage, args[6], where);
  } else {
    require(!storage->untyped, "{}: a tensor has no element type; the file is damaged", where);
  }
  t.offset = integer(args[1], where);
  t.dims = integers(args[2], where);
  t.strides = integers(args[3], where);
  constexpr std::int64_t limit = std::int64_t{1} << 60;
  require(t.offset >= 0 && t.offset < limit && storage->view_offset < limit && t.strides.size() == t.dims.size(),
          "{}: a tensor's offset or strides are damaged", where);
  t.offset += storage->view_offset;
  return t;
}

// OrderedDict(), OrderedDict([[k, v], ...]), defaultdict(factory), Counter({...})
PickleDict dictionary(const PickleItems& args, const std::string& where) {
  PickleDict dict;
  for (const auto arg : args) {
    if (const auto* other = arg->as<PickleDict>())
      dict.items.insert(dict.items.end(), other->items.begin(), other->items.end());
    const PickleItems* pairs = items_of(arg);
    if (pairs == nullptr) continue;
    for (const auto p : *pairs) {
      const PickleItems* pair = items_of(p);
      require(pair != nullptr && pair->size() == 2, "{}: a dictionary is given by something else than pairs", where);
      dict.items.emplace_back((*pair)[0], (*pair)[1]);
    }
  }
  return dict;
}

// Python 3 writes bytes for protocol 2 as the text they would be in Latin-1.
PickleVariant latin1_bytes(const PickleItems& args, const std::string& where) {
  const auto* text = args.empty() ? nullptr : args[0]->as<PickleText>();
  require(text != nullptr, "{}: encoded bytes are damaged", where);
  std::string bytes;
  for (std::size_t i = 0; i < text->text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text->text[i]);
    if (c < 0x80) {
      bytes += static_cast<char>(c);
      continue;
    }
    require((c == 0xc2 || c == 0xc3) && i + 1 < text->text.size(), "{}: encoded bytes are damaged", where);
    bytes += static_cast<char>(((c & 3U) << 6) | (static_cast<unsigned char>(text->text[++i]) & 0x3fU));
  }
  return PickleBytes{std::move(bytes)};
}

bool is_sequence(std::string_view name) {
  return name == "torch.Size" || name == "builtins.set" || name == "__builtin__.set" || name == "builtins.frozenset" ||
         name == "__builtin__.frozenset";
}

}  // namespace

PickleVariant rebuild(const PickleValue& callable, PickleItem args, const std::string& where) {
  const auto* global = callable.as<PickleGlobal>();
  const auto* tuple = args->as<PickleTuple>();
  require(global != nullptr && tuple != nullptr,
          "{}: the pickle calls something that is not a name; the file is damaged", where);
  const std::string_view name = global->name;
  constexpr std::string_view utils = "torch._utils.";
  if (name.starts_with(utils)) {
    const std::string_view function = name.substr(utils.size());
    if (function.starts_with("_rebuild_tensor")) return tensor_of(function, tuple->items, where);
    const auto* data = tuple->items.empty() ? nullptr : tuple->items[0]->as<PickleTensor>();
    require(data != nullptr, "{}: a parameter holds no tensor; the file is damaged", where);
    return *data;  // _rebuild_parameter: whether it is trained is not ours to keep
  }
  if (name ==
      "torch._tensor._rebuild_from_type_v2") {  // (function, class, arguments, attributes) of a tensor's subclass
    const auto* function = tuple->items.size() >= 3 ? tuple->items[0]->as<PickleGlobal>() : nullptr;
    require(function != nullptr && function->name.starts_with(utils), "{}: a tensor's subclass is damaged", where);
    return rebuild(*tuple->items[0], tuple->items[2], where);
  }
  if (is_dictionary(name)) return dictionary(tuple->items, where);
  if (is_sequence(name)) {
    const PickleItems* items = tuple->items.empty() ? nullptr : items_of(tuple->items[0]);
    return PickleTuple{items != nullptr ? *items : PickleItems{}};
  }
  if (name == "_codecs.encode") return latin1_bytes(tuple->items, where);
  return PickleObject{global->name, args, nullptr};
}

PickleStorage persistent_storage(const PickleValue& id, const std::string& where) {
  const auto* tuple = id.as<PickleTuple>();
  const bool shaped = tuple != nullptr && tuple->items.size() >= 5 && tuple->items[0]->as<PickleText>() != nullptr &&
                      tuple->items[0]->as<PickleText>()->text == "storage" &&
                      tuple->items[2]->as<PickleText>() != nullptr;
  require(shaped, "{}: a persistent id is not a storage; the file is damaged or not from PyTorch", where);
  PickleStorage s;
  set_element(s, tuple->items[1], where);
  s.untyped = tuple->items[1]->as<PickleGlobal>()->name.ends_with("UntypedStorage");
  s.key = tuple->items[2]->as<PickleText>()->text;
  s.size = integer(tuple->items[4], where);
  require(s.size >= 0 && s.key.size() <= 256, "{}: a storage has a damaged size or name", where);
  if (const PickleItems* view = tuple->items.size() > 5 ? items_of(tuple->items[5]) : nullptr) {
    require(view->size() == 3, "{}: a storage's view is damaged", where);
    s.view_offset = integer((*view)[1], where);
    require(s.view_offset >= 0, "{}: a storage's view is damaged", where);
  }
  return s;
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, 80));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 32 || c > 126; }, '?');
  return out;
}

}  // namespace costate
