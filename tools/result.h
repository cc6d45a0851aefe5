// What subcommands write: HDF5 results with their origin inside, and pictures.
#pragma once

#include <string>

#include "io/hdf5.h"
#include "solvers/grid.h"
#include "tools/common.h"
#include "tools/model/evaluation.h"

namespace costate {

/// An HDF5 file with the root attributes command, version, seed and model. Call finish() when all is written.
Hdf5Writer result_file(const std::string& file, const Common& common);

/// The levels, as --grid FILE reads them: grid_t, grid_alpha, grid_sigma, and beside them grid_sigma_hat = sigma / alpha.
void write_grid(Hdf5Writer& out, const Grid& grid);

/// Data of a range as picture values, f64.
Tensor to_picture(const Tensor& x, const ValueRange& range);
/// Signed values (n, h, w, c) as colours (n, h, w, 3): blue below zero, white at zero, red above; each image by its own largest size.
Tensor to_signed_colours(const Tensor& g);
/// Grey images as RGB.
Tensor to_rgb(const Tensor& picture);

/// Throws unless the model's samples are images of 1 or 3 channels.
void require_images(const Model& model, const std::string& file);

}  // namespace costate
