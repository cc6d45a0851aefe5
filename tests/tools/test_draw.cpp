// draw and info on shapes: what the picture counts is what an evaluation counts, for every network of shared/.
#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

#include "core/flops.h"
#include "tests/nn/parity_cases.h"
#include "tests/tools/command.h"
#include "tools/model/describe.h"
#include "tools/model/inputs.h"

using costate::test::Folder;
using costate::test::run;
using costate::test::slurp;
using namespace costate;

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(draw)

BOOST_AUTO_TEST_CASE(the_bundled_network_as_a_u) {
  const Folder folder;
  const std::string svg = (folder / "net.svg").string(), dot = (folder / "tape.dot").string();
  BOOST_TEST(run({"draw", "fashion-unet", "--out", svg}).code == 0);
  const std::string picture = slurp(svg);
  BOOST_TEST(picture.rfind("<svg ", 0) == 0U);
  for (const char* place :
       {"28 × 28", "14 × 14", "7 × 7", "embeddings", "mid_block.attentions.0", "1856833 parameters"})
    BOOST_TEST(picture.find(place) != std::string::npos, place << " is not in the picture");
  BOOST_TEST(count(picture, "stroke-dasharray") == 2U);  // skips on two levels
  BOOST_TEST(run({"draw", "fashion-unet", "--tape", "--out", dot}).code == 0);
  const std::string graph = slurp(dot);
  BOOST_TEST(graph.find("digraph tape {") != std::string::npos);
  BOOST_TEST(count(graph, "conv2d\\n") > 20U);
  BOOST_TEST(count(graph, " -> ") > 300U);
  BOOST_TEST(run({"draw", "fashion-unet"}).code == 2);
  BOOST_TEST(run({"draw", "fashion-unet", "--out", "x.png"}).code == 2);
  BOOST_TEST(run({"draw", "fashion-unet", "--part", "decode", "--out", svg}).code == 1);
}

// Shapes alone give the operations that an evaluation performs; each network is drawn.
BOOST_AUTO_TEST_CASE(every_network_is_counted_and_drawn_without_weights) {
  const Folder folder;
  int seen = 0;
  for (const auto& each : parity::cases()) {
    const Model model = load_model(each.model.string(), {.config = each.config});
    if (!model.network->signature().whole || model.sample_shape().size() == 0) continue;
    const Inputs in = noise_inputs(model, 0, 1);
    const std::int64_t before = flop_counter().load();
    static_cast<void>((*model.network)(in));
    const std::int64_t flops = flop_counter().load() - before;
    const auto shapes = describe(load_model(each.model.string(), {.config = each.config, .weights = false}));
    BOOST_TEST(shapes["flops"] == flops, each.name);
    const std::string svg = (folder / "net.svg").string();
    std::vector<std::string> words = {"draw", each.model.string(), "--out", svg};
    if (!each.config.empty()) words.insert(words.end(), {"--config", each.config.string()});
    const auto drawn = run(words);
    BOOST_TEST(drawn.code == 0, each.name << ": " << drawn.err);
    BOOST_TEST(slurp(svg).find("</svg>") != std::string::npos, each.name);
    ++seen;
  }
  BOOST_TEST((seen > 20 || !std::filesystem::exists(shared_dir())));
}

BOOST_AUTO_TEST_CASE(memory_is_the_file_and_packed_layouts) {
  const auto j = nlohmann::json::parse(run({"info", "fashion-unet", "--memory", "--json"}).out)["memory"];
  const double weights = j["weights"], file = j["file"], packed = j["packed"];
  BOOST_TEST(weights > 0.9 * 4 * 1856833);
  BOOST_TEST(weights < 1.1 * file);
  BOOST_TEST(packed > 0);
  BOOST_TEST(packed < 6 * weights);  // Winograd's transforms are four times as large
}

BOOST_AUTO_TEST_SUITE_END()
