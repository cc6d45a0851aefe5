// Cards on levels: the way down on the left, the way up on the right, vectors between them.
#include "tools/network_svg.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace costate {
namespace {

constexpr double margin = 40, card_width = 560, header = 40, row_height = 30, gap = 46, indent = 44, top = 120;
constexpr double aisle = 86;  // between columns: a skip's label stands there

struct Box {
  double x = 0, y = 0, height = 0;
  [[nodiscard]] double middle() const { return x + card_width / 2; }
};

const char* colour(BlockKind kind) {
  return kind == BlockKind::attention ? "#e8853d" : kind == BlockKind::convolution ? "#4878b0" : "#4f9d69";
}

std::string escape(const std::string& text) {
  std::string safe;
  for (const char c : text)
    safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return safe;
}

/// 1234567 as "1.23 M"
std::string short_number(std::int64_t n) {
  const std::pair<double, const char*> units[] = {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}};
  for (const auto& [size, unit] : units)
    if (static_cast<double>(n) >= 0.9995 * size) return fmt::format("{:.3g}{}", static_cast<double>(n) / size, unit);
  return std::to_string(n);
}

std::string place_of(const Stage& stage) {
  // A block of attention ends in tokens; the level is still that of its image.
  Shape s = stage.blocks.back().out;
  for (const auto& b : stage.blocks)
    if (b.out.rank() == 3) s = b.out;
  if (s.rank() == 3) return fmt::format("{} × {}", s[0], s[1]);
  return s.rank() == 2 ? fmt::format("{} tokens", s[0]) : "vectors";
}

/// The last letters of a long name, which tell more than the first.
std::string name_of(const NetworkBlock& b) {
  constexpr std::size_t most = 27;
  const std::string name = b.name.size() <= most ? b.name : "…" + b.name.substr(b.name.size() - most + 1);
  return b.repeats == 1 ? name : fmt::format("{}  (×{})", name, b.repeats);
}

class Drawing {
 public:
  explicit Drawing(const Structure& s) : s_(s) {
    for (const auto& stage : s.stages)
      for (const auto& b : stage.blocks) most_ = std::max(most_, b.flops * b.repeats);
    place();
  }

  std::string svg(const std::string& title, const std::string& subtitle) {
    std::string body;
    for (const auto& skip : s_.skips) body += skip_line(skip);
    for (std::size_t i = 0; i + 1 < boxes_.size(); ++i) body += flow(boxes_[i], boxes_[i + 1]);
    for (std::size_t i = 0; i < boxes_.size(); ++i)
      body += card(boxes_[i], place_of(s_.stages[i]), s_.stages[i].blocks);
    if (!s_.vectors.empty()) body += card(vectors_, "embeddings", s_.vectors);
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
        "height=\"{1:.0f}\" "
        "font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n"
        "<defs><marker id=\"tip\" markerWidth=\"10\" markerHeight=\"8\" refX=\"9\" refY=\"4\" orient=\"auto\">"
        "<path d=\"M0,0 L10,4 L0,8 z\" fill=\"#444\"/></marker></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{2}{3}{4}{5}</svg>\n",
        width_, height_, text(margin, 52, 30, escape(title), "bold"), text(margin, 86, 18, escape(subtitle)), body,
        legend());
  }

 private:
  static double height_of(const std::vector<NetworkBlock>& blocks) {
    return header + row_height * static_cast<double>(blocks.size()) + 8;
  }

  /// Which stage is the bottom of the U, and on which level each stage lies.
  void place() {
    const auto bottom = static_cast<std::size_t>(
        std::min_element(s_.stages.begin(), s_.stages.end(),
                         [](const Stage& a, const Stage& b) { return a.positions < b.positions; }) -
        s_.stages.begin());
    std::set<std::int64_t, std::greater<>> sizes;
    for (const auto& stage : s_.stages) sizes.insert(stage.positions);
    const auto levels = static_cast<double>(sizes.size());
    const bool both = bottom > 0 && bottom + 1 < s_.stages.size();
    width_ = 2 * margin + (both ? 3 * card_width + 2 * aisle : card_width) + (both ? 0 : card_width + gap) +
             2 * indent * std::max(0.0, levels - 2);
    boxes_.resize(s_.stages.size());
    vectors_ = {both ? (width_ - card_width) / 2 : width_ - margin - card_width, top, height_of(s_.vectors)};
    // The embeddings stand above a U, out of the way of its skips, and beside anything else.
    double y = both && !s_.vectors.empty() ? vectors_.y + vectors_.height + gap : top, level = 0;
    for (const std::int64_t size : sizes) {
      std::map<int, double> used;  // height by side
      for (std::size_t i = 0; i < s_.stages.size(); ++i) {
        if (s_.stages[i].positions != size) continue;
        const int side = i == bottom ? 0 : i < bottom ? -1 : 1;
        const double left = margin + indent * level, right = width_ - margin - card_width - indent * level;
        const double x = side == 0 && both ? (width_ - card_width) / 2 : side <= 0 || !both ? left : right;
        boxes_[i] = {x, y + used[side], height_of(s_.stages[i].blocks)};
        used[side] = boxes_[i].y - y + boxes_[i].height + gap;
      }
      double tallest = 0;
      for (const auto& [side, height] : used) tallest = std::max(tallest, height);
      y += tallest;
      ++level;
    }
    height_ = std::max(y, vectors_.y + vectors_.height + gap) + 30;
  }

  static std::string text(double x, double y, double size, const std::string& what, const char* weight = "normal",
                          const char* anchor = "start", const char* fill = "#222") {
    return fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" font-weight=\"{}\" text-anchor=\"{}\" "
        "fill=\"{}\">{}</text>\n",
        x, y, size, weight, anchor, fill, what);
  }

  [[nodiscard]] std::string card(const Box& box, const std::string& place,
                                 const std::vector<NetworkBlock>& blocks) const {
    std::int64_t parameters = 0, flops = 0;
    for (const auto& b : blocks) parameters += b.parameters * b.repeats, flops += b.flops * b.repeats;
    std::string out = fmt::format(
        "<rect x=\"{0:.1f}\" y=\"{1:.1f}\" width=\"{2}\" height=\"{3:.1f}\" rx=\"10\" fill=\"#fbfbfd\" "
        "stroke=\"#888\"/>\n<path d=\"M{0:.1f},{4:.1f} h{2}\" stroke=\"#bbb\"/>\n",
        box.x, box.y, card_width, box.height, box.y + header - 4);
    out += text(box.x + 14, box.y + 25, 20, place, "bold");
    std::string counts = short_number(parameters) + " parameters";
    if (flops > 0) counts += fmt::format(", {}flop", short_number(flops));
    out += text(box.x + card_width - 14, box.y + 25, 15, counts, "normal", "end", "#555");
    double y = box.y + header;
    for (const auto& b : blocks) {
      out += row(box.x, y, b);
      y += row_height;
    }
    return out;
  }

  [[nodiscard]] std::string row(double x, double y, const NetworkBlock& b) const {
    const std::int64_t flops = b.flops * b.repeats;
    const double bar = most_ == 0 ? 0 : 62 * static_cast<double>(flops) / static_cast<double>(most_);
    std::string out = fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"8\" height=\"22\" fill=\"{}\"/>\n", x + 12,
                                  y + 4, colour(b.kind));
    out +=
        fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"10\" fill=\"{}\" opacity=\"0.45\"/>\n",
                    x + card_width - 74, y + 10, bar, colour(b.kind));
    out += text(x + 28, y + 20, 15, escape(name_of(b)));
    out += text(x + 336, y + 20, 14, fmt::format("{} ch", b.out.rank() == 0 ? 1 : b.out[-1]), "normal", "end", "#555");
    out += text(x + card_width - 150, y + 20, 14, short_number(b.parameters * b.repeats), "normal", "end");
    if (flops > 0) out += text(x + card_width - 84, y + 20, 14, short_number(flops), "normal", "end");
    return out;
  }

  [[nodiscard]] static std::string arrow(const std::string& path, const char* style = "stroke=\"#444\"") {
    return fmt::format("<path d=\"{}\" fill=\"none\" {} stroke-width=\"2.5\" marker-end=\"url(#tip)\"/>\n", path,
                       style);
  }

  [[nodiscard]] static std::string flow(const Box& a, const Box& b) {
    const bool down = b.y > a.y;
    if (a.x < b.x + card_width && b.x < a.x + card_width && a.y != b.y) {  // one above the other
      const double x = std::clamp(b.middle(), a.x + 20, a.x + card_width - 20);
      return down ? arrow(fmt::format("M{:.1f},{:.1f} V{:.1f}", x, a.y + a.height, b.y - 2))
                  : arrow(fmt::format("M{:.1f},{:.1f} V{:.1f}", x, a.y, b.y + b.height + 2));
    }
    const bool rightwards = b.x > a.x;
    if (!down && a.y != b.y)  // out at the side, then up
      return arrow(fmt::format("M{:.1f},{:.1f} H{:.1f} V{:.1f}", rightwards ? a.x + card_width : a.x, a.y + 30,
                               b.middle(), b.y + b.height + 2));
    if (down)  // down, then in from the side
      return arrow(fmt::format("M{:.1f},{:.1f} V{:.1f} H{:.1f}", a.middle(), a.y + a.height, b.y + 30,
                               rightwards ? b.x - 2 : b.x + card_width + 2));
    return arrow(fmt::format("M{:.1f},{:.1f} H{:.1f}", rightwards ? a.x + card_width : a.x, a.y + 30,
                             rightwards ? b.x - 2 : b.x + card_width + 2));
  }

  [[nodiscard]] std::string skip_line(const Skip& skip) const {
    const Box &a = boxes_[skip.from], &b = boxes_[skip.to];
    const double y = a.y + a.height - 14, to = std::clamp(y, b.y + 14, b.y + b.height - 14);
    const double from_x = a.x + card_width, to_x = b.x - 2;
    return arrow(fmt::format("M{:.1f},{:.1f} C{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}", from_x, y, from_x + 80, y,
                             to_x - 80, to, to_x, to),
                 "stroke=\"#999\" stroke-dasharray=\"9 6\"") +
           text(from_x + 10, y - 8, 14, skip.count == 1 ? std::string("skip") : fmt::format("{} skips", skip.count),
                "normal", "start", "#666");
  }

  [[nodiscard]] std::string legend() const {
    std::string out;
    double x = margin;
    const double y = height_ - 22;
    for (const auto& [kind, what] : {std::pair{BlockKind::convolution, "with convolutions"},
                                     {BlockKind::attention, "with attention"},
                                     {BlockKind::linear, "linear and norms"}}) {
      out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"14\" height=\"14\" fill=\"{}\"/>\n", x, y - 12,
                         colour(kind));
      out += text(x + 20, y, 15, what, "normal", "start", "#555");
      x += 190;
    }
    return out + text(x, y, 15, "columns: channels out, parameters, operations of one sample (bar: share)", "normal",
                      "start", "#555");
  }

  const Structure& s_;
  std::vector<Box> boxes_;
  Box vectors_;
  double width_ = 0, height_ = 0;
  std::int64_t most_ = 0;
};

}  // namespace

std::string network_svg(const Structure& s, const std::string& title, const std::string& family) {
  require(!s.stages.empty(), "draw: {} applies no op to its parameters; there is nothing to draw", title);
  const std::string unused = s.unused == 0 ? "" : fmt::format(" ({} of them not used here)", s.unused);
  return Drawing(s).svg(title, fmt::format("{}: {} to {}, {} parameters{}, {}flop for one sample", family, s.in, s.out,
                                           s.parameters, unused, short_number(s.flops)));
}

}  // namespace costate
