// costate draw: a network as a picture, or its tape as a graph.
#include <fmt/ranges.h>

#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "tools/common.h"
#include "tools/network_svg.h"

namespace costate {
namespace {

struct Options {
  Common common;
  std::string part;
  bool tape = false;
};

std::string quoted(const std::string& text) {
  std::string safe = "\"";
  for (const char c : text)
    safe += c == '\n' ? "\\n" : c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return safe + "\"";
}

/// The tape in Graphviz's language: a node an op with its shape, parameters as notes, an edge a value.
std::string tape_dot(const Model& model) {
  const NetworkTrace t = trace_network(model);
  std::string text = fmt::format(
      "// the tape of {}: ops that depend on an input or a parameter\ndigraph tape {{\n  rankdir=TB;\n"
      "  node [shape=box, style=rounded, fontname=\"Helvetica\"];\n",
      model.name);
  std::map<std::uint64_t, std::string> node;  // that makes a value
  for (std::size_t i = 0; i < t.keys.size(); ++i) {
    const Tensor& value = t.trace.in[i];
    node[value.id()] = fmt::format("in{}", i);
    text += fmt::format("  in{} [label={}, shape={}, style=filled, fillcolor={}];\n", i,
                        quoted(fmt::format("{}\n{}", t.keys[i], value.shape())), i < t.inputs ? "ellipse" : "note",
                        i < t.inputs ? "\"#cfe2f3\"" : "\"#eeeeee\"");
  }
  for (std::size_t i = 0; i < t.trace.ops.size(); ++i) {
    const Applied& op = t.trace.ops[i];
    const std::string label = op.flops > 0 ? fmt::format("{}\n{}\n{} flop", op.name, op.out[0].shape(), op.flops)
                                           : fmt::format("{}\n{}", op.name, op.out[0].shape());
    text += fmt::format("  op{} [label={}];\n", i, quoted(label));
    for (const auto& in : op.in)
      if (const auto from = node.find(in.id()); from != node.end())
        text += fmt::format("  {} -> op{};\n", from->second, i);
    for (const auto& out : op.out) node[out.id()] = fmt::format("op{}", i);
  }
  return text + "}\n";
}

std::string picture(const Model& model, const std::string& part) {
  return network_svg(structure_of(model), model.name + (part.empty() ? "" : ", part " + part), model.family);
}

void run_draw(const Options& o) {
  o.common.apply();
  if (o.common.out.empty())
    throw UsageError("draw: give --out FILE.svg for the network, or --out FILE.dot for its tape");
  if (o.tape && !o.common.outputs(".svg").empty())
    throw UsageError("--tape is drawn as .dot; render it with dot -Tsvg");
  Model model = o.common.load(false);
  require(!model.is_exact(), "draw: {} is an exact problem, not a network", model.name);
  if (!o.part.empty()) model.network = model.network->part(o.part);
  require(model.network->signature().whole || !o.part.empty(), "draw: {} is several functions; give --part {}",
          model.name, fmt::join(model.network->parts(), " or "));
  for (const auto& file : o.common.outputs(".svg")) write_file(file, picture(model, o.part));
  for (const auto& file : o.common.outputs(".dot")) write_file(file, tape_dot(model));
  nlohmann::ordered_json done;
  done["model"] = model.name;
  done["out"] = o.common.out;
  if (o.common.json)
    std::cout << done.dump(2) << "\n";
  else
    for (const auto& file : o.common.out) std::cout << "wrote " << file << "\n";
}

}  // namespace

Command draw_command() {
  return {"draw", "a network as a picture: levels, blocks, shapes, costs; or its tape as a graph",
          "  costate draw fashion-unet --out network.svg\n"
          "  costate draw fashion-unet --tape --out tape.dot",
          [](Arguments& a) {
            const auto o = std::make_shared<Options>();
            o->common.declare(a, {".svg", ".dot"});
            a.flag("--tape", o->tape, "the ops of one evaluation, as Graphviz text (.dot)");
            a.option("--part", o->part, "which function of an autoencoder: encode, sample, decode", "NAME");
            return [o] { run_draw(*o); };
          }};
}

}  // namespace costate
