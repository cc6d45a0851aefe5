// The program of the README: loads a trained network, samples a sneaker, and differentiates a loss through the sampler.
#include <cstdio>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/sum.h"
#include "core/random.h"
#include "io/png.h"
#include "tools/model/conditioned.h"

int main() {
  using namespace costate;
  const Model model = load_model("fashion-unet");
  const Condition sneaker{.classes = repeat_labels({7}, 0, 1), .guidance = 1.5};
  const Conditioned net = make_conditioned(model, sneaker, 1);
  const Sampler sampler{net.denoiser, make_grid("trailing", *model.schedule, 20), make_stepper("ddim")};

  const Tensor x_T = normal_noise(/*seed*/ 0, /*first sample*/ 0, /*samples*/ 1, /*step*/ 0, {28, 28, 1});
  const Tensor x_0 = sample(sampler, x_T, net.p);
  write_png("sneaker.png", ((x_0 + 1.0) * 0.5).reshaped({28, 28, 1}));

  const Loss brightness = [](const Tensor& x) { return mean(x); };
  const Gradient g = make_adjoint("checkpointed")
                         .gradient({sampler, x_T, net.p, true, net.wanted(/*z*/ true, /*theta*/ true), brightness});
  std::printf("loss %.6f, |dloss/dx_T|^2 %.3e, |dloss/dz|^2 %.3e\n", g.loss, inner(g.x_T, g.x_T).item(),
              inner(g.p[0], g.p[0]).item());
}
