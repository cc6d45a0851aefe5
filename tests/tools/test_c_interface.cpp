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

// DDPM with clipped x_0, as its scheduler_config.json says.
BOOST_AUTO_TEST_CASE(a_folder_with_a_scheduler_samples_as_in_the_command) {
  const Folder folder;
  const std::string model = (costate::source_dir() / "tests/data/networks/diffusers-ddpm-oldkeys").string();
  Both both(folder, model, "", false);
  same(both.sample(settings(4)), both.command("sample", "x", {"--steps", "4"}), "the folder's own");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
