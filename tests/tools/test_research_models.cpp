// Networks of research code through the command: parts, forms of checkpoints, learned variance, classifier guidance.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "io/hdf5.h"
#include "tests/support/paths.h"
#include "tests/tools/command.h"

using namespace costate;
using test::Folder;
using test::run;

namespace {

std::string fixture(const std::string& name) { return (shared_dir() / "fixtures/networks" / name).string(); }

/// True if shared/ is there; says so on the terminal if it is not.
bool available() {
  const bool there = std::filesystem::exists(fixture("adm"));
  if (!there) std::cerr << "SKIPPED: " << shared_dir().string() << " is not there (set COSTATE_SHARED)\n";
  return there;
}

Hdf5Reader result(const Folder& folder, std::vector<std::string> arguments) {
  static int count = 0;
  const std::string file = (folder / ("result" + std::to_string(count++) + ".h5")).string();
  arguments.insert(arguments.end(), {"--dtype", "f64", "--out", file});
  const auto o = run(arguments);
  BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
  return Hdf5Reader(file);
}

double worst(const Tensor& a, const Tensor& b) {
  const auto u = a.to_vector(), v = b.to_vector();
  BOOST_REQUIRE(u.size() == v.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    difference = std::max(difference, std::abs(u[i] - v[i]));
    size = std::max(size, std::abs(v[i]));
  }
  return difference / size;
}

std::string write(const Folder& folder, const std::string& name,
                  const std::vector<std::pair<std::string, Tensor>>& data) {
  const std::string file = (folder / name).string();
  Hdf5Writer out(file);
  for (const auto& [key, value] : data) out.write(key, value);
  out.finish();
  return file;
}

/// Two levels of the adm fixture's schedule, as a grid file.
struct TwoLevels {
  double t, alpha, sigma, to_alpha, to_sigma;
};
constexpr TwoLevels levels{500, 0.6, 0.8, 0.8, 0.6};

std::string grid_file(const Folder& folder) {
  return write(folder, "grid.h5",
               {{"grid_t", Tensor::from({levels.t, 100}, {2})},
                {"grid_alpha", Tensor::from({levels.alpha, levels.to_alpha}, {2})},
                {"grid_sigma", Tensor::from({levels.sigma, levels.to_sigma}, {2})}});
}

/// (n, classes) of onehot - softmax: the cotangent that turns logits into the gradient of ln p.
Tensor score_cotangent(const Tensor& logits, const std::vector<int>& labels) {
  auto v = logits.to_vector();
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    double total = 0;
    for (std::size_t k = 0; k < classes; ++k) total += std::exp(v[i * classes + k]);
    for (std::size_t k = 0; k < classes; ++k)
      v[i * classes + k] = (static_cast<int>(k) == labels[i] ? 1 : 0) - std::exp(v[i * classes + k]) / total;
  }
  return Tensor::from(v, logits.shape());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(research_models)

BOOST_AUTO_TEST_CASE(the_bare_network_of_a_preconditioner_is_a_part) {
  if (!available()) return;
  for (const std::string name : {"edm-ncsnpp", "edm-adm-class"}) {
    const Folder folder;
    const Hdf5Reader in(fixture(name) + "/in.h5"), ref(fixture(name) + "/ref.h5");
    std::vector<std::pair<std::string, Tensor>> raw = {{"x", ref.read("x_raw")}, {"t", ref.read("t_raw")}};
    if (in.contains("class")) raw.emplace_back("class", in.read("class"));
    const std::string file = write(folder, "raw.h5", raw), model = fixture(name) + "/model.pt";
    BOOST_TEST(worst(result(folder, {"eval", model, "--raw", "--in", file}).read("y"), ref.read("y_raw")) <= 1e-12);
    const Hdf5Reader whole = result(folder, {"eval", model, "--in", fixture(name) + "/in.h5", "--vjp", "--wrt", "x"});
    BOOST_TEST(worst(whole.read("y"), ref.read("y")) <= 1e-12);
    BOOST_TEST(worst(whole.read("g_x"), ref.read("g_x")) <= 1e-12);
  }
  const auto refused = run({"eval", fixture("adm") + "/model.pt", "--raw", "--in", fixture("adm") + "/in.h5"});
  BOOST_TEST(refused.code == 1);
  BOOST_TEST(refused.err.find("raw") != std::string::npos, refused.err);
}

BOOST_AUTO_TEST_CASE(other_forms_of_checkpoints_hold_the_same_network) {
  if (!available()) return;
  for (const std::vector<std::string>& form :
       std::vector<std::vector<std::string>>{{"scoresde-ncsnpp", "other-forms/checkpoint_1.pth"},
                                             {"lucidrains", "other-forms/model-1.pt"},
                                             {"edm-ncsnpp", "other-forms/model.safetensors"}}) {
    const Folder folder;
    const std::string base = fixture(form[0]);
    const Hdf5Reader out =
        result(folder, {"eval", base + "/" + form[1], "--config", base + "/config.json", "--in", base + "/in.h5"});
    BOOST_TEST(worst(out.read("y"), Hdf5Reader(base + "/ref.h5").read("y")) <= 1e-12, form[0]);
  }
  const Folder folder;  // the trained weights are there too, and differ
  const std::string base = fixture("scoresde-ncsnpp");
  const Hdf5Reader trained = result(folder, {"eval", base + "/other-forms/checkpoint_1.pth", "--key", "model",
                                             "--config", base + "/config.json", "--in", base + "/in.h5"});
  BOOST_TEST(worst(trained.read("y"), Hdf5Reader(base + "/ref.h5").read("y")) > 1e-3);
}

BOOST_AUTO_TEST_CASE(info_says_why) {
  if (!available()) return;
  for (const std::vector<std::string>& each :
       std::vector<std::vector<std::string>>{{"ddim-ho/model.ckpt", "ddim-ho"},
                                             {"adm/model.pt", "adm"},
                                             {"adm-classifier/model.pt", "adm-classifier"},
                                             {"scoresde-ddpm/model.pth", "score_sde"},
                                             {"edm-adm/model.pt", "edm"},
                                             {"diffae/model.pt", "diffae"},
                                             {"diffae-latent/model.pt", "diffae-latent"},
                                             {"lucidrains/model.pt", "lucidrains"},
                                             {"smalldiffusion-mlp/model.pt", "smalldiffusion-mlp"},
                                             {"smalldiffusion-unet/model.pt", "smalldiffusion-unet"}}) {
    const Folder folder;  // without `family`, the keys decide
    const auto base = std::filesystem::path(fixture(each[0])).parent_path();
    auto config = nlohmann::json::parse(test::slurp(base / "config.json"));
    config.erase("family");
    // As these two are published; costate's `sampling` has other keys.
    if (each[1] == "ddim-ho" || each[1] == "score_sde") config["sampling"]["batch_size"] = 64;
    test::spill(folder / "config.json", config.dump());
    const auto o = run({"info", fixture(each[0]), "--config", (folder / "config.json").string(), "--json"});
    BOOST_REQUIRE_MESSAGE(o.code == 0, o.err);
    const auto j = nlohmann::json::parse(o.out);
    BOOST_TEST(j["family"].get<std::string>() == each[1]);
    BOOST_TEST(j["recognised"].get<std::string>().find("keys") != std::string::npos, j["recognised"].dump());
  }
}

BOOST_AUTO_TEST_CASE(samplers_take_epsilon_of_a_learned_variance_and_the_classifier_adds_its_gradient) {
  if (!available()) return;
  const Folder folder;
  const std::string adm = fixture("adm") + "/model.pt", classifier = fixture("adm-classifier") + "/model.pt";
  const Tensor x = Hdf5Reader(fixture("adm") + "/in.h5").read("x");
  const std::vector<int> labels = {3, 8};
  const Tensor classes = Tensor::from({3, 8}, {2}, DType::i32), t = Tensor::from({levels.t, levels.t}, {2});

  const Hdf5Reader network =
      result(folder, {"eval", adm, "--in", write(folder, "in.h5", {{"x", x}, {"t", t}, {"class", classes}})});
  const Tensor y = network.read("y");
  const Tensor logits =
      result(folder, {"eval", classifier, "--in", write(folder, "c.h5", {{"x", x}, {"t", t}})}).read("y");
  const Tensor gradient =
      result(folder, {"eval", classifier, "--vjp", "--wrt", "x", "--in",
                      write(folder, "g.h5", {{"x", x}, {"t", t}, {"g", score_cotangent(logits, labels)}})})
          .read("g_x");

  const std::string start = write(folder, "start.h5", {{"x_T", x}, {"class", classes}}), grid = grid_file(folder);
  for (const double scale : {0.0, 2.5}) {
    std::vector<std::string> arguments{"sample", adm, "--start", start, "--grid", grid, "--sampler", "euler"};
    if (scale > 0)
      arguments.insert(arguments.end(), {"--classifier", classifier, "--classifier-scale", std::to_string(scale)});
    const auto got = result(folder, arguments).read("x").to_vector();
    const auto from = x.to_vector(), out = y.to_vector(), g = gradient.to_vector();
    double difference = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const double eps = out[i / 3 * 6 + i % 3] - scale * levels.sigma * g[i];
      const double want = levels.to_alpha * (from[i] - levels.sigma * eps) / levels.alpha + levels.to_sigma * eps;
      difference = std::max(difference, std::abs(got[i] - want));
    }
    BOOST_TEST(difference <= 1e-12, "scale " << scale << ": " << difference);
  }
}

BOOST_AUTO_TEST_CASE(ddpm_takes_the_learned_variance) {
  if (!available()) return;
  const Folder folder;
  const std::string adm = fixture("adm") + "/model.pt";
  const Tensor x = Hdf5Reader(fixture("adm") + "/in.h5").read("x");
  const Tensor classes = Tensor::from({3, 8}, {2}, DType::i32), t = Tensor::from({levels.t, levels.t}, {2});
  auto z = x.to_vector();
  std::reverse(z.begin(), z.end());
  const Tensor noise = Tensor::from(z, x.shape().with_front(1));

  const auto out =
      result(folder, {"eval", adm, "--in", write(folder, "in.h5", {{"x", x}, {"t", t}, {"class", classes}})})
          .read("y")
          .to_vector();
  const std::string start = write(folder, "start.h5", {{"x_T", x}, {"class", classes}, {"noise", noise}});
  const auto got = result(folder, {"sample", adm, "--start", start, "--grid", grid_file(folder), "--sampler", "ddpm",
                                   "--set", "variance=learned_range"})
                       .read("x")
                       .to_vector();
  // As DDPM has it, with beta = 1 - (alpha / alpha')^2 and beta~ = beta sigma'^2 / sigma^2.
  const double beta = 1 - std::pow(levels.alpha / levels.to_alpha, 2),
               small = beta * std::pow(levels.to_sigma / levels.sigma, 2);
  const auto from = x.to_vector();
  double difference = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const double eps = out[i / 3 * 6 + i % 3], frac = (out[i / 3 * 6 + 3 + i % 3] + 1) / 2;
    const double mean = (from[i] - beta / levels.sigma * eps) / std::sqrt(1 - beta);
    const double want = mean + std::exp((frac * std::log(beta) + (1 - frac) * std::log(small)) / 2) * z[i];
    difference = std::max(difference, std::abs(got[i] - want));
  }
  BOOST_TEST(difference <= 1e-12, "off by " << difference);
}

BOOST_AUTO_TEST_CASE(a_level_reaches_the_network_in_its_own_time_and_its_answer_is_read_as_meant) {
  if (!available()) return;
  struct Case {
    std::string model;
    double time;                                ///< what the network is told at t = 0.5
    double alpha, sigma;                        ///< of that level
    std::function<double(double, double)> eps;  ///< from x and the network's output
  };
  for (const Case& c : std::vector<Case>{
           {"scoresde-ddpmpp/model.pth", 499.5, 0.6, 0.8, [](double, double y) { return y; }},         // VP: 999 t
           {"scoresde-ncsnpp/model.pth", 0.5, 1, 0.5, [](double, double y) { return -0.5 * y; }},      // VE: the score
           {"edm-ncsnpp/model.pt", 0.5, 1, 0.5, [](double x, double y) { return (x - y) / 0.5; }}}) {  // x_0
    const Folder folder;
    const Tensor x = Hdf5Reader(fixture("adm") + "/in.h5").read("x");
    const Tensor t = Tensor::from({c.time, c.time}, {2});
    const auto y = result(folder, {"eval", fixture(c.model), "--in", write(folder, "in.h5", {{"x", x}, {"t", t}})})
                       .read("y")
                       .to_vector();
    const std::string grid = write(folder, "grid.h5",
                                   {{"grid_t", Tensor::from({0.5, 0.1}, {2})},
                                    {"grid_alpha", Tensor::from({c.alpha, 1}, {2})},
                                    {"grid_sigma", Tensor::from({c.sigma, 0.1}, {2})}});
    const auto got = result(folder, {"sample", fixture(c.model), "--start", write(folder, "start.h5", {{"x_T", x}}),
                                     "--grid", grid, "--sampler", "euler"})
                         .read("x")
                         .to_vector();
    const auto from = x.to_vector();
    double difference = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const double eps = c.eps(from[i], y[i]);
      difference = std::max(difference, std::abs(got[i] - ((from[i] - c.sigma * eps) / c.alpha + 0.1 * eps)));
    }
    BOOST_TEST(difference <= 1e-12, c.model << ": " << difference);
  }
}

BOOST_AUTO_TEST_CASE(classifier_guidance_is_differentiated) {
  if (!available()) return;
  const Folder folder;
  const std::string adm = fixture("adm") + "/model.pt", classifier = fixture("adm-classifier") + "/model.pt";
  const Tensor x = Hdf5Reader(fixture("adm") + "/in.h5").read("x");
  std::vector<double> w, v;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    w.push_back(std::cos(0.7 * static_cast<double>(i)));
    v.push_back(std::sin(1.3 * static_cast<double>(i)));
  }
  const Tensor weights = Tensor::from(w, x.shape()), classes = Tensor::from({3, 8}, {2}, DType::i32);
  const std::vector<std::string> how{"--grid",       grid_file(folder), "--sampler",          "euler",
                                     "--classifier", classifier,        "--classifier-scale", "20"};
  const auto started = [&](double step) {
    auto values = x.to_vector();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += step * v[i];
    return write(folder, "start" + std::to_string(step) + ".h5",
                 {{"x_T", Tensor::from(values, x.shape())}, {"class", classes}, {"w", weights}});
  };
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), how.begin(), how.end());
    return arguments;
  };
  const auto loss = [&](double step) {
    const auto x_0 = result(folder, with({"sample", adm, "--start", started(step)})).read("x").to_vector();
    double sum = 0;
    for (std::size_t i = 0; i < x_0.size(); ++i) sum += w[i] * x_0[i];
    return sum;
  };
  const auto g = result(folder, with({"grad", adm, "--start", started(0), "--wrt", "x_T"})).read("g_x_T").to_vector();
  double slope = 0;
  for (std::size_t i = 0; i < g.size(); ++i) slope += g[i] * v[i];
  const double h = 1e-3;
  const double difference = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h);
  BOOST_TEST(std::abs(slope - difference) <= 1e-7 * std::abs(difference), slope << " against " << difference);
}

BOOST_AUTO_TEST_SUITE_END()
