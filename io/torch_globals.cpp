// The only names a pickle may mention. None of them is ever called: each stands for plain data.
#include <algorithm>
#include <string_view>

#include "io/torch_pickle.h"

namespace costate {
namespace {

constexpr std::string_view accepted[] = {
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.Size",
    "torch.device",
    "torch._C.device",
    "torch.serialization._get_layout",
    "torch.storage.UntypedStorage",
    "torch.storage._UntypedStorage",
    "torch.storage.TypedStorage",
    "torch.storage._TypedStorage",
    "argparse.Namespace",
    "types.SimpleNamespace",
    "datetime.datetime",
    "datetime.date",
    "datetime.timedelta",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "torch._tensor._rebuild_from_type_v2",
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    // types as defaults of a defaultdict, and what protocol 2 needs for sets and bytes
    "builtins.list",
    "builtins.set",
    "builtins.frozenset",
    "builtins.int",
    "builtins.float",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.str",
    "builtins.bool",
    "builtins.bytes",
    "builtins.tuple",
    "builtins.object",
    "builtins.slice",
    "builtins.range",
    "__builtin__.xrange",
    "__builtin__.str",
    "__builtin__.unicode",
    "__builtin__.bool",
    "__builtin__.tuple",
    "__builtin__.object",
    "__builtin__.list",
    "__builtin__.set",
    "__builtin__.frozenset",
    "__builtin__.int",
    "__builtin__.long",  // int as Python 3 writes it in protocol 2
    "__builtin__.bytes",
    "__builtin__.float",
    "__builtin__.bytearray",
    "__builtin__.complex",
    "_codecs.encode",
    // numpy numbers and arrays stay unread objects
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    // typing's names with arguments, Dict[str, Any], as omegaconf keeps them
    "_operator.getitem",
    "operator.getitem",
};

// Modules whose classes are settings, read as plain data: everything in them may occur.
constexpr std::string_view accepted_modules[] = {
    "omegaconf.",
    "typing.",
    "ml_collections.config_dict.",
    "pytorch_lightning.callbacks.",
    "lightning.pytorch.callbacks.",
};

// Dictionaries by other names.
constexpr std::string_view dictionaries[] = {
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "builtins.dict",
    "__builtin__.dict",
    "easydict.EasyDict",
    "dnnlib.util.EasyDict",
    "addict.addict.Dict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
};

struct TypeName {
  std::string_view name;
  Element element;
};
constexpr TypeName types[] = {
    {"DoubleStorage", Element::f64},
    {"FloatStorage", Element::f32},
    {"HalfStorage", Element::f16},
    {"BFloat16Storage", Element::bf16},
    {"LongStorage", Element::i64},
    {"IntStorage", Element::i32},
    {"ShortStorage", Element::i16},
    {"CharStorage", Element::i8},
    {"ByteStorage", Element::u8},
    {"BoolStorage", Element::boolean},
    {"UntypedStorage", Element::u8},
    {"ComplexFloatStorage", Element::complex},
    {"ComplexDoubleStorage", Element::complex},
    {"QInt8Storage", Element::quantised},
    {"QUInt8Storage", Element::quantised},
    {"QInt32Storage", Element::quantised},
    {"QUInt4x2Storage", Element::quantised},
    {"QUInt2x4Storage", Element::quantised},
    {"float64", Element::f64},
    {"float32", Element::f32},
    {"float16", Element::f16},
    {"bfloat16", Element::bf16},
    {"int64", Element::i64},
    {"int32", Element::i32},
    {"int16", Element::i16},
    {"int8", Element::i8},
    {"uint64", Element::u64},
    {"uint32", Element::u32},
    {"uint16", Element::u16},
    {"uint8", Element::u8},
    {"bool", Element::boolean},
    {"complex32", Element::complex},
    {"complex64", Element::complex},
    {"complex128", Element::complex},
    {"float8_e4m3fn", Element::f8},
    {"float8_e5m2", Element::f8},
    {"float8_e4m3fnuz", Element::f8},
    {"float8_e5m2fnuz", Element::f8},
    {"float8_e8m0fnu", Element::f8},
    {"qint8", Element::quantised},
    {"quint8", Element::quantised},
    {"qint32", Element::quantised},
};

// A legacy stream must be stepped through even where a storage cannot be used.
std::size_t width_of_unreadable(std::string_view name) {
  return name == "ComplexDoubleStorage" ? 16 : name == "ComplexFloatStorage" ? 8 : name == "QInt32Storage" ? 4 : 1;
}

}  // namespace

bool element_of_global(std::string_view global, Element& element, std::size_t& width) {
  // torch.FloatStorage, and torch.cuda.FloatStorage from files saved on a GPU by old versions
  for (const std::string_view prefix : {"torch.cuda.", "torch.storage.", "torch."}) {
    if (!global.starts_with(prefix)) continue;
    const auto* type = std::find_if(std::begin(types), std::end(types),
                                    [&](const TypeName& t) { return t.name == global.substr(prefix.size()); });
    if (type == std::end(types)) continue;
    element = type->element;
    width = size_of(element) != 0 ? size_of(element) : width_of_unreadable(type->name);
    return true;
  }
  return false;
}

bool is_dictionary(std::string_view global) {
  return std::find(std::begin(dictionaries), std::end(dictionaries), global) != std::end(dictionaries);
}

bool is_accepted_global(std::string_view global) {
  Element element{};
  std::size_t width = 0;
  return element_of_global(global, element, width) || is_dictionary(global) ||
         std::find(std::begin(accepted), std::end(accepted), global) != std::end(accepted) ||
         std::any_of(std::begin(accepted_modules), std::end(accepted_modules),
                     [&](std::string_view module) { return global.starts_with(module); });
}

}  // namespace costate
