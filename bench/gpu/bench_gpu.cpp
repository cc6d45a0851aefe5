// Times the CUDA kernels below the tape, recorded as graphs, on the shapes of diffusion networks: one line of text a shape.
// bench/peers/gpu_torch.py prints the same lines for PyTorch. `bench_gpu --match conv3` keeps lines that hold the text.
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string_view>
#include <vector>

#include "core/kernels/adam.h"
#include "core/kernels/attention.h"
#include "core/kernels/binary.h"
#include "core/kernels/conv2d.h"
#include "core/kernels/copy.h"
#include "core/kernels/group_norm.h"
#include "core/kernels/matmul.h"
#include "core/kernels/reduce.h"
#include "core/kernels/silu.h"
#include "core/profile.h"
#include "core/random.h"
#include "gpu/attention/ways.h"
#include "gpu/cudnn/library.h"
#include "gpu/group_ways.h"
#include "gpu/runtime.h"
#include "gpu/winograd.h"

namespace costate {
namespace {

/// Calls recorded as a graph, so that the host's part of a call is not in their time.
class Recorded {
 public:
  template <class F>
  Recorded(int times, const F& f) {
    cuda::check("bench", cudaEventCreate(&start_));
    cuda::check("bench", cudaEventCreate(&stop_));
    cudaGraph_t graph{};
    cuda::check("bench", cudaStreamBeginCapture(cuda::stream(), cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < times; ++i) f();
    cuda::check("bench", cudaStreamEndCapture(cuda::stream(), &graph));
    cuda::check("bench", cudaGraphInstantiate(&calls_, graph, 0));
    cuda::check("bench", cudaGraphDestroy(graph));
  }
  ~Recorded() { cudaEventDestroy(start_), cudaEventDestroy(stop_), cudaGraphExecDestroy(calls_); }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

  double milliseconds() {
    cuda::check("bench", cudaEventRecord(start_, cuda::stream()));
    cuda::check("bench", cudaGraphLaunch(calls_, cuda::stream()));
    cuda::check("bench", cudaEventRecord(stop_, cuda::stream()));
    cuda::check("bench", cudaEventSynchronize(stop_));
    float ms = 0;
    cuda::check("bench", cudaEventElapsedTime(&ms, start_, stop_));
    return ms;
  }

 private:
  cudaEvent_t start_{}, stop_{};
  cudaGraphExec_t calls_{};
};

/// Microseconds of a call: the median of five groups of calls.
template <class F>
double time_of(const F& f) {
  f();  // takes what memory it needs, which recorded calls find again
  Recorded some(3, f);
  some.milliseconds();
  const int times = std::clamp(static_cast<int>(4.5 / some.milliseconds()), 2, 100);
  Recorded calls(times, f);
  calls.milliseconds();
  std::vector<double> all(5);
  for (auto& t : all) t = 1000 * calls.milliseconds() / times;
  std::sort(all.begin(), all.end());
  return all[2];
}

/// Random numbers: constant ones would let the chip clock higher. A batch is one image again and again.
Tensor numbers(const Shape& shape, DType dtype, std::uint64_t seed) {
  const Tensor one = normal_noise(seed, 0, 1, 0, shape.with(0, 1));
  const std::vector<double> image = one.to_vector();
  std::vector<double> all;
  for (std::int64_t i = 0; i < shape[0]; ++i) all.insert(all.end(), image.begin(), image.end());
  return Tensor::from(all, shape, dtype).to(Device::cuda);
}

Tensor room(const Shape& shape, DType dtype) { return Tensor::empty(shape, {dtype, Device::cuda}); }

std::string& wanted() {
  static std::string text;
  return text;
}
bool is_wanted(const std::string& what) { return what.find(wanted()) != std::string::npos; }

void print(const std::string& what, std::string_view type, const std::string& times) {
  fmt::print("{:<34} {:<10}  {}\n", what, type, times);
  std::fflush(stdout);
}
std::string with_rate(std::string_view what, double us, double flop) {
  return fmt::format("{} {:8.1f} us {:6.1f} TF  ", what, us, flop / us * 1e-6);
}

/// "fwd", or where cuDNN was asked for and own kernels ran, "fwd by own".
template <class F>
std::string who_ran(std::string_view what, ConvAlgorithm asked, const F& f) {
  const Profile profile;
  {
    const ProfileScope scope("call");
    f();
  }
  const auto rows = profile.rows();
  const bool theirs = std::any_of(rows.begin(), rows.end(), [](const auto& row) { return row.name == "call cudnn"; });
  return fmt::format("{}{}", what, asked == ConvAlgorithm::vendor && !theirs ? " by own" : "");
}

struct Conv {
  std::int64_t kernel, cin, cout, size;
};

void convolution(const Conv& c, std::int64_t batch, DType dtype) {
  const std::string what = fmt::format("conv{} {}>{}@{} n{}", c.kernel, c.cin, c.cout, c.size, batch);
  if (!is_wanted(what)) return;
  const std::int64_t pad = c.kernel / 2;
  const ConvGeometry g{.top = pad, .bottom = pad, .left = pad, .right = pad};
  const Shape xs{batch, c.size, c.size, c.cin}, ys{batch, c.size, c.size, c.cout},
      ws{c.kernel, c.kernel, c.cin, c.cout};
  const Tensor x = numbers(xs, dtype, 1), w = numbers(ws, dtype, 2), slope = numbers(ys, dtype, 3);
  Tensor y = room(ys, dtype), dx = room(xs, dtype), dw = room(ws, dtype);
  const double flop = 2.0 * static_cast<double>(ys.size() * c.kernel * c.kernel * c.cin);
  const auto time = [&](const char* what, const auto& f) {  // of so many operations, whatever the way needs
    return with_rate(who_ran(what, conv_algorithm(Device::cuda), f), time_of(f), flop);
  };
  using Way = std::pair<const char*, ConvAlgorithm>;
  for (const auto& [name, way] : {Way{"direct", ConvAlgorithm::direct}, Way{"cudnn", ConvAlgorithm::vendor}}) {
    if (way == ConvAlgorithm::vendor && !cuda::cudnn::is_there()) continue;
    set_conv_algorithm(way, Device::cuda);
    for (const Products products : {Products::full, Products::tf32}) {
      if (products == Products::tf32 && dtype != DType::f32) continue;
      set_products_in_f32(products);
      print(what, fmt::format("{} {}", products == Products::tf32 ? "tf32" : name_of(dtype), name),
            time("fwd", [&] { cuda::conv2d(g, x, w, {}, {}, y); }) + time("dx", [&] {
              cuda::conv2d_dx(g, slope, w, {}, dx);
            }) + time("dw", [&] { cuda::conv2d_dw(g, x, slope, dw); }));
    }
  }
  set_conv_algorithm(ConvAlgorithm::direct, Device::cuda);
  set_products_in_f32(dtype == DType::f32 ? Products::tf32 : Products::full);
  for (int way = 0; way < cuda::group_ways && c.kernel == 3 && c.cin == c.cout; ++way) {  // what its estimate goes by
    cuda::force_group_way(way);
    print(what, fmt::format("{} way {}", dtype == DType::f32 ? "tf32" : name_of(dtype), way),
          time("fwd", [&] { cuda::conv2d(g, x, w, {}, {}, y); }) + time("dx", [&] {
            cuda::conv2d_dx(g, slope, w, {}, dx);
          }) + time("dw", [&] { cuda::conv2d_dw(g, x, slope, dw); }));
  }
  cuda::force_group_way(-1);
  set_conv_algorithm(ConvAlgorithm::own, Device::cuda);
  set_products_in_f32(Products::full);
  if (dtype != DType::f32 || c.kernel != 3 || c.cin % 4 != 0 || c.cout % 4 != 0) return;
  // Forced, with stretches of several lengths; a star marks the way that is taken by itself.
  const int taken = cuda::winograd_outputs(c.size, c.size, c.cin, c.cout);
  for (const int m : {4, 2})
    for (const std::int64_t mib : {8, 32, 64, 128}) {
      if (m == 2 && mib != 32) continue;
      print(what, fmt::format("F({},3){} {}M", m, m == taken ? "*" : "", mib),
            time("fwd", [&] {
              cuda::winograd({m, false, pad, pad}, x, w, {}, {}, y, mib << 20);
            }) + time("dx", [&] {
              cuda::winograd({m, true, 2 - pad, 2 - pad}, slope, w, {}, {}, dx, mib << 20);
            }));
    }
}

struct Product {
  std::int64_t batch, m, k, n;
};

void product(const Product& p, DType dtype) {
  const std::string what = fmt::format("matmul {} x ({},{},{})", p.batch, p.m, p.k, p.n);
  if (!is_wanted(what)) return;
  const Tensor a = numbers({p.batch, p.m, p.k}, dtype, 1), b = numbers({p.batch, p.k, p.n}, dtype, 2),
               across = numbers({p.batch, p.n, p.k}, dtype, 3);
  Tensor c = room({p.batch, p.m, p.n}, dtype);
  const double flop = 2.0 * static_cast<double>(p.batch * p.m * p.k * p.n);
  for (const Products products : {Products::full, Products::tf32}) {
    if (products == Products::tf32 && dtype != DType::f32) continue;
    set_products_in_f32(products);
    print(what, products == Products::tf32 ? "tf32" : name_of(dtype),
          with_rate("ab", time_of([&] { cuda::matmul(false, false, a, b, {}, {}, c); }), flop) +
              with_rate("ab^T", time_of([&] { cuda::matmul(false, true, a, across, {}, {}, c); }), flop));
  }
  set_products_in_f32(Products::full);
}

struct Heads {
  std::int64_t batch, tokens, heads, width;
  std::int64_t others = 0;  ///< tokens that are attended to; 0: the same
};

void attend(const Heads& h, DType dtype) {
  const std::int64_t keys = h.others > 0 ? h.others : h.tokens;
  const std::string what = fmt::format("attention n{} t{}{} h{} d{}", h.batch, h.tokens,
                                       h.others > 0 ? fmt::format("/{}", keys) : "", h.heads, h.width);
  if (!is_wanted(what)) return;
  const Shape s{h.batch, h.tokens, h.heads * h.width}, t = s.with(1, keys);
  const Tensor q = numbers(s, dtype, 1), k = numbers(t, dtype, 2), v = numbers(t, dtype, 3), g = numbers(s, dtype, 4);
  Tensor y = room(s, dtype);
  AttentionGrads grads = AttentionGrads::room_for({q, k, v});
  const AttentionSpec spec{h.heads, 1 / std::sqrt(static_cast<double>(h.width))};
  const double flop = 4.0 * static_cast<double>(h.batch * h.heads * h.tokens * keys * h.width);
  print(what, name_of(dtype),
        with_rate("fwd", time_of([&] { cuda::attention(spec, q, k, v, y); }), flop) +
            with_rate("vjp", time_of([&] { cuda::attention_vjp(spec, q, k, v, g, grads); }), 2.5 * flop));
  if (dtype != DType::bf16) return;
  // Both ways forced; a star marks the one that is taken by itself.
  struct Way {
    const char* name;
    decltype(cuda::attend_by_groups)* forward;
    decltype(cuda::attend_vjp_by_groups)* vjp;
    bool taken;
  };
  const bool groups = cuda::groups_pay(h.tokens, keys, h.width) && cuda::attend_by_groups(spec, q, k, v, y);
  for (const auto& [name, forward, vjp, taken] :
       {Way{"warps", cuda::attend_by_warps, cuda::attend_vjp_by_warps, !groups},
        Way{"groups", cuda::attend_by_groups, cuda::attend_vjp_by_groups, groups}})
    if (forward(spec, q, k, v, y))
      print(what, fmt::format("{}{}", name, taken ? " *" : ""),
            with_rate("fwd", time_of([&] { forward(spec, q, k, v, y); }), flop) +
                (vjp(spec, q, k, v, g, grads)
                     ? with_rate("vjp", time_of([&] { vjp(spec, q, k, v, g, grads); }), 2.5 * flop)
                     : ""));
}

struct Image {
  std::int64_t batch, channels, size;
};

/// "fwd 9.1 us 1.20 TB/s", where `bytes` have to be read and written.
template <class F>
std::string with_bandwidth(std::string_view what, std::size_t bytes, const F& f) {
  const double us = time_of(f);
  return fmt::format("{} {:8.1f} us {:5.2f} TB/s  ", what, us, static_cast<double>(bytes) / us * 1e-6);
}

void norm(const Image& i, DType dtype) {
  const std::string what = fmt::format("group_norm_silu n{} {}@{}", i.batch, i.channels, i.size);
  if (!is_wanted(what)) return;
  const Shape s{i.batch, i.size, i.size, i.channels};
  const Tensor x = numbers(s, dtype, 1), g = numbers(s, dtype, 2), gamma = numbers({i.channels}, dtype, 3),
               beta = numbers({i.channels}, dtype, 4);
  Tensor y = room(s, dtype);
  GroupNormGrads input{room(s, dtype), {}, {}},
      all{room(s, dtype), room({i.channels}, dtype), room({i.channels}, dtype)};
  const GroupNormSpec spec{32, 1e-5, true};
  print(what, name_of(dtype),
        with_bandwidth("fwd", 2 * x.bytes(), [&] { cuda::group_norm(spec, x, gamma, beta, y); }) +
            with_bandwidth("dx", 3 * x.bytes(), [&] { cuda::group_norm_vjp(spec, x, gamma, beta, g, {}, input); }) +
            with_bandwidth("all", 3 * x.bytes(), [&] { cuda::group_norm_vjp(spec, x, gamma, beta, g, {}, all); }));
}

/// Layer norm of an image's pixels, and what else only moves numbers: sums of two images and of an image and a row, SiLU, two images
/// put side by side, sums over an image's pixels.
void pointwise(const Image& i, DType dtype) {
  const std::string what = fmt::format("pointwise n{} {}@{}", i.batch, i.channels, i.size);
  if (!is_wanted(what)) return;
  const Shape s{i.batch, i.size, i.size, i.channels}, rows{i.batch * i.size * i.size, 1, 1, i.channels},
      row{i.batch, 1, 1, i.channels};
  const Tensor x = numbers(s, dtype, 1), g = numbers(s, dtype, 2), r = numbers(row, dtype, 3),
               gamma = numbers({i.channels}, dtype, 3), beta = numbers({i.channels}, dtype, 4),
               tokens = x.reshaped(rows);
  const DType wide = moment_dtype(dtype);
  const Tensor first = numbers(s, wide, 5), second = Tensor::full(s, 1, {wide, Device::cuda});
  Tensor y = room(s, dtype), normal = room(rows, dtype), both = room(s.with(3, 2 * i.channels), dtype),
         sum = room(row, dtype), next_first = room(s, wide), next_second = room(s, wide);
  const std::int64_t pixels = i.batch * i.size * i.size;
  CopyBox half{.rank = 2};
  half.extent = {pixels, i.channels}, half.from_step = {i.channels, 1}, half.to_step = {2 * i.channels, 1};
  CopyBox turned = half;
  turned.to_step = {1, pixels};
  const std::size_t bytes = x.bytes();
  print(what, name_of(dtype),
        with_bandwidth("add", 3 * bytes, [&] { cuda::lincomb(1, 1, x, g, y); }) +
            with_bandwidth("add a row", 2 * bytes, [&] { cuda::lincomb(1, 1, x, r, y); }) +
            with_bandwidth("silu", 2 * bytes, [&] { cuda::silu(x, y); }) +
            with_bandwidth("copy", 2 * bytes, [&] { cuda::copy(half, x, both); }) +
            with_bandwidth("turn", 2 * bytes, [&] { cuda::copy(turned, x, y); }) +
            with_bandwidth("sum", bytes, [&] { cuda::sum_to(x, sum); }) +
            with_bandwidth("adam", 3 * bytes + 4 * first.bytes(),
                           [&] { cuda::adam({}, x, g, first, second, y, next_first, next_second); }) +
            with_bandwidth("layer norm", 2 * bytes, [&] {
              cuda::group_norm({1, 1e-5, false}, tokens, gamma, beta, normal);
            }));
}

void everything(DType dtype) {
  for (const std::int64_t batch : {1, 16, 64})
    for (const Conv& c :
         {Conv{3, 128, 128, 32}, {3, 256, 256, 16}, {3, 512, 512, 8}, {3, 320, 320, 64}, {3, 640, 640, 32}})
      if (batch < 64 || c.size * c.size * c.cin <= 32 * 32 * 128) convolution(c, batch, dtype);
  if (dtype == DType::f32)  // what else the CIFAR-10 network has, where Winograd's way may not pay
    for (const std::int64_t batch : {1, 16, 64})
      for (const Conv& c :
           {Conv{3, 384, 128, 32}, {3, 512, 256, 16}, {3, 512, 256, 8}, {3, 256, 256, 8}, {3, 256, 256, 4}})
        convolution(c, batch, dtype);
  for (const Conv& c : {Conv{3, 3, 128, 32}, {3, 128, 3, 32}, {1, 256, 128, 32}}) convolution(c, 16, dtype);
  for (const Product& p : {Product{1, 1, 512, 512},
                           {1, 16, 512, 512},
                           {1, 1024, 512, 512},
                           {16, 256, 256, 256},
                           {16, 1024, 64, 1024},
                           {36, 832, 128, 128},  // of F(4,3)
                           {36, 512, 256, 256},
                           {1, 4096, 320, 1280},
                           {1, 4096, 1280, 320},
                           {1, 4096, 4096, 4096}})
    product(p, dtype);
  for (const Heads& h : {Heads{1, 256, 1, 256},
                         {16, 256, 1, 256},
                         {64, 256, 1, 256},
                         {16, 256, 4, 64},
                         {1, 1024, 8, 64},
                         {16, 1024, 8, 32},
                         {1, 4096, 8, 40},
                         {2, 4096, 8, 40},
                         {1, 4096, 8, 40, 77},
                         {1, 4096, 10, 64},
                         {1, 1024, 8, 80},
                         {2, 1024, 8, 80},
                         {2, 1024, 8, 80, 77},
                         {2, 256, 8, 160},
                         {8, 256, 8, 160},
                         {8, 64, 8, 160},
                         {4, 1024, 16, 128}})
    attend(h, dtype);
  for (const Image& i : {Image{1, 128, 32},
                         {16, 128, 32},
                         {64, 128, 32},
                         {1, 256, 16},
                         {64, 256, 16},
                         {1, 512, 8},
                         {64, 512, 8},
                         {1, 320, 64},
                         {8, 320, 64},
                         {8, 640, 32},
                         {8, 1280, 16}})
    norm(i, dtype);
  for (const Image& i : {Image{1, 128, 32}, {64, 128, 32}, {8, 320, 64}}) pointwise(i, dtype);
}

}  // namespace
}  // namespace costate

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--match") {
    costate::wanted() = argv[2];
  } else if (argc > 1) {
    fmt::print(stderr, "bench_gpu [--match TEXT]\n");
    return 2;
  }
  try {
    for (const auto dtype : {costate::DType::f32, costate::DType::bf16}) costate::everything(dtype);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_gpu: {}\n", e.what());
    return 1;
  }
}
