// Reference data as rows of the model's samples.
#include "tools/reference_data.h"

#include <algorithm>
#include <filesystem>

#include "autodiff/ops/arithmetic.h"
#include "autodiff/ops/cast.h"
#include "autodiff/ops/concat.h"
#include "io/hdf5.h"
#include "io/idx.h"
#include "io/png.h"

namespace costate {
namespace {

namespace fs = std::filesystem;

/// Picture values in [0, 1] in the model's range.
Tensor in_range(const Tensor& picture, const Model& model) { return unit_range().convert(picture, model.range); }

Tensor read_folder(const std::string& folder, const Model& model, std::int64_t most) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".png") files.push_back(entry.path());
  require(!files.empty(), "{}: holds no .png files", folder);
  std::sort(files.begin(), files.end());
  files.resize(std::min(files.size(), static_cast<std::size_t>(most)));
  Tensors pictures;
  for (const auto& file : files) {
    const Tensor picture = read_png(file);
    require(picture.shape() == model.sample_shape(), "{}: is a picture {}; {} makes {}", file.string(), picture.shape(),
            model.name, model.sample_shape());
    pictures.push_back(picture);
  }
  return in_range(stacked(pictures), model);
}

}  // namespace

Tensor read_reference_data(const std::string& file, const Model& model, std::int64_t most) {
  require(fs::exists(file),
          "{}: is not there; --data wants an IDX file, an .h5 file with x (n, ...), or a folder of .png", file);
  if (fs::is_directory(file)) return read_folder(file, model, most);
  const Shape want = model.sample_shape();
  const bool is_h5 = fs::path(file).extension() == ".h5";
  Tensor x = is_h5 ? Hdf5Reader(file).read("x") : read_idx(file);
  require(x.rank() >= 1 && x.dim(0) > 0 && x.size() / x.dim(0) == want.size(), "{}: holds {}; {} makes samples {}",
          file, x.shape(), model.name, want);
  x = cast(x.rows(0, std::min(most, x.dim(0))), DType::f64);
  x = x.reshaped(want.with_front(x.dim(0)));
  require(first_non_finite(x) < 0, "{}: x holds a NaN or an infinity at element {}", file, first_non_finite(x));
  return is_h5 ? x : in_range(x / 255.0, model);
}

}  // namespace costate
