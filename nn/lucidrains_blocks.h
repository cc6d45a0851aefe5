// The blocks of lucidrains' Unet: convolution, norm, activation in this order; full and linear attention with memory.
#pragma once

#include <optional>
#include <string>

#include "nn/conv2d.h"
#include "nn/family.h"
#include "nn/group_norm.h"
#include "nn/linear.h"
#include "nn/rms_norm.h"

namespace costate {

/// RMS norm, or in releases before 2.0 a group norm.
struct LucidNorm {
  std::optional<RmsNorm> rms;
  std::optional<GroupNorm> group;

  LucidNorm() = default;
  LucidNorm(std::int64_t channels, bool groups) {
    if (groups)
      group.emplace(channels, 8, 1e-5);
    else
      rms.emplace(channels);
  }
  static void fields(auto& self, auto&& visit) {
    visit("", self.rms);
    visit("", self.group);
  }
  [[nodiscard]] Tensor operator()(const Tensor& x) const { return rms ? (*rms)(x) : (*group)(x); }
};

/// Two of (convolution, norm, SiLU), the first scaled and shifted by the time before SiLU, and a shortcut.
struct LucidResBlock {
  Linear time;
  Conv2d conv1, conv2;
  LucidNorm norm1, norm2;
  std::optional<Linear> shortcut;

  LucidResBlock() = default;
  LucidResBlock(std::int64_t in, std::int64_t out, std::int64_t time_width, bool groups);

  static void fields(auto& self, auto&& visit) {
    visit("mlp.1", self.time);
    visit("block1.proj", self.conv1);
    visit("block1.norm", self.norm1);
    visit("block2.proj", self.conv2);
    visit("block2.norm", self.norm2);
    visit("res_conv", self.shortcut);
  }

  /// x (n, h, w, in), the activated time embedding (n, time) -> (n, h, w, out)
  [[nodiscard]] Tensor operator()(const Tensor& x, const Tensor& time_embedding) const;
};

/// Attention with `memory` learned keys and values before those of the pixels, without the residual.
struct LucidAttention {
  RmsNorm norm;
  Tensor mem_kv;  ///< (2, heads, memory, width), linear attention: (2, heads, width, memory); or undefined
  Linear to_qkv, to_out;
  std::optional<RmsNorm> out_norm;  ///< linear attention only
  std::int64_t heads = 1, width = 1;
  bool wrapped = false;  ///< releases before 1.8: inside two wrappers, which own the norm

  LucidAttention() = default;
  LucidAttention(std::int64_t channels, std::int64_t number, std::int64_t head_width, std::int64_t memory, bool linear);

  static void fields(auto& self, auto&& visit) {
    const auto key = [&](const char* name) { return std::string(self.wrapped ? "fn.fn." : "") + name; };
    visit(self.wrapped ? "fn.norm" : "norm", self.norm);
    visit(key("mem_kv").c_str(), self.mem_kv);
    visit(key("to_qkv").c_str(), self.to_qkv);
    visit(key(self.out_norm ? "to_out.0" : "to_out").c_str(), self.to_out);
    visit(key("to_out.1").c_str(), self.out_norm);
  }

  /// (n, h, w, c) -> the same
  [[nodiscard]] Tensor operator()(const Tensor& x) const;

 private:
  /// Softmax over all keys (full), or linear attention (Shen et al. 2021, "Efficient Attention"); q (n, t, heads width).
  [[nodiscard]] Tensor full(const Tensor& q, const Tensor& k, const Tensor& v) const;
  [[nodiscard]] Tensor linear(const Tensor& q, const Tensor& k, const Tensor& v) const;
  /// Memory `which` (0 keys, 1 values) as tokens before `tokens` (n, t, heads width).
  [[nodiscard]] Tensor remembered(const Tensor& tokens, std::int64_t which) const;
};

/// What the keys of a file say of these blocks and configurations do not.
struct LucidKeys {
  const KeyShapes& keys;
  std::string prefix;

  /// Are the norms those of releases before 2.0?
  [[nodiscard]] bool groups() const { return shape("mid_block1.block1.norm.weight") != nullptr; }
  /// The attention under a key; `linear` where the keys do not say.
  [[nodiscard]] LucidAttention attention(const std::string& key, std::int64_t channels, std::int64_t heads,
                                         std::int64_t width, bool linear) const;

 private:
  [[nodiscard]] const Shape* shape(const std::string& key) const;
};

/// Two residual blocks, attention, and a change of size and channels.
struct LucidLevel {
  LucidResBlock block1, block2;
  LucidAttention attention;
  std::optional<Conv2d> conv;    ///< the last level's, and after doubling
  std::optional<Linear> linear;  ///< after each 2 x 2 pixels became one
  bool doubles = false;

  static void fields(auto& self, auto&& visit) {
    visit("0", self.block1);
    visit("1", self.block2);
    visit("2", self.attention);
    visit(self.doubles ? "3.1" : "3", self.conv);
    visit("3.1", self.linear);
  }

  [[nodiscard]] Tensor resize(const Tensor& x) const;
};

}  // namespace costate
