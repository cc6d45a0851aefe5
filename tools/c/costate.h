// costate for C, and for whatever can call C: load a network, evaluate it, differentiate it, sample it, encode with it, and
// differentiate through the sampler.
//
// Every function that can fail returns a costate_status; what went wrong, where, and what to do stands in costate_error()
// until the next call of this thread. Nothing is printed, no exception leaves the library, and no function ends the
// process. Handles are opaque; each is freed by its own function, which takes NULL. One model may be used by one thread at a
// time; different models by different threads at once.
//
// Numbers cross as double, whatever the network computes in. Layouts: images (n, h, w, c), tokens (n, t, c), vectors (n, d),
// row-major; gradients of weights in the checkpoint's own layout, under the checkpoint's own key. Names of arrays are those
// of the files of the `costate` command.
//
// Structs grow at their end from version to version: compile with the header of the library that is linked, and start from the
// _DEFAULTS, in which what is new changes nothing.
#ifndef COSTATE_H
#define COSTATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum costate_status {
  COSTATE_OK = 0,
  COSTATE_FAILED = 1,        // files or values that are wrong: see costate_error()
  COSTATE_OUT_OF_MEMORY = 2  // a smaller batch or image may do
} costate_status;

// Of this header; costate_version() tells the library's.
#define COSTATE_VERSION_MAJOR 0
#define COSTATE_VERSION_MINOR 1

#define COSTATE_MAX_RANK 6

// An array with a name. In what is passed in, `data` is the caller's and is only read; in results it lives as long as the
// result. Whole numbers (labels, indices) are passed as doubles, too.
typedef struct costate_array {
  const char* name;
  const double* data;
  int rank;
  int64_t shape[COSTATE_MAX_RANK];
} costate_array;

typedef struct costate_model costate_model;
typedef struct costate_result costate_result;

// "0.1.0"
const char* costate_version(void);
// What the last call of this thread that failed had to say; "" after one that did not.
const char* costate_error(void);
// Threads that evaluations use, the calling one included; n >= 1, and fewer if the system starts fewer. Results do not depend on it.
costate_status costate_set_threads(int n);

// How a model is opened. Start from COSTATE_OPEN_DEFAULTS; NULL texts are left out.
typedef struct costate_open_options {
  const char* dtype;      // what the network computes in: "f32", "f64" or "bf16"
  const char* config;     // configuration file, for checkpoints that bring none
  const char* scheduler;  // a diffusers scheduler_config.json in place of the model's own
  const char* key;        // which dictionary of a nested checkpoint
  int compat;             // not 0: follow the scheduler's library where it departs from the right formula
} costate_open_options;
#define COSTATE_OPEN_DEFAULTS \
  { "f32", NULL, NULL, NULL, 0 }

// `model`: a bundled name ("fashion-unet"), a diffusers folder, a checkpoint, a costate .h5 or an exact problem .json.
// `options` may be NULL. `*out` is NULL after a failure.
costate_status costate_open(const char* model, const costate_open_options* options, costate_model** out);
void costate_close(costate_model* model);

// What the model is, as JSON text: the document of `costate info MODEL --json`. It lives as long as the model; NULL after a
// failure.
const char* costate_info(costate_model* model);

// One evaluation of the network itself. `inputs`: x (n, ...), t (n) in the network's own time where it takes one, z, class (n)
// and further inputs by their names. `part`: NULL, or which function of a network that has several ("encode", "decode").
// Result: y.
costate_status costate_eval(costate_model* model, const char* part, const costate_array* inputs, size_t count,
                            costate_result** out);

// The same with the gradients of <g, y>: `inputs` also holds g, shaped like y. `wrt`: NULL for all, or a list of input names
// and theta, "x,theta". Result: y, g_x, g_z ..., g_theta/KEY.
costate_status costate_vjp(costate_model* model, const char* part, const costate_array* inputs, size_t count,
                           const char* wrt, costate_result** out);

// How samples are made. Start from COSTATE_SAMPLING_DEFAULTS. Where sampler, grid and correct are NULL, a model that comes with a
// diffusers scheduler_config.json is sampled as that says; the same settings give the same samples as `costate sample`.
typedef struct costate_sampling {
  int64_t count;        // samples; as many as rows of x_T where that is given
  int64_t steps;        // of the grid
  const char* sampler;  // "ddim", "dpmpp-2m" ...: see `costate list samplers`; NULL: the scheduler's, or ddim
  const char* options;  // of the sampler, as JSON text: "{\"eta\": 0.5}"; without one, of the scheduler; NULL: none
  const char* grid;     // "trailing", "karras" ..., or an .h5 file; NULL: the scheduler's, or the model's own
  const char* correct;  // what every x_0 goes through: "clip:range=1" ..., "none"; NULL: the scheduler's, or none
  double guidance;      // w of eps_null + w (eps_class - eps_null); 1: conditional only
  uint64_t seed;        // of x_T and of the noise on the way; sample i has the same bits whatever `count` is
  // Any of x_T (n, ...), class (n), z (n, ...) or one a step (steps, n, ...), z_null, the network's further inputs, guidance
  // (steps) in place of one weight, noise (k, n, ...) in place of the seed's, in the order in which samplers draw it, and memory
  // (m, n, ...), what a reversible sampler has beside an x_T that was encoded.
  const costate_array* inputs;
  size_t input_count;
  double guidance_rescale;  // share of what is guided that gets the conditional prediction's deviation back, 0 ... 1
  const char* noise;        // of samplers that draw some: NULL or "fresh", or "tree", a Brownian path for any steps
  // Guides towards class (n) by its gradient, this strongly; NULL: none. Open it in the model's dtype.
  const costate_model* classifier;
  double classifier_scale;
} costate_sampling;
#define COSTATE_SAMPLING_DEFAULTS \
  { 1, 20, NULL, NULL, NULL, NULL, 1.0, 0, NULL, 0, 0.0, NULL, NULL, 1.0 }

// Result: x (n, ...), in the range of the data ([-1, 1] for pictures, as a rule), and x_T; of a latent pipeline, x is decoded
// from latents (n, ...).
costate_status costate_sample(costate_model* model, const costate_sampling* sampling, costate_result** out);

// The way back: the noise that the sampler takes to x (n, ...) among the inputs, which may be pixels of a latent pipeline as well as
// its latents. `states`: of samplers that draw noise and have no inverse, how the states between are made, "posterior" (NULL)
// or "independent". Result: x_0, what was encoded; x_T; noise (k, n, ...), memory (m, n, ...) and z (n, ...) of samplers and
// networks that have them; and round_trip, x_0 after the way back. costate_sample takes x_T, noise, memory and z as inputs.
costate_status costate_encode(costate_model* model, const costate_sampling* sampling, const char* states,
                              costate_result** out);

// The gradient of L = <w, x_0> through the sampler: `w` as an input of the sampling, shaped like x_0; without it L is half the
// squared norm of x_0. Any other loss: sample, and give its gradient at x_0 for w. Of a latent pipeline x_0 is latents, and L
// is of the pixels that they are decoded to, unless w is shaped like latents. `adjoint`: NULL for "checkpointed", which is the
// sampler's exact gradient, or a name of `costate list adjoints`. `wrt`: NULL for all, or a list of x_T, z, theta. Result: x_0,
// pixels of latents, loss (), g_x_T, g_z and further inputs, g_theta/KEY (total: what flows through the label table is counted).
costate_status costate_grad(costate_model* model, const costate_sampling* sampling, const char* adjoint,
                            const char* wrt, costate_result** out);

// Arrays of a result: by number in [0, costate_result_size()), or by name; NULL where there is none.
size_t costate_result_size(const costate_result* result);
const costate_array* costate_result_at(const costate_result* result, size_t index);
const costate_array* costate_result_find(const costate_result* result, const char* name);
void costate_result_free(costate_result* result);

#ifdef __cplusplus
}
#endif

#endif
