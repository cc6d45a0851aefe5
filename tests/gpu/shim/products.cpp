// Products of warps and of warp groups on the shim (gpu/ptx.h, gpu/ptx_groups.h). What they touch in shared memory they tell: the compiler
// looks at kernels only, and here it would be three quarters of the time.
#include <algorithm>

#include "gpu/ptx.h"
#include "gpu/ptx_groups.h"
#include "tests/gpu/shim/races.h"

namespace costate::cuda {
namespace {

float in_f32(std::uint16_t bits) {
  bf16 value;
  value.bits = bits;
  return static_cast<float>(value);
}
float of_pair(std::uint32_t pair, unsigned k) {
  return in_f32(static_cast<std::uint16_t>(k % 2 == 0 ? pair : pair >> 16));
}
float of_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr unsigned most_terms = 16;

/// What the chip asks of a factor in shared memory: its pattern of 1024 bytes begins at a multiple of them, from where it steps by 32 bytes of
/// terms along lines, or by whole lines.
void check(const Terms& t, bool across, unsigned rows) {
  const auto at = reinterpret_cast<std::uintptr_t>(t.at);
  if (across ? at % 1024 != 0 : at % 1024 >= 128 || at % 32 != 0) shim::broken("a factor is not where a tile begins");
  if (across && (t.rows_64 % 16 != 0 || t.rows_64 >= 1U << 18)) shim::broken("a factor's rows are no words apart");
  const std::size_t bytes = across ? (rows - 1) / 64 * t.rows_64 + 16 * 128 : (rows - 1) * 128 + 32;
  if (!shim::lies_in_shared(t.at, bytes)) shim::broken("a factor is not in shared memory");
}

/// All terms of a row in shared memory: words are found by their addresses, as the chip does. Who waits for a product waits for all of its
/// warp's, so the first thread stands for them; a row that several lanes read need be told of once.
template <class Bits>
void read_row(float* terms, const Terms& from, bool across, unsigned row, bool tells) {
  const auto there = [&](unsigned k) {
    const char* const at =
        across ? from.at + row / 64 * from.rows_64 + k * 128 + row % 64 * 2 : from.at + row * 128 + k * sizeof(Bits);
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    return reinterpret_cast<const char*>(address ^ (address >> 7 & 7) << 4);
  };
  const std::size_t warp_leader = shim::number_in_cluster() - shim::lane_id(), told = across ? sizeof(Bits) : 16;
  for (unsigned k = 0; k < 32 / sizeof(Bits); ++k) {
    if (tells && k * sizeof(Bits) % told == 0) shim::races::reads(warp_leader, there(k), told, shim::races::By::engine);
    Bits bits;
    std::memcpy(&bits, there(k), sizeof bits);
    if constexpr (sizeof(Bits) == 2)
      terms[k] = in_f32(bits);
    else
      terms[k] = of_bits(bits);
  }
}
void read_row(float* terms, const Terms& from, bool tf32, bool across, unsigned row, bool tells) {
  tf32 ? read_row<std::uint32_t>(terms, from, across, row, tells)
       : read_row<std::uint16_t>(terms, from, across, row, tells);
}

void make(float* c, unsigned values, const Left& left, const Terms& b, ProductKind kind) {
  const unsigned lane = shim::lane_id(), row = threadIdx.x / 32 % 4 * 16 + lane / 4, terms = kind.tf32 ? 8 : most_terms;
  float rows[2][most_terms], right[most_terms];
  for (unsigned half = 0; half < 2; ++half) {
    if (left.registers[0] == nullptr)
      read_row(rows[half], left.shared, kind.tf32, left.across, row + half * 8, lane % 4 == 0);
    else
      for (unsigned k = 0; k < terms; ++k)
        rows[half][k] = kind.tf32 ? of_bits(left.registers[k % 4][half + k / 4 * 2])
                                  : of_pair(left.registers[k % 8 / 2][half + k / 8 * 2], k);
  }
  if (!kind.adds) std::fill(c, c + values, 0.0F);
  for (unsigned i = 0; i < values; i += 4)
    for (unsigned e = 0; e < 2; ++e) {
      read_row(right, b, kind.tf32, kind.b_across, i / 4 * 8 + lane % 4 * 2 + e, lane < 4);
      for (unsigned k = 0; k < terms; ++k) {
        c[i + e] += rows[0][k] * right[k];
        c[i + 2 + e] += rows[1][k] * right[k];
      }
    }
}

/// c += a b of a warp, a register having `pair` terms of each factor, 1 or 2: m16n8k8 and m16n8k16. term(bits, k): term k of a register.
template <class Term>
void multiply_by_warp(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, unsigned pair,
                      const Term& term) {
  struct Factors {
    std::uint32_t a[4], b[2];
  };
  const shim::OfWarp all(Factors{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  const unsigned lane = shim::lane_id(), row = lane / 4, column = lane % 4 * 2;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned m = row + i / 2 * 8, n = column + i % 2;
    for (unsigned k = 0; k < 8 * pair; ++k) {
      const unsigned of = k / pair % 4, half = k / (4 * pair);  // lane of four, and its first or second register
      c[i] += term(all[m % 8 * 4 + of].a[m / 8 + half * 2], k) * term(all[n * 4 + of].b[half], k);
    }
  }
}

}  // namespace

void multiply_later(float* c, unsigned values, const Left& left, const Terms& b, ProductKind kind) {
  const bool held = left.registers[0] != nullptr;
  if (!held) check(left.shared, left.across, 64);
  check(b, kind.b_across, 2 * values);
  const std::uint32_t* const mine = left.registers[shim::lane_id() % 4];
  shim::product_later(
      [=] { make(c, values, left, b, kind); }, {{c, values * sizeof(float)}, {mine, held ? 4 * sizeof *mine : 0}},
      reinterpret_cast<std::uintptr_t>(b.at) * 256 + reinterpret_cast<std::uintptr_t>(left.shared.at) + values);
}

void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  multiply_by_warp(c, a, b0, b1, 2, of_pair);
}

void multiply_add_tf32(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  multiply_by_warp(c, a, b0, b1, 1, [](std::uint32_t bits, unsigned) { return of_bits(bits); });
}

}  // namespace costate::cuda
