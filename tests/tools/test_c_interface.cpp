// The C interface beside the command: the same settings give the same bits, whatever the model's scheduler says.
#include "tools/c/costate.h"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "io/hdf5.h"
#include "tests/tools/command.h"

namespace {

using costate::Hdf5Reader;
using costate::test::Folder;
using nlohmann::json;
using Words = std::vector<std::string>;

constexpr const char* problem =
    R"({"family": "gaussian_mixture", "weights": [0.4, 0.6], "means": [[1.5, -1], [-2, 0.5]],)"
    R"( "covariances": [[[0.2, 0], [0, 0.3]], [[0.1, 0.05], [0.05, 0.4]]]})";

/// A call's array as numbers, in whose place a failure leaves none.
std::vector<double> numbers(costate_status status, costate_result* result, const char* name) {
  BOOST_TEST(status == COSTATE_OK, costate_error());
  const costate_array* a = costate_result_find(result, name);
  std::int64_t count = a == nullptr ? 0 : 1;
  for (int i = 0; a != nullptr && i < a->rank; ++i) count *= a->shape[i];
  std::vector<double> all;
  if (count > 0) all.assign(a->data, a->data + count);
  costate_result_free(result);
  return all;
}

/// A model as both open it, and how it is sampled: the settings of C with the command's words for the same.
class Both {
 public:
  Both(const Folder& folder, const std::string& model, const std::string& scheduler, bool compat)
      : out_((folder / "out.h5").string()), words_{model, "--seed", "3", "-n", "2"} {
    if (!scheduler.empty()) words_.insert(words_.end(), {"--scheduler", scheduler});
    if (compat) words_.emplace_back("--compat");
    costate_open_options options = COSTATE_OPEN_DEFAULTS;
    options.scheduler = scheduler.c_str();
    options.compat = compat ? 1 : 0;
    BOOST_REQUIRE_MESSAGE(costate_open(model.c_str(), &options, &model_) == COSTATE_OK, costate_error());
  }
  Both(const Both&) = delete;
  Both& operator=(const Both&) = delete;
  ~Both() { costate_close(model_); }

  std::vector<double> sample(costate_sampling how) {
    costate_result* result = nullptr;
    const costate_status status = costate_sample(model_, &how, &result);
    return numbers(status, result, "x");
  }
  std::vector<double> gradient(costate_sampling how) {
    costate_result* result = nullptr;
    const costate_status status = costate_grad(model_, &how, nullptr, "x_T", &result);
    return numbers(status, result, "g_x_T");
  }
  [[nodiscard]] std::vector<double> command(const char* name, const char* dataset, Words more) const {
    more.insert(more.begin(), words_.begin(), words_.end());
    more.insert(more.begin(), name);
    more.insert(more.end(), {"--out", out_});
    const auto o = costate::test::run(more);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    return Hdf5Reader(out_).read(dataset).to_vector();
  }

 private:
  std::string out_;
  Words words_;
  costate_model* model_ = nullptr;
};

costate_sampling settings(int steps) {
  costate_sampling how = COSTATE_SAMPLING_DEFAULTS;
  how.count = 2, how.steps = steps, how.seed = 3;
  return how;
}

void same(const std::vector<double>& c, const std::vector<double>& command, const std::string& what) {
  BOOST_TEST(!c.empty(), what);
  BOOST_TEST((c == command), what << ": C and the command differ");
}

BOOST_AUTO_TEST_SUITE(c_interface)

BOOST_AUTO_TEST_CASE(a_scheduler_samples_as_in_the_command) {
  const Folder folder;
  const std::string model = (folder / "problem.json").string(), scheduler = (folder / "scheduler.json").string();
  costate::test::spill(model, problem);
  for (
      const char* config :
      {R"({"_class_name": "DDIMScheduler", "clip_sample": true, "clip_sample_range": 0.7, "timestep_spacing": "leading"})",
       R"({"_class_name": "DDPMScheduler", "thresholding": true, "sample_max_value": 1.5, "steps_offset": 1})",
       R"({"_class_name": "EulerAncestralDiscreteScheduler"})",
       R"({"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true, "solver_order": 3})",
       R"({"_class_name": "PNDMScheduler", "skip_prk_steps": true})"}) {
    costate::test::spill(scheduler, config);
    for (const bool compat : {false, true}) {
      Both both(folder, model, scheduler, compat);
      const auto own = both.sample(settings(7));
      same(own, both.command("sample", "x", {"--steps", "7"}), config);
      auto ddim = settings(7);
      ddim.sampler = "ddim", ddim.grid = "trailing", ddim.correct = "none";
      const auto asked = both.sample(ddim);
      same(
          asked,
          both.command("sample", "x", {"--steps", "7", "--sampler", "ddim", "--grid", "trailing", "--correct", "none"}),
          config);
      BOOST_TEST((own != asked), config << " says nothing that ddim does not do");
    }
  }
}

BOOST_AUTO_TEST_CASE(arguments_of_a_schedulers_calls_and_gradients_through_it) {
  const Folder folder;
  const std::string model = (folder / "problem.json").string(), scheduler = (folder / "scheduler.json").string();
  costate::test::spill(model, problem);
  costate::test::spill(scheduler, R"({"_class_name": "DDIMScheduler", "clip_sample_range": 1.8})");
  Both both(folder, model, scheduler, false);
  auto how = settings(6);
  const auto without = both.sample(how);
  how.options = R"({"eta": 0.5})";
  const auto with = both.sample(how);
  same(with, both.command("sample", "x", {"--steps", "6", "--eta", "0.5"}), "eta");
  BOOST_TEST((with != without), "eta changes nothing");
  same(both.gradient(how), both.command("grad", "g_x_T", {"--steps", "6", "--eta", "0.5", "--wrt", "x_T"}), "grad");
  how.options = R"({"eat": 0.5})";
  costate_result* result = nullptr;
  costate_model* m = nullptr;
  BOOST_REQUIRE(costate_open(model.c_str(), nullptr, &m) == COSTATE_OK);
  BOOST_TEST(costate_sample(m, &how, &result) == COSTATE_FAILED);
  BOOST_TEST(std::string(costate_error()).find("eta") != std::string::npos, costate_error());
  costate_close(m);
}

BOOST_AUTO_TEST_CASE(samples_that_choose_their_steps_do_so_one_by_one) {
  const Folder folder;
  const std::string model = (folder / "problem.json").string();
  costate::test::spill(model, problem);
  Both both(folder, model, "", false);
  auto how = settings(2);
  how.sampler = "rk45";
  same(both.sample(how), both.command("sample", "x", {"--steps", "2", "--sampler", "rk45"}), "rk45");
  same(both.gradient(how), both.command("grad", "g_x_T", {"--steps", "2", "--sampler", "rk45"}), "grad by rk45");
}

BOOST_AUTO_TEST_CASE(noise_by_a_tree_and_from_a_record) {
  const Folder folder;
  const std::string model = (folder / "problem.json").string(), start = (folder / "start.h5").string();
  costate::test::spill(model, problem);
  Both both(folder, model, "", false);
  auto how = settings(3);
  how.sampler = "ddpm";
  const auto fresh = both.sample(how);
  how.noise = "tree";
  const auto tree = both.sample(how);
  same(tree, both.command("sample", "x", {"--steps", "3", "--sampler", "ddpm", "--noise", "tree"}), "tree");
  BOOST_TEST((tree != fresh), "a tree changes nothing");
  const double x_T[] = {0.3, -1.2, 0.8, 0.1}, z[] = {1, -1, 0.5, 2, -0.3, 0.7, 0.2, -2, 0.4, 0.9, -0.6, 1.1};
  const costate_array arrays[] = {{"x_T", x_T, 2, {2, 2}}, {"noise", z, 3, {3, 2, 2}}};
  costate::Hdf5Writer file(start);
  file.write("x_T", costate::Tensor::from({x_T, x_T + 4}, {2, 2}));
  file.write("noise", costate::Tensor::from({z, z + 12}, {3, 2, 2}));
  file.finish();
  how.inputs = arrays, how.input_count = 2;
  costate_result* result = nullptr;
  costate_model* m = nullptr;
  BOOST_REQUIRE(costate_open(model.c_str(), nullptr, &m) == COSTATE_OK);
  BOOST_TEST(costate_sample(m, &how, &result) == COSTATE_FAILED, "a tree beside a record");
  how.noise = nullptr;
  same(both.sample(how), both.command("sample", "x", {"--steps", "3", "--sampler", "ddpm", "--start", start}),
       "record");
  how.sampler = "ddim", how.noise = "tree", how.input_count = 1;
  BOOST_TEST(costate_sample(m, &how, &result) == COSTATE_FAILED);
  BOOST_TEST(std::string(costate_error()).find("draws no noise") != std::string::npos, costate_error());
  costate_close(m);
}

// As the command encodes; and what is found takes the sampler back, to the last bit.
BOOST_AUTO_TEST_CASE(encoding_and_the_way_back) {
  const Folder folder;
  const std::string model = (folder / "problem.json").string(), data = (folder / "data.h5").string(),
                    code = (folder / "code.h5").string();
  costate::test::spill(model, problem);
  const double x[] = {1.2, -0.9, -1.8, 0.4};
  costate::Hdf5Writer file(data);
  file.write("x", costate::Tensor::from({x, x + 4}, {2, 2}));
  file.finish();
  const costate_array given = {"x", x, 2, {2, 2}};
  costate_model* m = nullptr;
  BOOST_REQUIRE(costate_open(model.c_str(), nullptr, &m) == COSTATE_OK);
  struct How {
    const char *sampler, *states;
    Words found;
  };
  for (const How& h : {How{"ddim", nullptr, {"x_T"}}, How{"o-belm", nullptr, {"x_T", "memory"}},
                       How{"ddpm", nullptr, {"x_T", "noise"}}, How{"ddpm", "independent", {"x_T", "noise"}},
                       How{"rk45", nullptr, {"x_T"}}}) {
    Words words{"encode", model, "--in", data, "--steps", "5", "--seed", "3", "--sampler", h.sampler, "--out", code};
    if (h.states != nullptr) words.insert(words.end(), {"--states", h.states});
    const auto o = costate::test::run(words);
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    auto how = settings(5);
    how.sampler = h.sampler, how.inputs = &given, how.input_count = 1;
    costate_result *code_of = nullptr, *again = nullptr;
    BOOST_REQUIRE_MESSAGE(costate_encode(m, &how, h.states, &code_of) == COSTATE_OK, costate_error());
    const Hdf5Reader by_command(code);
    std::vector<costate_array> back;
    for (const auto& name : h.found) {
      const costate_array* a = costate_result_find(code_of, name.c_str());
      BOOST_REQUIRE_MESSAGE(a != nullptr, h.sampler << " has no " << name);
      const auto values = by_command.read(name).to_vector();
      BOOST_TEST(std::equal(values.begin(), values.end(), a->data), h.sampler << " finds another " << name);
      back.push_back(*a);
    }
    how.inputs = back.data(), how.input_count = back.size();
    BOOST_REQUIRE_MESSAGE(costate_sample(m, &how, &again) == COSTATE_OK, costate_error());
    const double *there = costate_result_find(code_of, "round_trip")->data,
                 *here = costate_result_find(again, "x")->data;
    BOOST_TEST(std::equal(there, there + 4, here), h.sampler << " does not come back");
    BOOST_TEST(std::equal(x, x + 4, costate_result_find(code_of, "x_0")->data));
    if (std::string(h.sampler) == "o-belm")
      for (int i = 0; i < 4; ++i) BOOST_TEST(std::abs(here[i] - x[i]) < 1e-12);
    costate_result_free(code_of);
    costate_result_free(again);
  }
  auto how = settings(5);
  how.inputs = &given, how.input_count = 1;
  costate_result* none = nullptr;
  const auto refused = [&](const costate_sampling& how, const char* states, const char* why) {
    BOOST_TEST(costate_encode(m, &how, states, &none) == COSTATE_FAILED);
    BOOST_TEST(std::string(costate_error()).find(why) != std::string::npos, costate_error());
  };
  refused(how, "anterior", "posterior");
  refused(settings(5), nullptr, "wants x");
  const costate_array wide = {"x", x, 2, {1, 4}};
  how.inputs = &wide;
  refused(how, nullptr, "the model wants (n, ...)");
  costate_close(m);
}

BOOST_AUTO_TEST_CASE(guidance_by_weights_its_rescaling_and_a_classifier) {
  const Folder folder;
  Both both(folder, "fashion-unet", "", false);
  const double labels[] = {7, 9}, weights[] = {3, 1.5};
  const costate_array arrays[] = {{"class", labels, 1, {2}}, {"guidance", weights, 1, {2}}};
  auto how = settings(2);
  how.inputs = arrays, how.input_count = 1, how.guidance = 3;
  const auto plain = both.sample(how);
  how.guidance_rescale = 0.7;
  const auto rescaled = both.sample(how);
  same(rescaled,
       both.command("sample", "x", {"--steps", "2", "--class", "7,9", "--guidance", "3", "--guidance-rescale", "0.7"}),
       "rescale");
  BOOST_TEST((plain != rescaled), "rescaling changes nothing");
  const std::string start = (folder / "start.h5").string();
  costate::Hdf5Writer file(start);
  file.write("class", costate::Tensor::from({7, 9}, {2}, costate::DType::i32));
  file.write("guidance", costate::Tensor::from({3, 1.5}, {2}));
  file.finish();
  how.guidance_rescale = 0, how.input_count = 2;
  same(both.sample(how), both.command("sample", "x", {"--steps", "2", "--start", start}), "a weight a step");
  how.input_count = 1, how.guidance = 1, how.classifier_scale = 2;
  costate_model* classifier = nullptr;
  BOOST_REQUIRE_MESSAGE(costate_open("fashion-classifier", nullptr, &classifier) == COSTATE_OK, costate_error());
  how.classifier = classifier;
  const Words by{"--steps", "2", "--class", "7,9", "--classifier", "fashion-classifier", "--classifier-scale", "2"};
  same(both.sample(how), both.command("sample", "x", by), "classifier");
  same(both.gradient(how), both.command("grad", "g_x_T", by), "gradient under a classifier");
  costate_close(classifier);
}

BOOST_AUTO_TEST_CASE(the_header_is_of_the_librarys_version) {
  const std::string header = std::to_string(COSTATE_VERSION_MAJOR) + "." + std::to_string(COSTATE_VERSION_MINOR) + ".";
  BOOST_TEST(std::string(costate_version()).rfind(header, 0) == 0U, costate_version());
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_named) {
  const Folder folder;
  const std::string exact = (folder / "problem.json").string();
  costate::test::spill(exact, problem);
  costate_model *points = nullptr, *net = nullptr;
  BOOST_REQUIRE_MESSAGE(costate_open(exact.c_str(), nullptr, &points) == COSTATE_OK, costate_error());
  BOOST_REQUIRE_MESSAGE(costate_open("fashion-unet", nullptr, &net) == COSTATE_OK, costate_error());
  costate_result* none = nullptr;
  const auto told = [&](costate_status status, costate_status want, const std::string& why) {
    BOOST_TEST(status == want, costate_error());
    BOOST_TEST(std::string(costate_error()).find(why) != std::string::npos, costate_error());
  };
  auto how = settings(2);
  how.count = std::int64_t{1} << 50;
  told(costate_sample(points, &how, &none), COSTATE_OUT_OF_MEMORY, "cannot allocate");
  const double label = 7, t = 300;
  const std::vector<double> image(784);
  const costate_array one = {"class", &label, 1, {1}};
  how = settings(2);
  how.count = 3, how.inputs = &one, how.input_count = 1;
  told(costate_sample(net, &how, &none), COSTATE_FAILED, "class has shape (1) for 3 samples");
  costate_array in[] = {{"x", image.data(), 4, {1, 28, 28, 1}},
                        {"t", &t, 1, {1}},
                        {"class", &label, 1, {1}},
                        {"g", image.data(), 4, {1, 28, 28, 1}}};
  told(costate_vjp(net, nullptr, in, 4, "", &none), COSTATE_FAILED, "wrt \"\"");
  told(costate_vjp(net, nullptr, in, 4, "x,,theta", &none), COSTATE_FAILED, "wrt \"x,,theta\"");
  told(costate_vjp(net, nullptr, in, 4, "x, t", &none), COSTATE_FAILED, "gradient in 't'");
  BOOST_TEST(costate_vjp(net, nullptr, in, 4, " x, theta ", &none) == COSTATE_OK, costate_error());
  BOOST_TEST(costate_result_find(none, "g_theta/conv_in.weight") != nullptr);
  costate_result_free(none);
  in[0].shape[0] = std::int64_t{1} << 50;
  told(costate_eval(net, nullptr, in, 3, &none), COSTATE_FAILED, "(1125899906842624, 28, 28, 1) is too large");
  costate_close(net);
  costate_close(points);
}

// DDPM with clipped x_0, as its scheduler_config.json says.
BOOST_AUTO_TEST_CASE(a_folder_with_a_scheduler_samples_as_in_the_command) {
  const Folder folder;
  const std::string model = (costate::source_dir() / "tests/data/networks/diffusers-ddpm-oldkeys").string();
  Both both(folder, model, "", false);
  same(both.sample(settings(4)), both.command("sample", "x", {"--steps", "4"}), "the folder's own");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
