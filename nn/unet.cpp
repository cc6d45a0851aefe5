// Building the cells of a U-Net from its plan, and running them.
#include "nn/unet.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/concat.h"

namespace costate {
namespace {

using Change = UNetPlan::Change;
using ImageIn = UNetPlan::ImageIn;
using ImageOut = UNetPlan::ImageOut;
using Part = UNetPart;

/// A 3x3 convolution of stride 2; after fir_blur it needs no zeros around.
Conv2d strided(std::int64_t in, std::int64_t out, bool padded, Resampling before) {
  ConvGeometry g{.stride_h = 2, .stride_w = 2};
  if (before != Resampling::fir_blur) {
    g.bottom = g.right = 1;
    g.top = g.left = padded ? 1 : 0;
  }
  return {in, out, 3, g};
}

/// Appends cells and keeps account of the channels.
class Builder {
 public:
  Builder(const UNetPlan& plan, std::vector<UNetCell>& cells)
      : p_(plan), cells_(cells), skips_(plan.channels.size()), image_(plan.in_channels) {}

  void encoder() {
    UNetCell& in = add();
    in.conv.emplace(p_.in_channels, p_.first, 3);
    in.conv_key = p_.key(Part::conv_in, 0, 0);
    give(in, p_.first, 0);
    for (std::int64_t level = 0; level < levels(); ++level) {
      for (std::int64_t i = 0; i < p_.blocks; ++i) {
        UNetCell& cell = add();
        block(cell, p_.channels[at(level)], p_.key(Part::down_block, level, i));
        if (p_.attention[at(level)]) attention(cell, p_.key(Part::down_attention, level, i), false);
        give(cell, channels_, level);
      }
      if (level + 1 < levels()) down(level);
    }
    for (std::int64_t i = 0; i < 2; ++i) {
      UNetCell& cell = add();
      block(cell, channels_, p_.key(Part::mid_block, levels() - 1, i));
      if (i == 0 && p_.mid_attention) attention(cell, p_.key(Part::mid_attention, levels() - 1, 0), false);
    }
  }

  void decoder() {
    const auto& widths = p_.up_channels.empty() ? p_.channels : p_.up_channels;
    for (std::int64_t level = levels() - 1; level >= 0; --level) {
      for (std::int64_t i = 0; i < p_.up_blocks; ++i) {
        UNetCell& cell = add();
        take(cell, level);
        block(cell, widths[at(level)], p_.key(Part::up_block, level, i));
        if (p_.attention[at(level)] && (p_.attention_each_up || i + 1 == p_.up_blocks))
          attention(cell, p_.key(Part::up_attention, level, i), true);
      }
      if (p_.image_out != ImageOut::none) image_out(level);
      if (level > 0) up(level);
    }
  }

  [[nodiscard]] std::int64_t channels() const { return channels_; }

 private:
  [[nodiscard]] std::int64_t levels() const { return static_cast<std::int64_t>(p_.channels.size()); }
  static std::size_t at(std::int64_t level) { return static_cast<std::size_t>(level); }
  UNetCell& add() { return cells_.emplace_back(); }

  void give(UNetCell& cell, std::int64_t channels, std::int64_t level) {
    channels_ = channels;
    cell.gives = level;
    skips_[at(level)].push_back(channels);
  }

  void take(UNetCell& cell, std::int64_t level) {
    auto& left = skips_[at(level)];
    if (left.empty()) return;
    cell.takes = level;
    channels_ += left.back();
    left.pop_back();
  }

  void block(UNetCell& cell, std::int64_t out, std::string key, Resampling resampling = Resampling::none) {
    ResBlockPlan plan = p_.block(channels_, out);
    plan.resampling = resampling;
    plan.project = plan.project && resampling != Resampling::none;
    plan.filter = p_.filter;
    plan.stores_filter = p_.stores_filter;
    cell.block.emplace(plan);
    cell.block_key = std::move(key);
    channels_ = out;
  }

  void attention(UNetCell& cell, std::string key, bool up) {
    const AttentionPlan plan = p_.attend(channels_, up);
    if (plan.heads == 0) return;  // EDM: too few channels for a head
    cell.attention.emplace(plan);
    cell.attention_key = std::move(key);
  }

  void change(UNetCell& cell, std::string key, bool shrink) {
    const Resampling how = shrink ? p_.down : p_.up;
    cell.filter = p_.filter;
    if (p_.change == Change::block) return block(cell, channels_, std::move(key), how);
    cell.conv_key = std::move(key);
    if (p_.change == Change::resampling) {
      cell.resampling = how;
    } else if (shrink) {
      if (how == Resampling::fir_blur) cell.resampling = how;
      cell.conv = strided(channels_, channels_, p_.padded_down, how);
    } else {
      cell.resampling = how;
      cell.conv.emplace(channels_, channels_, 3);
    }
  }

  void down(std::int64_t level) {
    UNetCell& cell = add();
    change(cell, p_.key(Part::down, level, 0), true);
    cell.image_in = p_.image_in;
    if (p_.image_in != ImageIn::none) {
      const bool residual = p_.image_in == ImageIn::residual;
      image_filter(cell, level, 0);
      cell.image_key = p_.key(Part::image_in, level, 0);
      cell.image_resampling = p_.image_down;
      cell.image_divisor = p_.image_divisor;
      cell.image_conv = residual ? strided(image_, channels_, false, p_.image_down) : Conv2d(image_, channels_, 1);
      if (residual) image_ = channels_;
      if (p_.image_in == ImageIn::cat) channels_ *= 2;
    }
    give(cell, channels_, level + 1);
  }

  void up(std::int64_t level) { change(add(), p_.key(Part::up, level, 0), false); }

  void image_out(std::int64_t level) {
    UNetCell& cell = add();
    cell.activation = p_.activation;
    const bool first = level + 1 == levels(), residual = p_.image_out == ImageOut::residual;
    if (!first) {
      cell.image_resampling = p_.image_up;
      image_filter(cell, level, 1);
    }
    if (residual && !first) {
      cell.image_in = ImageIn::residual;
      cell.image_divisor = p_.image_divisor;
      cell.image_conv.emplace(image_, channels_, 3);
    } else {
      cell.image_norm.emplace(channels_, p_.groups(channels_), p_.eps);
      cell.image_norm_key = p_.key(Part::image_norm, level, 0);
      cell.image_conv.emplace(channels_, residual ? channels_ : p_.out_channels, 3);
    }
    cell.image_key = p_.key(Part::image_conv, level, 0);
    image_ = channels_;
  }

  void image_filter(UNetCell& cell, std::int64_t level, std::int64_t index) {
    cell.filter = p_.filter;
    if (!p_.stores_filter) return;
    const auto taps = static_cast<std::int64_t>(p_.filter.size());
    cell.image_filter = parameter({1, 1, taps, taps});
    cell.filter_key = p_.key(Part::image_filter, level, index);
  }

  const UNetPlan& p_;
  std::vector<UNetCell>& cells_;
  std::vector<std::vector<std::int64_t>> skips_;
  std::int64_t channels_ = 0, image_;
};

}  // namespace

std::vector<bool> UNetPlan::at_resolutions(const std::vector<std::int64_t>& resolutions, std::int64_t size,
                                           std::size_t levels) {
  std::vector<bool> found;
  for (std::size_t level = 0; level < levels; ++level, size /= 2)
    found.push_back(std::find(resolutions.begin(), resolutions.end(), size) != resolutions.end());
  return found;
}

std::vector<bool> UNetPlan::at_factors(const std::vector<std::int64_t>& factors, std::size_t levels) {
  std::vector<bool> found;
  for (std::size_t level = 0; level < levels; ++level)
    found.push_back(std::find(factors.begin(), factors.end(), std::int64_t{1} << level) != factors.end());
  return found;
}

void UNetCell::pass_image(UNetFlow& flow) const {
  const Filter taps = image_filter.defined() ? filter_from(image_filter) : filter;
  if (image_norm) {  // on the way up
    const Tensor more = (*image_conv)(image_norm->then(activation, flow.h));
    flow.image = flow.image.defined() ? resample(image_resampling, flow.image, taps) + more : more;
    return;
  }
  flow.image = resample(image_resampling, flow.image, taps);
  const Tensor seen = (*image_conv)(flow.image);
  if (image_in == ImageIn::residual)
    flow.h = flow.image = lincomb(1 / image_divisor, seen, 1 / image_divisor, flow.h);
  else
    flow.h = image_in == ImageIn::cat ? concat({seen, flow.h}, 3) : seen + flow.h;
}

void UNetCell::operator()(UNetFlow& flow) const {
  if (takes >= 0) {
    auto& skips = flow.skips[static_cast<std::size_t>(takes)];
    flow.h = concat({flow.h, skips.back()}, 3);
    skips.pop_back();
  }
  if (block) flow.h = (*block)(std::move(flow.h), flow.time, flow.code);
  if (attention) flow.h = (*attention)(flow.h);
  flow.h = resample(resampling, flow.h, filter);
  if (conv) flow.h = (*conv)(flow.h);
  if (image_conv) pass_image(flow);
  if (gives >= 0) flow.skips[static_cast<std::size_t>(gives)].push_back(flow.h);
}

UNet::UNet(UNetPlan p) : plan(std::move(p)) {
  Builder build(plan, cells);
  build.encoder();
  if (!plan.decoder) return;
  build.decoder();
  if (plan.image_out == ImageOut::sum) return;
  norm_out.emplace(build.channels(), plan.groups(build.channels()), plan.eps);
  norm_key = plan.key(Part::norm_out, 0, 0);
  conv_out.emplace(build.channels(), plan.out_channels, 3);
  conv_key = plan.key(Part::conv_out, 0, 0);
}

Tensor UNet::operator()(const Tensor& x, const Tensor& time, const Tensor& code, Tensors* each) const {
  require(x.rank() == 4 && x.dim(3) == plan.in_channels && x.dim(1) % size_step() == 0 && x.dim(2) % size_step() == 0,
          "unet: wants x (n, h, w, {}) with h and w divisible by {}, got {}", plan.in_channels, size_step(), x.shape());
  std::vector<const ResBlock*> blocks;
  for (const auto& cell : cells)
    if (cell.block) blocks.push_back(&*cell.block);
  UNetFlow flow{.h = x,
                .time = BlockTime(time, blocks),
                .code = code,
                .image = x,
                .skips = std::vector<Tensors>(plan.channels.size())};
  bool down = true;
  for (const auto& cell : cells) {
    if (down && cell.takes >= 0) down = false, flow.image = Tensor();
    cell(flow);
    if (each != nullptr && cell.gives >= 0) each->push_back(flow.h);
  }
  if (!plan.decoder && each != nullptr) each->push_back(flow.h);
  if (!plan.decoder) return flow.h;
  return plan.image_out == ImageOut::sum ? flow.image : (*conv_out)(norm_out->then(plan.activation, flow.h));
}

std::vector<std::int64_t> UNet::feature_channels() const {
  std::vector<std::int64_t> all;
  const auto of = [](const UNetCell& c) { return c.conv ? c.conv->weight.dim(3) : c.block ? c.block->plan.out : 0; };
  for (const auto& cell : cells)
    if (cell.gives >= 0) all.push_back(of(cell) != 0 ? of(cell) : all.back());
  all.push_back(of(cells.back()));
  return all;
}

std::string UNet::summary() const {
  return fmt::format("U-Net, {} channels, {} residual blocks a level, attention in {} of {} levels",
                     fmt::join(plan.channels, "-"), plan.blocks,
                     std::count(plan.attention.begin(), plan.attention.end(), true), plan.channels.size());
}

}  // namespace costate
