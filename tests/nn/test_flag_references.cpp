// Flags of research families that shared/ has no fixture for, against the authors' own classes: sums of y and of every
// gradient on weights and inputs made by formulas (make_flag_references.py, which has the same `waves` and `fill`).
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "autodiff/transform.h"
#include "nn/family.h"
#include "tests/support/paths.h"

namespace {

using namespace costate;
using nlohmann::json;
using Values = std::vector<double>;

Values waves(std::int64_t n, double phase) {
  Values v;
  for (std::int64_t i = 0; i < n; ++i)
    v.push_back(std::sin(phase + 12.9898 * static_cast<double>(i) + 0.37 * static_cast<double>(i * i % 101)));
  return v;
}

/// A parameter as it lies in files.
Tensor fill(const Parameter& p, double phase, const json& config) {
  const Shape shape = file_shape(p.value.shape(), p.layout);
  const std::string leaf = p.key.substr(p.key.rfind('.') + 1);
  const std::int64_t n = shape.size();
  Values v = waves(n, phase);
  const auto each = [&](const auto& f) {
    for (std::int64_t i = 0; i < n; ++i) v[static_cast<std::size_t>(i)] = f(v[static_cast<std::size_t>(i)], i);
  };
  if (leaf == "resample_filter") {
    const Values taps = config.value("resample_filter", Values{1, 1});
    double sum = 0;
    for (const double tap : taps) sum += tap;
    const auto width = taps.size();
    each([&](double, std::int64_t i) {
      return taps[static_cast<std::size_t>(i) / width] * taps[static_cast<std::size_t>(i) % width] / (sum * sum);
    });
  } else if (leaf == "u") {
    each([&](double, std::int64_t i) { return 8 * (1 - static_cast<double>(i) / static_cast<double>(n - 1)); });
  } else if (leaf == "sigmas" || leaf == "g" || leaf == "running_var" || (leaf == "weight" && shape.rank() == 1)) {
    each([](double w, std::int64_t) { return 1 + 0.1 * w; });
  } else if (leaf == "bias" || leaf == "b") {
    each([](double w, std::int64_t) { return 0.1 * w; });
  } else if (shape.rank() > 1) {
    const double fan = static_cast<double>(leaf == "W" ? shape[0] : n / shape[0]);
    each([&](double w, std::int64_t) { return 1.5 * w / std::sqrt(fan); });
  }
  return Tensor::from(v, shape);
}

Values sums(const Values& v) {
  double sum = 0, squares = 0, cosines = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    sum += v[i];
    squares += v[i] * v[i];
    cosines += std::cos(static_cast<double>(i)) * v[i];
  }
  return {sum, std::sqrt(squares), cosines};
}

/// Sums against a reference, over its norm and the root of the count that a sum of ones would have.
void check_sums(const Values& got, const json& want, const std::string& what) {
  const Values all = sums(got);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double scale = want[1].get<double>() * std::sqrt(static_cast<double>(got.size()));
    BOOST_TEST(std::abs(all[i] - want[i].get<double>()) <= 1e-12 * scale,
               fmt::format("{}, sum {}: {} against {}", what, i, all[i], want[i].get<double>()));
  }
}

const json& references() {
  static const json all = [] {
    std::ifstream file(source_dir() / "tests/data/flag-references.json");
    return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  }();
  return all;
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& [name, value] : references().items()) all.push_back(name);
  return all;
}

Shape shape_of(const json& list) {
  const auto extents = list.get<std::vector<std::int64_t>>();
  return Shape(extents);
}

/// Inputs by name, with the phases of their numbers.
const std::map<std::string, double> further_inputs = {
    {"augment_labels", 3}, {"timestep_cond", 5}, {"image_embeds", 6}, {"text_embeds", 7}, {"hint", 8}};

Inputs inputs_of(const json& r) {
  const auto noise = [](const json& one, double phase) {
    const Shape shape = shape_of(one).with_front(2);
    return Tensor::from(waves(shape.size(), phase), shape);
  };
  Inputs in;
  in.x = noise(r["x"], 1);
  if (!r.contains("run")) in.t = r["t"].get<Values>();
  if (r.contains("z")) in.z = noise(r["z"], 2);
  for (const auto& [name, phase] : further_inputs)
    if (r.contains(name)) in.extra[name] = noise(r[name], phase);
  if (r.contains("classes")) in.classes = Tensor::from(r["classes"].get<Values>(), {2}, DType::i32);
  return in;
}

KeyShapes keys_of(const json& reference) {
  KeyShapes keys;
  if (reference.contains("keys"))
    for (const auto& [key, shape] : reference["keys"].items()) keys[key] = shape_of(shape);
  return keys;
}

/// What is said of a configuration in the place of a reference's own.
std::string refusal(const std::string& name, const json& config) {
  const KeyShapes keys = keys_of(references()[name]);
  std::string reason;
  try {
    static_cast<void>(find_family(Config(config, name), keys, reason).make(Config(config, name), keys));
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nn_flag_references)

BOOST_DATA_TEST_CASE(flags_do_what_their_authors_meant, boost::unit_test::data::make(names()), name) {
  const json& r = references()[name];
  const KeyShapes keys = keys_of(r);
  std::string reason;
  const Config config(r["config"], name);
  auto network = find_family(config, keys, reason).make(config, keys);
  if (r.contains("run")) network = network->part(r["run"].get<std::string>().substr(1));

  const auto parameters = network->parameters();
  std::map<std::string, std::size_t> by_key;
  for (std::size_t i = 0; i < parameters.size(); ++i) by_key[parameters[i].key] = i;
  Tensors values(parameters.size());
  int count = 0;
  for (const auto& [key, i] : by_key)  // (a sum of phases would be off by more than the bounds after 300 tensors)
    values[i] = from_file_layout(fill(parameters[i], 0.7 * ++count, r["config"]), parameters[i].layout);

  const Inputs in = inputs_of(r);
  std::vector<std::string> wrt, may_be = {"x", "z"};
  for (const auto& [input, phase] : further_inputs) may_be.push_back(input);
  for (const auto& input : may_be)
    if (r.contains("g_" + input)) wrt.push_back(input);
  Tensors point;
  Inputs copy = in;
  for (const auto& each : wrt) point.push_back(input(copy, each));
  Wanted wanted(wrt.size(), true);
  for (std::size_t i = 0; i < values.size(); ++i) point.push_back(values[i]), wanted.push_back(!parameters[i].buffer);
  const Vjp run = vjp(
      [&](const Tensors& at) {
        Inputs now = in;
        for (std::size_t i = 0; i < wrt.size(); ++i) input(now, wrt[i]) = at[i];
        return Tensors{(*network->with(Tensors(at.begin() + static_cast<std::ptrdiff_t>(wrt.size()), at.end())))(now)};
      },
      point, wanted);
  const Tensors g = run.pull({Tensor::from(waves(run.value[0].size(), 4), run.value[0].shape())});

  check_sums(run.value[0].to_vector(), r["y"], "y");
  for (std::size_t i = 0; i < wrt.size(); ++i) check_sums(g[i].to_vector(), r["g_" + wrt[i]], "g_" + wrt[i]);
  Values theta;
  for (const auto& [key, i] : by_key) {
    if (parameters[i].buffer) continue;
    const Tensor& one = g[wrt.size() + i];
    const Values v =
        one.defined()
            ? to_file_layout(one, parameters[i].layout, file_shape(one.shape(), parameters[i].layout)).to_vector()
            : Values(static_cast<std::size_t>(values[i].size()), 0.0);
    theta.insert(theta.end(), v.begin(), v.end());
  }
  check_sums(theta, r["g_theta"], "g_theta");
}

BOOST_DATA_TEST_CASE(an_option_nobody_knows_is_refused_by_name, boost::unit_test::data::make(names()), name) {
  json config = references()[name]["config"];
  (config.contains("model") ? config["model"] : config)["num_rex_blocks"] = 3;
  const std::string message = refusal(name, config);
  BOOST_TEST(message.find("num_rex_blocks") != std::string::npos, message);
}

BOOST_DATA_TEST_CASE(depths_are_bounded, boost::unit_test::data::make(names()), name) {
  for (const std::string key : {"num_res_blocks", "num_input_res_blocks", "enc_num_res_block", "num_blocks",
                                "num_layers", "num_time_layers", "depth"}) {
    json config = references()[name]["config"];
    json& options = config.contains("model") ? config["model"] : config;
    if (!options.contains(key)) continue;
    options[key] = 1000000;
    const std::string message = refusal(name, config);
    BOOST_TEST(message.find(key) != std::string::npos, message);
  }
}

BOOST_AUTO_TEST_CASE(sizes_are_two_positive_numbers_or_one) {
  for (const std::string name : {"flat-oblong", "resnet-a", "time-classifier-groups", "dilated-residual"})
    for (const json& size : {json(0), json({8, -8}), json({8, 8, 3}), json(1 << 30)}) {
      json config = references()[name]["config"];
      config["sample_size"] = size;
      const std::string message = refusal(name, config);
      BOOST_TEST(message.find("sample_size") != std::string::npos, name << ": " << message);
    }
  json config = references()["vit-oblong"]["config"];
  config["image_size"] = {9, 13};  // patches of 4 would leave pixels over
  BOOST_TEST(refusal("vit-oblong", config).find("image_size") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
