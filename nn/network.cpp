// Conversions between the layouts of files and of this library, and what every network refuses alike.
#include "nn/network.h"

#include <algorithm>

#include "autodiff/ops/permute.h"
#include "core/config.h"

namespace costate {

Tensor Network::embed_classes(const Tensor& classes) const {
  fail("embed_classes: this network has no label table, but {} labels were given",
       classes.defined() ? classes.size() : 0);
}

Tensor& input(Inputs& in, const std::string& name) { return name == "x" ? in.x : name == "z" ? in.z : in.extra[name]; }

std::shared_ptr<const Network> Network::part(const std::string& name) const {
  const std::vector<std::string> all = parts();
  require(!all.empty(), "part {}: this network is one function and has no parts", name);
  if (std::find(all.begin(), all.end(), name) == all.end()) fail_unknown("part", name, all);
  return select(name);
}

std::shared_ptr<const Network> Network::select(const std::string& part) const {
  fail("part {}: this network cannot select one", part);
}

std::vector<double> per_row(const char* name, const std::vector<double>& values, std::int64_t rows) {
  if (values.size() == 1) return std::vector<double>(static_cast<std::size_t>(rows), values[0]);
  require(static_cast<std::int64_t>(values.size()) == rows,
          "network: {} of {} for {} rows; wants one a row, or one for all", values.size(), name, rows);
  return values;
}

Shape file_shape(const Shape& here, Layout layout) {
  if (layout == Layout::plain) return here;
  if (layout == Layout::conv) {
    require(here.rank() == 4, "layout: wants a convolution (kh, kw, in, out), got {}", here);
    return {here[3], here[2], here[0], here[1]};
  }
  if (layout == Layout::image) {
    require(here.rank() == 3, "layout: wants an image (h, w, c), got {}", here);
    return {here[2], here[0], here[1]};
  }
  require(here.rank() == 2, "layout: wants a matrix (in, out), got {}", here);
  return {here[1], here[0]};
}

Tensor from_file_layout(const Tensor& file, Layout layout) {
  if (layout == Layout::plain) return file;
  if (layout == Layout::conv) {
    require(file.rank() == 4, "layout: wants a convolution (out, in, kh, kw), got {}", file.shape());
    return permute(file, {2, 3, 1, 0});
  }
  if (layout == Layout::image) {
    require(file.rank() == 3, "layout: wants an image (c, h, w), got {}", file.shape());
    return permute(file, {1, 2, 0});
  }
  const bool one_by_one = layout == Layout::either && file.rank() > 2 && file.size() == file.dim(0) * file.dim(1);
  require(file.rank() == 2 || one_by_one, "layout: wants a matrix (out, in){}, got {}",
          layout == Layout::either ? " or a 1x1 convolution" : "", file.shape());
  return permute(file.reshaped({file.dim(0), file.dim(1)}), {1, 0});
}

Tensor to_file_layout(const Tensor& here, Layout layout, const Shape& like) {
  if (layout == Layout::plain) return here;
  const Shape shape = file_shape(here.shape(), layout);  // checks the rank
  if (layout == Layout::image) return permute(here, {2, 0, 1});
  const Tensor file = permute(here, layout == Layout::conv ? std::vector<int>{3, 2, 0, 1} : std::vector<int>{1, 0});
  return layout == Layout::either && like.size() == shape.size() ? file.reshaped(like) : file;
}

}  // namespace costate
