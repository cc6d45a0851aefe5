// The command line: help, exit codes, nearest names, and refusals in one sentence.
#include <boost/test/unit_test.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/tools/command.h"

using costate::test::Folder;
using costate::test::Outcome;
using costate::test::run;
using nlohmann::json;

namespace {

void expect(const Outcome& o, int code, const std::vector<std::string>& in_message) {
  BOOST_TEST(o.code == code, "exit code " << o.code << ": " << o.err);
  for (const auto& text : in_message)
    BOOST_TEST(o.err.find(text) != std::string::npos, "'" << text << "' is not in: " << o.err);
}

/// The names below "Subcommands:", and of each in its turn those below its own.
std::vector<std::vector<std::string>> subcommands(const std::vector<std::string>& of = {}) {
  auto words = of;
  words.emplace_back("--help");
  std::istringstream help(run(words).out);
  std::vector<std::vector<std::string>> all;
  std::string line;
  while (std::getline(help, line) && line != "Subcommands:") continue;
  while (std::getline(help, line) && line.starts_with("  ")) {
    words = of;
    words.push_back(line.substr(2, line.find(' ', 2) - 2));
    all.push_back(words);
    const auto parts = subcommands(words);
    all.insert(all.end(), parts.begin(), parts.end());
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(usage)

BOOST_AUTO_TEST_CASE(every_help_ends_with_two_or_three_examples) {
  const auto all = subcommands();
  BOOST_TEST(all.size() >= 16U);
  for (auto words : all) {
    std::string name;
    for (const auto& word : words) name += (name.empty() ? "" : " ") + word;
    words.emplace_back("--help");
    const Outcome help = run(words);
    BOOST_TEST(help.code == 0);
    const auto at = help.out.find("\nExamples:\n");
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, name);
    std::istringstream lines(help.out.substr(at + 11));
    std::string line;
    int examples = 0;
    bool own = false;
    for (; std::getline(lines, line); ++examples) {
      BOOST_TEST(line.starts_with("  costate "), name << ": " << line);
      BOOST_TEST(line.find_first_of("()<>[]") == std::string::npos, name << ": no shell takes " << line);
      own = own || line.starts_with("  costate " + name);
    }
    BOOST_TEST((own && examples >= 2 && examples <= 3), name << " has " << examples);
  }
  // --out says what this subcommand writes, and one that writes nothing has none.
  BOOST_TEST(run({"encode", "--help"}).out.find("may be repeated: .h5, .png, .json") != std::string::npos);
  expect(run({"list", "--out", "x.csv"}), 2, {"--out"});
  const Outcome version = run({"--version"});
  BOOST_TEST(version.code == 0);
  BOOST_TEST(version.out.find("built without CUDA") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_command_lines_exit_with_2_and_the_nearest_name) {
  expect(run({"sampel", "fashion-unet"}), 2, {"sampel", "did you mean sample"});
  expect(run({"sample"}), 2, {"MODEL"});
  expect(run({"sample", "fashion-unet", "--setps", "3"}), 2, {"--setps", "did you mean --steps"});
  expect(run({"study", "gradient", "x.json", "--adjiont=direct"}), 2, {"'--adjiont'", "did you mean --adjoint"});
  expect(run({"--verison"}), 2, {"did you mean --version"});
  expect(run({"sample", "fashion-unet", "boot"}), 2, {"boot"});
  expect(run({"sample", "fashion-unet", "--sampler", "dpmpp2m"}), 2, {"dpmpp2m", "dpmpp-2m"});
  expect(run({"sample", "fashion-unet", "--grid", "trailling"}), 2, {"trailling", "trailing"});
  expect(run({"grad", "fashion-unet", "--adjoint", "checkpoint"}), 2, {"checkpoint", "checkpointed"});
  expect(run({"grad", "fashion-unet", "--loss", "nrom"}), 2, {"nrom", "norm"});
  expect(run({"grad", "fashion-unet", "--wrt", "x_0"}), 2, {"x_0", "theta"});
  expect(run({"grad", "fashion-unet", "--wrt", ""}), 2, {"--wrt", "empty"});
  expect(run({"grad", "fashion-unet", "--adjoint", "adjointdeis-1", "--adjoint-steps", "0"}), 2, {"--adjoint-steps 0"});
  expect(run({"grad", "fashion-unet", "--adjoint", "backsolve", "--adjoint-set", "rtol=0"}), 2, {"rtol = 0"});
  expect(run({"grad", "fashion-unet", "--eta", "nan"}), 2, {"--eta", "finite"});
  expect(run({"sample", "fashion-unet", "--steps", "0"}), 2, {"--steps 0"});
  expect(run({"sample", "fashion-unet", "--steps", "three"}), 2, {"--steps"});
  expect(run({"sample", "fashion-unet", "--steps", "1001"}), 2, {"1001", "1000"});
  expect(run({"sample", "fashion-unet", "-n", "0"}), 2, {"-n 0"});
  expect(run({"sample", "fashion-unet", "-n", "99999999999"}), 2, {"-n 99999999999", "at most"});
  expect(run({"sample", "fashion-unet", "--steps", "99999999999999999999"}), 2, {"--steps", "out of range"});
  for (const std::string order : {"0", "4"})
    expect(run({"sample", "fashion-unet", "--sampler", "deis", "--order", order}), 2, {"order = " + order, "1, 2, 3"});
  expect(run({"sample", "fashion-unet", "--order", "0"}), 2, {"ddim", "order"});
  constexpr const char* far_too_many = "4294967297";  // 1 in 32 bits
  expect(run({"sample", "fashion-unet", "--steps", far_too_many}), 2, {"--steps", "at most"});
  expect(run({"grad", "fashion-unet", "--adjoint", "backsolve", "--adjoint-steps", far_too_many}), 2,
         {"--adjoint-steps", "at most"});
  expect(run({"study", "gradient", "fashion-unet", "--adjoint-steps", far_too_many}), 2,
         {"--adjoint-steps", "at most"});
  expect(run({"study", "order", "--steps", far_too_many}), 2, {"--steps", "at most"});
  expect(run({"sample", "fashion-unet", "--seed", "-1"}), 2, {"--seed", "from 0 on"});
  for (const std::string threads : {"0", "-1", "1025", "100000"})
    expect(run({"info", "fashion-unet", "--threads", threads}), 2, {"--threads " + threads, "1 to 1024"});
  expect(run({"sample", "fashion-unet", "--columns", "0"}), 2, {"--columns 0"});
  expect(run({"sample", "fashion-unet", "--columns", "2", "--out", "x.h5"}), 2, {"--columns 2", "--out FILE.png"});
  expect(run({"sample", "fashion-unet", "--guidance-rescale", "0.5"}), 2, {"--guidance-rescale 0.5", "--guidance"});
  expect(run({"sample", "fashion-unet", "--class", "1,,2"}), 2, {"--class 1,,2", "empty"});
  expect(run({"grad", "fashion-unet", "--wrt", "x_T,"}), 2, {"--wrt x_T,", "empty"});
  expect(run({"sample", "fashion-unet", "--set", "eta=0.2", "--set", "eta=0.5"}), 2, {"--set eta=0.5", "before"});
  for (const std::string command : {"grad", "study gradient", "study optimisation"}) {
    std::vector<std::string> words{"fashion-unet", "--adjoint", "checkpointed,direct", "--adjoint-steps", "3"};
    if (command != "grad") words.insert(words.begin(), command.substr(6));
    words.insert(words.begin(), command.substr(0, command.find(' ')));
    expect(run(words), 2, {"--adjoint-steps: checkpointed goes back over the sampler's steps"});
  }
  expect(run({"grad", "fashion-unet", "--adjoint-grid", "t"}), 2, {"--adjoint-grid: checkpointed"});
  expect(run({"sample", "fashion-unet", "--classifier-scale", "2"}), 2, {"--classifier-scale", "--classifier"});
  expect(run({"sample", "fashion-unet", "--finer-steps", "2"}), 2, {"--finer-steps", "--finer"});
  expect(run({"sample", "fashion-unet", "--class", ""}), 2, {"--class", "empty"});
  expect(run({"sample", "fashion-unet", "--trajectory", "--out", "x.png"}), 2, {"--trajectory", ".h5"});
  expect(run({"sample", "fashion-unet", "--guidance", "nan"}), 2, {"'nan' is not a finite number"});
  expect(run({"sample", "fashion-unet", "--class", "one"}), 2, {"'one'"});
  expect(run({"sample", "fashion-unet", "--dtype", "f16"}), 2, {"f16", "bf16"});
  expect(run({"sample", "fashion-unet", "--out", "x.jpg"}), 2, {"x.jpg", ".png"});
  expect(run({"list", "sampler"}), 2, {"samplers"});
  expect(run({"list", "samplers", "dpmpp2m"}), 2, {"dpmpp-2m"});
  expect(run({"list", "samplers", "sde-dpmpp"}), 2, {"sde-dpmpp-1"});
  expect(run({"eval", "fashion-unet", "--repeat", "1", "--wrt", "x"}), 2, {"--wrt x", "--vjp"});
  expect(run({"guide", "fashion-unet", "-n", "1", "--steps", "1", "--loss", "norm", "--momentum", "0.9"}), 2,
         {"--momentum 0.9", "sgd"});
  expect(run({"sample", "fashion-unet", "--compat"}), 2, {"--compat", "--scheduler"});
  for (const char* command : {"grad", "guide"})
    expect(run({command, "fashion-unet", "--loss", "norm", "--loss-classifier", "fashion-classifier"}), 2,
           {"--loss-classifier fashion-classifier", "class:K"});
  expect(run({"eval", "fashion-unet", "--repeat", "0", "--in", "in.h5"}), 2, {"--repeat 0", "at least one"});
  expect(run({"eval", "fashion-unet", "--batch", "4", "--in", "in.h5"}), 2, {"--batch 4", "in.h5"});
  expect(run({"check", "conv3d"}), 2, {"conv3d", "conv2d"});
  expect(run({"--quiet", "info", "fashion-unet"}), 2, {"--quiet: stands before the subcommand"});
  expect(run({"sample", "fashion-unet", "-n", "1", "-n", "2"}), 2, {"--count: is given more than once"});
  expect(run({"sample", "fashion-unet", "--steps"}), 2, {"--steps: wants a value"});
  expect(run({"study"}), 2, {"there are: error-model, gradient"});
  expect(run({"info", ""}), 2, {"MODEL", "is empty"});
  expect(run({"sample", "fashion-unet", "--eta", "0.2", "--set", "eta=0.5"}), 2, {"--eta and --set eta", "twice"});
  expect(run({"sample", "fashion-unet", "--sampler", "deis", "--order", "2", "--set", "order=3"}), 2, {"--set order"});
  expect(run({"guide", "fashion-unet", "--loss", "mean", "--pictures", "0"}), 2, {"--pictures 0"});
}

BOOST_AUTO_TEST_CASE(work_that_cannot_be_done_exits_with_1_and_says_why) {
  const Folder folder;
  const std::string samples = (folder / "samples.h5").string();
  BOOST_REQUIRE(run({"sample", "fashion-unet", "-n", "1", "--steps", "1", "--out", samples}).code == 0);
  expect(run({"info", samples}), 1, {"samples.h5: is no model", "made", "sample fashion-unet"});
  expect(run({"info", "fashion-unit"}), 1, {"fashion-unit", "did you mean fashion-unet"});
  expect(run({"sample", "fashion-unet", "--device", "cuda"}), 1, {"cuda", "without CUDA"});
  expect(run({"sample", "fashion-unet", "--class", "3,11", "-n", "2", "--steps", "1"}), 1, {"class 11", "0 to 10"});
  for (const std::string option : {"--start", "--grid"})
    expect(run({"sample", "fashion-unet", "-n", "1", "--steps", "1", option, "/nowhere.h5"}), 1, {"/nowhere.h5"});
  expect(run({"sample", "fashion-unet", "--class", "3", "-n", "1", "--steps", "1", "--classifier", "fashion-unet"}), 1,
         {"fashion-unet: is no classifier", "(1, 28, 28, 1)"});
  expect(run({"sample", "fashion-unet", "-n", "1", "--steps", "2", "--guidance", "1e300"}), 1, {"step 1", "guidance"});
  expect(run({"grad", "fashion-unet", "--steps", "2", "--eta", "0.5", "--adjoint", "backsolve"}), 1,
         {"backsolve", "eta", "adjointdeis-1"});
}

BOOST_AUTO_TEST_CASE(outputs_appear_whole_or_not_at_all) {
  const Folder folder;
  const std::string missing = (folder / "no-such-folder/x.png").string(), first = (folder / "first.h5").string();
  expect(run({"sample", "fashion-unet", "-n", "1", "--steps", "1", "--out", first, "--out", missing}), 1,
         {"no-such-folder"});
  BOOST_TEST(folder.files().empty());  // it is said before the work
  const std::string file = (folder / "x.h5").string();
  costate::test::spill(file, "precious");
  for (const std::size_t limit : {4096UL, 6000UL}) {  // 784 doubles need more
    const Outcome full = run({"sample", "fashion-unet", "-n", "1", "--steps", "1", "--out", file}, limit);
    BOOST_TEST(full.code == 1, "limit " << limit << ": exit code " << full.code << ": " << full.err);
    BOOST_TEST(full.err.find("x.h5") != std::string::npos, full.err);
    BOOST_TEST(costate::test::slurp(file) == "precious");
    BOOST_TEST(folder.files().size() == 1U);
  }
}

BOOST_AUTO_TEST_CASE(json_is_one_document_and_nothing_else) {
  const Outcome info = run({"info", "fashion-unet", "--json"});
  const json facts = json::parse(info.out);
  BOOST_TEST(facts["parameters"] == 1856833);
  BOOST_TEST(facts["family"] == "unet2d");
  BOOST_TEST(facts["classes"] == 11);
  const json timing = json::parse(run({"eval", "fashion-unet", "--repeat", "1", "--vjp", "--json"}).out);
  BOOST_TEST(timing["forward_ms"]["min"].get<double>() > 0);
  BOOST_TEST(timing["vjp_ms"]["median"].get<double>() > 0);
  BOOST_TEST(timing["peak_bytes"]["vjp"].get<std::int64_t>() > timing["peak_bytes"]["forward"].get<std::int64_t>());
  // A sampler with orders, by its name without one.
  for (const auto& [name, orders] : {std::pair{"deis", 3}, {"unipc", 3}, {"lms", 6}, {"dpm", 3}, {"heun", 1}}) {
    const auto rows = json::parse(run({"list", "samplers", name, "--json"}).out);
    BOOST_TEST(static_cast<int>(rows.size()) == orders, name << ": " << rows.dump());
    BOOST_TEST(run({"list", "samplers", name}).out.find(rows.back()["sampler"]) != std::string::npos, name);
  }
  BOOST_TEST(json::parse(run({"list", "--json"}).out).contains("samplers"));
  std::map<std::string, std::string> noise;
  for (const auto& s : json::parse(run({"list", "samplers", "--json"}).out)) noise[s["sampler"]] = s["stochastic"];
  for (const auto& [sampler, said] : {std::pair{"edm", "with S_churn"},
                                      {"ge", "with mu"},
                                      {"rex", "with sde"},
                                      {"ddim", "with eta"},
                                      {"dpm-stages-2", "with eta"},
                                      {"consistency", "yes"},
                                      {"heun", "no"}})
    BOOST_TEST(noise[sampler] == said, sampler << ": " << noise[sampler]);
  const json karras = json::parse(run({"list", "grids", "karras", "--json"}).out);
  BOOST_TEST((karras.size() == 1U && karras[0]["options"] == "rho, final"));
  const json grad = json::parse(
      run({"grad", "fashion-unet", "--class", "8", "--steps", "2", "--adjoint", "checkpointed,direct", "--json"}).out);
  BOOST_TEST(grad["adjoints"].size() == 2U);
  BOOST_TEST((grad.contains("out") && timing.contains("out")));
  BOOST_TEST(grad["adjoints"][0]["relative_error"]["x_T"] == 0);
}

BOOST_AUTO_TEST_CASE(a_profile_has_a_line_for_each_kind_of_work) {
  const auto o = run({"eval", "fashion-unet", "--repeat", "1", "--vjp", "--profile"});
  BOOST_TEST_REQUIRE(o.code == 0, o.err);
  for (const char* line : {"forward on cpu", "vjp on cpu", "conv2d F(4,3)", "attention_vjp", "GFLOP/s", "between ops"})
    BOOST_TEST(o.out.find(line) != std::string::npos, line << " is not in " << o.out);
}

BOOST_AUTO_TEST_CASE(an_exact_problem_says_which_schedule_it_has) {
  const Folder folder;
  const std::string file = (folder / "normal.json").string();
  costate::test::spill(file, R"({"family": "gaussian", "mean": [0], "covariance": [[1]]})");
  const json facts = json::parse(run({"info", file, "--json"}).out);
  BOOST_TEST(facts["schedule"]["type"] == "vp_linear");
  BOOST_TEST(facts["schedule"]["beta_max"] == 20);
  BOOST_TEST(!facts.contains("file"));
  for (const char* command : {"sample", "grad"})
    expect(run({command, file, "--class", "1"}), 1, {"an exact problem takes no class"});
  const std::string misspelt = (folder / "misspelt.json").string();
  costate::test::spill(misspelt, R"({"family": "gaussian", "mean": [0], "covariance": [[1]], "shedule": {}})");
  expect(run({"sample", misspelt}), 1, {"misspelt.json", "'shedule'", "schedule"});
  costate::test::spill(misspelt,
                       R"({"family": "gaussian", "mean": [0], "covariance": [[1]], "sampling": {"finall": "first"}})");
  expect(run({"sample", misspelt}), 1, {"sampling", "finall", "final"});
  BOOST_TEST(facts["grid"] == "lambda");
  BOOST_TEST(facts["prediction"] == "epsilon");
  costate::test::spill(file,
                       R"({"family": "gaussian", "mean": [0], "covariance": [[1]], "schedule": {"type": "flow"}})");
  const json pure = json::parse(run({"info", file, "--json"}).out);
  BOOST_TEST((pure["grid"] == "t" && pure["prediction"] == "flow"));  // with which it can start at alpha = 0
  expect(run({"sample", file, "--steps", "3"}), 0, {});
}

BOOST_AUTO_TEST_SUITE_END()
