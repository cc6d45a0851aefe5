// Plots to SVG: writes a gnuplot script and runs it.
#include "tools/plot.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <sstream>

#include "core/error.h"
#include "io/atomic_file.h"

namespace costate {
namespace {

constexpr int panel_width = 560, panel_height = 400;
constexpr double label_gap = 0.042;  // between labels, as a share of the panel's height

// Eight colours that colour-blind readers tell apart on white (Okabe and Ito), yellow darkened.
constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                   "#56b4e9", "#b8a000", "#000000", "#e69f00"};
constexpr std::size_t colour_count = std::size(colours);

const char* colour(std::size_t i) { return colours[i % colour_count]; }
/// Solid, then dashes of different kinds once the colours are used up.
int dash(const Series& s, std::size_t i) { return 1 + static_cast<int>(i / colour_count % 4) + (s.dashed ? 1 : 0); }

struct Axis {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool log = false;

  [[nodiscard]] bool shows(double v) const { return std::isfinite(v) && (!log || v > 0); }
  void include(double v) { low = std::min(low, v), high = std::max(high, v); }
  [[nodiscard]] double place(double v) const {
    return log ? std::log(v / low) / std::log(high / low) : (v - low) / (high - low);
  }
  /// Room around the data; an axis of one value, or of none, gets an extent.
  void widen(double share) {
    if (!std::isfinite(low)) low = high = 1;
    const double by = high > low ? share : 0.5;
    if (log) {
      const double f = high > low ? std::pow(high / low, by) : 2;
      low /= f, high *= f;
    } else {
      const double d = high > low ? by * (high - low) : std::max(0.5, std::abs(high) * by);
      low -= d, high += d;
    }
  }
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text)
    out += c == '"' || c == '\\' ? std::string("\\") + c : c == '\n' ? std::string(" ") : std::string(1, c);
  return out + "\"";
}

/// The points of a series that its axes can show.
Series shown(const Series& s, const Axis& x, const Axis& y) {
  require(s.x.size() == s.y.size(), "plot: series {} has {} abscissae and {} ordinates", s.label, s.x.size(),
          s.y.size());
  Series kept{s.label, {}, {}, s.dashed};
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    if (x.shows(s.x[i]) && y.shows(s.y[i])) kept.x.push_back(s.x[i]), kept.y.push_back(s.y[i]);
  }
  return kept;
}

/// Heights of the labels, as near to `wanted` as their gap allows: pushed apart from below, then back from above.
std::vector<double> spread(const std::vector<double>& wanted) {
  std::vector<std::size_t> order(wanted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return wanted[a] < wanted[b]; });
  std::vector<double> at(wanted);
  double floor = 0;
  for (const auto i : order) at[i] = std::max(at[i], floor), floor = at[i] + label_gap;
  double ceiling = 1;
  for (auto it = order.rbegin(); it != order.rend(); ++it)
    at[*it] = std::min(at[*it], ceiling), ceiling = at[*it] - label_gap;
  return at;
}

class Script {
 public:
  explicit Script(const std::string& output, std::size_t panels, int columns) {
    const auto n = static_cast<int>(panels), across = std::min(n, columns), down = (n + across - 1) / across;
    line("set terminal svg noenhanced size {},{} background '#ffffff' font 'Helvetica,13'", across * panel_width,
         down * panel_height);
    line("set output {}", quoted(output));
    line("set multiplot layout {},{}; unset key", down, across);
    line("set border 3 lc '#606060'; set tics nomirror out; set key off; set grid lc '#e4e4e4' lt 1");
  }

  void add(const Panel& panel) {
    Axis x, y;
    x.log = panel.log_x, y.log = panel.log_y;
    std::vector<Series> all;
    for (const auto& s : panel.series) {
      Series kept = shown(s, x, y);
      if (kept.x.empty()) continue;
      for (const double v : kept.x) x.include(v);
      for (const double v : kept.y) y.include(v);
      all.push_back(std::move(kept));
    }
    x.widen(0.02), y.widen(0.05);
    frame(panel, x, y, all);
    for (const auto& t : panel.triangles) triangle(t.order, x, y);
    labels(all, x, y);
    lines(all, x, y);
  }

  [[nodiscard]] std::string text() const { return out_.str() + "unset multiplot\nset output\n"; }

 private:
  template <class... A>
  void line(fmt::format_string<A...> f, A&&... a) {
    out_ << fmt::format(f, std::forward<A>(a)...) << "\n";
  }

  void frame(const Panel& panel, const Axis& x, const Axis& y, const std::vector<Series>& all) {
    std::size_t longest = 0;
    for (const auto& s : all) longest = std::max(longest, s.label.size());
    triangles_ = 0;
    line(
        "unset label; unset arrow; unset object; unset logscale; set xtics autofreq; set format '%g'; set lmargin 12; "
        "set bmargin 4");
    line("set rmargin {}", 6 + longest);
    line("set tmargin 3; set label {} at graph 0,1.08 left font ',14'",
         quoted(panel.title));  // from the axis: may be long
    line("set xlabel {}; set ylabel {}", quoted(panel.x_label), quoted(panel.y_label));
    line("unset mxtics; unset mytics; set ytics autofreq");
    if (x.log) {
      std::set<double> at;
      for (const auto& s : all) at.insert(s.x.begin(), s.x.end());
      line("set logscale x; set xtics {}", ticks(x, at));
    }
    if (y.log) line("set logscale y; set format y '{}'; set ytics {}", short_axis(y) ? "%g" : "%.0e", ticks(y, {}));
    line("set xrange [{:.17g}:{:.17g}]; set yrange [{:.17g}:{:.17g}]", x.low, x.high, y.low, y.high);
  }

  /// Of so few decades that 1, 2, 5, 10 ... are its ticks.
  static bool short_axis(const Axis& axis) { return std::log10(axis.high / axis.low) < 2.4; }

  /// 1, 2, 5 of every decade, more of less than one; of two decades 1, 3, whose labels have room, or of more 1 alone.
  static std::vector<double> digits(const Axis& axis) {
    if (axis.high / axis.low < 10) return {1, 1.5, 2, 3, 5, 7};
    if (axis.high / axis.low < 60) return {1, 2, 5};
    return short_axis(axis) ? std::vector<double>{1, 3} : std::vector<double>{1};
  }

  static constexpr std::size_t most_ticks = 8;

  /// Those of digits() in every decade or every n-th; three to seven even ones on an axis too short for them.
  static std::set<double> round_numbers(const Axis& axis) {
    std::set<double> at;
    if (axis.high / axis.low < 3) {
      const double room = (axis.high - axis.low) / 3, decade = std::pow(10, std::floor(std::log10(room)));
      const double step = decade * (room >= 5 * decade ? 5 : room >= 2 * decade ? 2 : 1);
      for (double k = std::ceil(axis.low / step); k * step <= axis.high; ++k) at.insert(k * step);
      return at;
    }
    const double stride = std::ceil(std::log10(axis.high / axis.low) / static_cast<double>(most_ticks));
    for (double k = std::floor(std::log10(axis.low)); std::pow(10, k) <= axis.high; k += stride)
      for (const double digit : digits(axis))
        if (const double v = digit * std::pow(10, k); v >= axis.low && v <= axis.high) at.insert(v);
    return at;
  }

  /// Ticks of a logarithmic axis: the values themselves where there are few, else round numbers. One that would run into the one
  /// before it is left out.
  static std::string ticks(const Axis& axis, std::set<double> at) {
    if (at.empty() || at.size() > most_ticks) at = round_numbers(axis);
    std::string list;
    double last = -1;
    for (const double v : at) {
      if (axis.place(v) - last < 0.05) continue;
      last = axis.place(v);
      list += fmt::format("{}{:.17g}", list.empty() ? "(" : ", ", v);
    }
    return list.empty() ? "autofreq" : list + ")";
  }

  /// In the lower left corner, where errors of high order do not go; steeper ones stand further right.
  void triangle(int order, const Axis& x, const Axis& y) {
    const double decades = std::log10(y.high / y.low);
    const double step = std::min(std::log10(x.high / x.low) * 0.16, 0.28 * decades / order);
    const double left = x.low * std::pow(x.high / x.low, 0.08 + 0.2 * (triangles_++ % 4)),
                 right = left * std::pow(10, step);
    const double bottom = y.low * std::pow(y.high / y.low, 0.06), top = bottom * std::pow(10, order * step);
    line(
        "set object polygon from {0:.17g},{2:.17g} to {0:.17g},{3:.17g} to {1:.17g},{2:.17g} to {0:.17g},{2:.17g} fs "
        "empty border lc '#808080'",
        left, right, bottom, top);
    line("set label {} at {:.17g},{:.17g} right offset -0.5,0.5 tc '#606060' font ',12'",
         quoted(fmt::format("{}", order)), left, bottom);
  }

  /// At the right: behind each line's end, joined to it; where lines end elsewhere, and a joint would cross others, behind a piece
  /// of the line, as in a key.
  void labels(const std::vector<Series>& all, const Axis& x, const Axis& y) {
    std::vector<double> wanted;
    for (const auto& s : all) wanted.push_back(y.place(s.y.back()));
    const auto at = spread(wanted);
    const bool joined =
        std::all_of(all.begin(), all.end(), [&](const Series& s) { return x.place(s.x.back()) > 0.95; });
    for (std::size_t i = 0; i < all.size(); ++i) {
      line("set label {} at graph {},{:.4f} left tc '{}' font ',12'", quoted(all[i].label), joined ? 1.03 : 1.11, at[i],
           colour(i));
      if (joined)
        line("set arrow from graph {:.4f},{:.4f} to graph 1.025,{:.4f} nohead lc '{}' lw 0.5", x.place(all[i].x.back()),
             wanted[i], at[i], colour(i));
      else
        line("set arrow from graph 1.03,{0:.4f} to graph 1.1,{0:.4f} nohead lc '{1}' dt {2} lw 1.6", at[i], colour(i),
             dash(all[i], i));
    }
  }

  /// Whether two lines lie on each other.
  static bool coincide(const Series& a, const Series& b, const Axis& x, const Axis& y) {
    constexpr double near = 0.006;
    bool same = a.x.size() == b.x.size();
    for (std::size_t k = 0; same && k < a.x.size(); ++k)
      same = std::abs(x.place(a.x[k]) - x.place(b.x[k])) < near && std::abs(y.place(a.y[k]) - y.place(b.y[k])) < near;
    return same;
  }

  /// A line under others that coincide with it is wider than they are, so that all show.
  void lines(const std::vector<Series>& all, const Axis& x, const Axis& y) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      out_ << "$data" << i << " << EOD\n";
      for (std::size_t k = 0; k < all[i].x.size(); ++k) line("{:.17g} {:.17g}", all[i].x[k], all[i].y[k]);
      out_ << "EOD\n";
    }
    std::string plots;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto above = std::count_if(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(),
                                       [&](const Series& s) { return coincide(all[i], s, x, y); });
      plots += fmt::format("{}$data{} with linespoints lc '{}' dt {} lw {} pt 7 ps 0.35", i > 0 ? ", " : "", i,
                           colour(i), dash(all[i], i), 1.6 + 2.6 * static_cast<double>(above));
    }
    line("plot {}", plots.empty() ? "NaN" : plots);
  }

  std::ostringstream out_;
  int triangles_ = 0;
};

std::string find_gnuplot() {
  std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');) {
    const std::string program = folder + "/gnuplot";
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

/// Its exit code; what it prints is dropped.
int run_gnuplot(const std::string& script) {
  std::string program = find_gnuplot(), argument = script;
  char* argv[] = {program.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t silent;
  posix_spawn_file_actions_init(&silent);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&silent, stream, "/dev/null", O_RDWR, 0);
  pid_t child = 0;
  const int failed = posix_spawn(&child, program.c_str(), &silent, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&silent);
  if (failed != 0) return -1;
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

void require_plotting(const std::string& file) {
  require(!find_gnuplot().empty(),
          "{}: plots are drawn by gnuplot, which is not on the PATH; install it (apt-get install gnuplot-nox), or "
          "write .csv or .json",
          file);
}

void write_plot(const std::string& file, const std::vector<Panel>& panels, int columns) {
  require(!panels.empty() && columns > 0, "{}: a plot needs a panel", file);
  require_plotting(file);
  AtomicFile picture(file);
  const AtomicFile script_file(file + ".gnuplot");  // removed again
  Script script(picture.temporary().string(), panels.size(), columns);
  for (const auto& panel : panels) script.add(panel);
  write_file(script_file.temporary(), script.text());
  const int status = run_gnuplot(script_file.temporary().string());
  require(status == 0, "{}: gnuplot failed (exit code {})", file, status);
  picture.commit();
}

}  // namespace costate
