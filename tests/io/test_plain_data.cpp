// Checkpoints as training programs leave them: settings as objects of other libraries beside the weights, averages, groups.
#include <hdf5.h>

#include <boost/test/unit_test.hpp>

#include "io/checkpoint.h"
#include "io/hdf5.h"
#include "io/safetensors.h"
#include "io_test.h"
#include "torch_bytes.h"

using namespace costate;
using namespace costate::io_test;

namespace {

using Keys = std::vector<std::string>;

std::string floats(const std::vector<float>& v) { return {reinterpret_cast<const char*>(v.data()), v.size() * 4}; }
const std::string numbers_0_to_3 = floats({0, 1, 2, 3});

std::string at(std::int64_t offset) { return tensor(storage("FloatStorage", "0", 4), offset, {1}, {1}); }
std::string object(const std::string& module, const std::string& name, const std::string& state) {
  return global(module, name) + ")\x81" + state + "b";
}

/// Both containers of the same pickle.
std::vector<Checkpoint> open_both(const std::string& body, const std::string& key = "") {
  const Scratch dir;
  overwrite(dir / "zip.pt", torch_zip(body, {{"0", numbers_0_to_3}}));
  overwrite(dir / "old.pt", torch_legacy(body, {{{"0", 4}, numbers_0_to_3}}));
  return {Checkpoint::open(dir / "zip.pt", key), Checkpoint::open(dir / "old.pt", key)};
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// omegaconf's DictConfig: each node knows its parent, here by the pickle's memo, so that the values form a cycle.
std::string omegaconf_dictionary() {
  const std::string any = global("typing", "Any");
  const std::string metadata = object("omegaconf.base", "ContainerMetadata",
                                      dict({{"ref_type", any}, {"object_type", global("builtins", "dict")}}));
  const std::string text_type =
      global("_operator", "getitem") + tuple({global("typing", "Dict"), tuple({global("builtins", "str"), any})}) + "R";
  const std::string node = object("omegaconf.nodes", "AnyNode", dict({{"_val", "K\x05"}, {"_parent", "h\x07"}}));
  return global("omegaconf.dictconfig", "DictConfig") + ")\x81q\x07" +
         dict({{"_metadata", metadata},
               {"_type", text_type},
               {"_parent", "N"},
               {"_content", dict({{"lr", node}, {"model", "h\x07"}})}}) +
         "b";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plain_data)

BOOST_AUTO_TEST_CASE(settings_of_other_libraries_are_data_beside_the_weights) {
  const std::string settings = dict({{"lr", "K\x01"}});
  const std::vector<std::string> all = {
      omegaconf_dictionary(),
      object("argparse", "Namespace", settings),
      object("types", "SimpleNamespace", settings),
      object("ml_collections.config_dict.config_dict", "ConfigDict", settings),
      global("easydict", "EasyDict") + ")\x81" + "(" + text("lr") + "K\x01u",
      global("pytorch_lightning.utilities.parsing", "AttributeDict") + ")\x81" + "(" + text("lr") + "K\x01u",
      "}" + global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint") + settings + "s",
      "}" + text("type") + global("__builtin__", "long") + "s",
      global("datetime", "timedelta") + tuple({"K\x03", "K\x00", "K\x00"}) + "R",
      global("pathlib", "PosixPath") + tuple({text("/"), text("tmp")}) + "R",
      global("collections", "OrderedDict") + ")R(" + text("lr") + "K\x01u",
      global("numpy.core.multiarray", "scalar") +
          tuple({global("numpy", "dtype") + tuple({text("f8")}) + "R", text("x")}) + "R",
  };
  for (const auto& each : all)
    for (const auto& c : open_both(dict({{"hyper_parameters", each}, {"state_dict", dict({{"a.weight", at(2)}})}}))) {
      BOOST_CHECK(c.keys() == Keys{"a.weight"});
      BOOST_CHECK_EQUAL(c.read("a.weight").item(), 2);
    }
}

// A namespace may hold the weights themselves; a subclass of a tensor is a tensor.
BOOST_AUTO_TEST_CASE(tensors_inside_objects_are_found) {
  const std::string args = tuple({storage("FloatStorage", "0", 4), number(3), numbers({1}), numbers({1}), "\x89",
                                  global("collections", "OrderedDict") + ")R"});
  const std::string subclass = global("torch._tensor", "_rebuild_from_type_v2") +
                               tuple({global("torch._utils", "_rebuild_tensor_v2"),
                                      global("torch.nn.parameter", "Parameter"), args, dict({{"tag", "K\x01"}})}) +
                               "R";
  for (const auto& c : open_both(object("argparse", "Namespace", dict({{"w", at(1)}, {"v", subclass}})))) {
    BOOST_CHECK_EQUAL(c.read("w").item(), 1);
    BOOST_CHECK_EQUAL(c.read("v").item(), 3);
  }
  const std::string nested = global("torch._tensor", "_rebuild_from_type_v2") +
                             tuple({global("torch._tensor", "_rebuild_from_type_v2"), "N", tuple({"N", "N", "N"})}) +
                             "R";
  check_error([&] { open_both(dict({{"a", nested}})); }, {"subclass is damaged"});
}

// score_sde_pytorch: the averages are a list in the order of the trained weights, counters left out.
BOOST_AUTO_TEST_CASE(averages_without_names_take_those_of_the_weights) {
  const std::string counter = tensor(storage("FloatStorage", "0", 4), 0, {2}, {1});
  const std::string body =
      dict({{"ema", dict({{"decay", "K\x01"}, {"shadow_params", "](" + at(2) + at(3) + "e"}})},
            {"model", dict({{"module.sigmas", counter}, {"module.a", at(0)}, {"module.b", at(1)}})}});
  for (const auto& c : open_both(body)) {
    BOOST_CHECK_EQUAL(c.read("module.a").item(), 2);
    BOOST_CHECK_EQUAL(c.read("module.b").item(), 3);
    BOOST_CHECK(has(c.note(), "2 of 3 from the averages 'ema.shadow_params'"));
  }
  for (const auto& c : open_both(body, "model")) BOOST_CHECK_EQUAL(c.read("module.a").item(), 0);

  // A batch norm's statistics, which are no weights, have the shape of the weights that follow.
  const auto with = [](const std::vector<std::string>& keys) {
    std::vector<std::pair<std::string, std::string>> model;
    for (const auto& key : keys) model.emplace_back(key, at(0));
    return dict({{"model", dict(model)}, {"ema", dict({{"shadow_params", "](" + at(2) + at(3) + "e"}})}});
  };
  for (const auto& c : open_both(with({"n.weight", "n.running_mean", "n.running_var", "m.weight"}))) {
    BOOST_CHECK_EQUAL(c.read("n.weight").item(), 2);
    BOOST_CHECK_EQUAL(c.read("n.running_mean").item(), 0);
    BOOST_CHECK_EQUAL(c.read("m.weight").item(), 3);
  }
  for (const auto& c : open_both(with({"a", "b", "c"}))) {  // which of the three has none?
    for (const char* key : {"a", "b", "c"}) BOOST_CHECK_EQUAL(c.read(key).item(), 0);
    BOOST_CHECK(has(c.note(), "more than one way"));
  }
  for (const auto& c : open_both(with({"a"}))) {
    BOOST_CHECK_EQUAL(c.read("a").item(), 0);
    BOOST_CHECK(has(c.note(), "do not fit these keys (from number 1 on)"));
  }
}

// Groups are dictionaries where modules would not be called so: Keras's model_weights beside its optimiser's, an EMA.
BOOST_AUTO_TEST_CASE(groups_of_hdf5) {
  const Scratch dir;
  const auto write = [&](const std::vector<std::string>& names) {
    Hdf5Writer out(dir / "x.h5");
    for (std::size_t i = 0; i < names.size(); ++i) out.write(names[i], Tensor::full({2}, static_cast<double>(i)));
    out.finish();
    return Checkpoint::open(dir / "x.h5");
  };
  const auto keras = write(
      {"model_weights/dense/dense/bias:0", "model_weights/dense/dense/kernel:0", "optimizer_weights/adam/iter:0"});
  BOOST_CHECK(keras.keys() == (Keys{"dense.dense.bias:0", "dense.dense.kernel:0"}));
  BOOST_CHECK(has(keras.note(), "'model_weights'") && has(keras.note(), "'optimizer_weights'"));
  BOOST_CHECK(write({"step", "ema/a/weight", "ema/b/weight", "model/a/weight"}).keys() ==
              (Keys{"a.weight", "b.weight"}));
  BOOST_CHECK_EQUAL(Checkpoint::open(dir / "x.h5", "model").read("a.weight").to_vector()[0], 3);
  BOOST_CHECK(write({"g/a", "g/b", "g_ema/a", "g_ema/b"}).keys() == (Keys{"a", "b"}));
  // modules may be called model or net, and a counter more than a group holds is no reason
  BOOST_CHECK(write({"net/0/weight", "net/2/weight"}).keys() == (Keys{"net.0.weight", "net.2.weight"}));
  BOOST_CHECK(write({"a", "b", "ema/a"}).keys() == (Keys{"a", "b", "ema.a"}));
}

// Files of the oldest format are tried in a child process: listed when opened, read before the first value is asked for.
BOOST_AUTO_TEST_CASE(old_hdf5_of_every_type) {
  const Scratch dir;
  const std::string path = (dir / "old.h5").string();
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t space = H5Screate(H5S_SCALAR);
  const auto put = [&](const char* name, hid_t type, const void* value, hid_t memory) {
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    BOOST_REQUIRE(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0);
    H5Dclose(set);
  };
  const double x = 1.5;
  const long n = 7;
  put("f64", H5T_IEEE_F64BE, &x, H5T_NATIVE_DOUBLE);
  put("f32", H5T_IEEE_F32BE, &x, H5T_NATIVE_DOUBLE);
  put("i16", H5T_STD_I16BE, &n, H5T_NATIVE_LONG);
  put("u32", H5T_STD_U32LE, &n, H5T_NATIVE_LONG);
  put("i64", H5T_STD_I64BE, &n, H5T_NATIVE_LONG);
  H5Sclose(space);
  H5Fclose(file);
  const auto c = Checkpoint::open(path);
  for (const std::string name : {"f64", "f32"}) BOOST_CHECK_EQUAL(c.read(name).item(), x);
  for (const std::string name : {"i16", "u32", "i64"}) BOOST_CHECK_EQUAL(c.read(name).item(), 7);
  BOOST_CHECK(c.dtype("f32") == DType::f32 && c.view("i64").element == Element::i64);
}

BOOST_AUTO_TEST_SUITE_END()
