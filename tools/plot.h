// Plots to SVG: lines and points in one or several panels, labelled at their ends. Drawn by gnuplot at run time.
#pragma once

#include <string>
#include <vector>

namespace costate {

struct Series {
  std::string label;  ///< stands at the right, at the line's end or as in a key
  std::vector<double> x, y;
  bool dashed = false;
};

/// A triangle that shows a slope in a log-log panel: y falls as x^-order.
struct OrderTriangle {
  int order = 1;
};

struct Panel {
  std::string title, x_label, y_label;
  bool log_x = true, log_y = true;
  std::vector<Series> series = {};
  std::vector<OrderTriangle> triangles = {};
};

/// Writes the panels, at most `columns` side by side. Points that are not finite, or not positive on a logarithmic axis, are
/// left out; a series without any is left out with its label. Throws where gnuplot is missing, saying how to get it.
void write_plot(const std::string& file, const std::vector<Panel>& panels, int columns = 2);

/// Throws as write_plot would for want of gnuplot: before the work, not after it.
void require_plotting(const std::string& file);

}  // namespace costate
