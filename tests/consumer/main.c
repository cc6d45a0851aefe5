/* The C interface as a C program sees it: everything in costate.h is called once, right and wrong. */
#include <costate.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void want(int ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "failed: %s; costate says: %s\n", what, costate_error());
  exit(1);
}

/* sum of a[i] * b[i] over all elements */
static double inner(const costate_array* a, const double* b) {
  double sum = 0;
  long long i, n = 1;
  int k;
  for (k = 0; k < a->rank; ++k) n *= a->shape[k];
  for (i = 0; i < n; ++i) sum += a->data[i] * b[i];
  return sum;
}

static void check_errors(costate_model* model) {
  costate_model* none = NULL;
  costate_result* result = NULL;
  double one = 1;
  costate_array wrong = {"y", &one, 1, {1}};
  want(costate_open("fashion-unit", NULL, &none) == COSTATE_FAILED && none == NULL, "a name that is not there");
  want(strstr(costate_error(), "fashion-unet") != NULL, "the nearest name in the message");
  want(costate_open(NULL, NULL, &none) == COSTATE_FAILED, "no name");
  want(costate_eval(model, NULL, &wrong, 1, &result) == COSTATE_FAILED && result == NULL, "an input nobody knows");
  want(costate_eval(NULL, NULL, NULL, 0, &result) == COSTATE_FAILED, "no model");
  want(costate_set_threads(0) == COSTATE_FAILED, "no threads");
  want(costate_set_threads(2) == COSTATE_OK && strlen(costate_error()) == 0, "two threads");
  costate_result_free(NULL);
  costate_close(NULL);
}

/* <g, y(x + h v)> against <g_x, v>, in f64 */
static void check_vjp(costate_model* model) {
  static double x[784], v[784], g[784];
  double t = 300, label = 7, h = 1e-6, values[2], slope;
  costate_array in[4] = {{"x", x, 4, {1, 28, 28, 1}}, {"t", &t, 1, {1}}, {"class", &label, 1, {1}}, {"g", g, 4, {1, 28, 28, 1}}};
  costate_result* result = NULL;
  int i, side;
  for (i = 0; i < 784; ++i) x[i] = sin(i), v[i] = cos(3 * i), g[i] = sin(5 * i);
  for (side = 0; side < 2; ++side) {
    for (i = 0; i < 784; ++i) x[i] += (side == 0 ? h : -2 * h) * v[i];
    want(costate_eval(model, NULL, in, 3, &result) == COSTATE_OK, "eval");
    values[side] = inner(costate_result_find(result, "y"), g);
    costate_result_free(result);
  }
  for (i = 0; i < 784; ++i) x[i] += h * v[i];
  want(costate_vjp(model, NULL, in, 4, "x", &result) == COSTATE_OK, "vjp");
  slope = inner(costate_result_find(result, "g_x"), v);
  want(fabs(slope - (values[0] - values[1]) / (2 * h)) < 1e-6 * fabs(slope), "the derivative of y");
  want(costate_result_find(result, "g_theta/conv_in.weight") == NULL, "no gradient that was not asked for");
  costate_result_free(result);
}

static void check_sampling(costate_model* model) {
  double label = 7;
  costate_array in = {"class", &label, 1, {1}};
  costate_sampling how = COSTATE_SAMPLING_DEFAULTS;
  costate_result *a = NULL, *b = NULL;
  const costate_array *x, *g;
  how.steps = 3;
  how.guidance = 1.5;
  how.inputs = &in;
  how.input_count = 1;
  want(costate_sample(model, &how, &a) == COSTATE_OK && costate_sample(model, &how, &b) == COSTATE_OK, "sample");
  x = costate_result_find(a, "x");
  want(x != NULL && x->rank == 4 && x->shape[1] == 28, "the shape of a sample");
  want(memcmp(x->data, costate_result_find(b, "x")->data, 784 * sizeof(double)) == 0, "the same bits again");
  costate_result_free(b);
  how.guidance_rescale = 0.5;
  want(costate_sample(model, &how, &b) == COSTATE_OK, "sample with rescaled guidance");
  want(memcmp(x->data, costate_result_find(b, "x")->data, 784 * sizeof(double)) != 0, "another sample");
  costate_result_free(b);
  how.guidance_rescale = 0;
  want(costate_grad(model, &how, NULL, "x_T,theta", &b) == COSTATE_OK, "grad");
  want(fabs(2 * costate_result_find(b, "loss")->data[0] - inner(x, x->data)) < 1e-9 * inner(x, x->data), "the loss");
  g = costate_result_find(b, "g_theta/conv_in.weight");
  want(g != NULL && g->rank == 4 && g->shape[0] == 32 && g->shape[1] == 1, "a weight's gradient in the file's layout");
  want(costate_result_size(b) > 100 && costate_result_at(b, costate_result_size(b)) == NULL, "results by number");
  how.sampler = "dimm";
  want(costate_sample(model, &how, &b) == COSTATE_FAILED && strstr(costate_error(), "ddim") != NULL, "a wrong sampler");
  costate_result_free(a);
}

int main(void) {
  costate_open_options options = COSTATE_OPEN_DEFAULTS;
  costate_model* model = NULL;
  options.dtype = "f64";
  want(costate_open("fashion-unet", &options, &model) == COSTATE_OK, "open");
  want(strstr(costate_info(model), "\"family\": \"unet2d\"") != NULL, "info");
  check_errors(model);
  check_vjp(model);
  check_sampling(model);
  printf("costate %s: the C interface works\n", costate_version());
  costate_close(model);
  return 0;
}
