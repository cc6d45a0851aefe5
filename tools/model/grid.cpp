// From a name or a file to levels.
#include "tools/model/grid.h"

#include <filesystem>
#include <vector>

#include "io/hdf5.h"
#include "solvers/optimal_grid.h"

namespace costate {

int step_count(const std::string& name, std::int64_t steps) {
  constexpr std::int64_t most = 10'000'000;
  require(steps >= 1, "{} {}: a grid needs at least one step", name, steps);
  require(steps <= most, "{} {}: at most {}", name, steps, most);
  return static_cast<int>(steps);
}

Grid read_grid(const std::string& file, const Model& model, int steps) {
  const Hdf5Reader reader(file);
  if (reader.contains("ms_eps"))
    return optimal_grid(*model.schedule, reader.read("ms_eps").to_vector(), steps, model.end);
  std::vector<double> t, alpha, sigma;
  if (reader.contains("grid")) {
    const Tensor g = reader.read("grid");
    require(g.rank() == 2 && g.dim(1) == 3, "{}: grid has shape {}, not (levels, 3) for t, alpha, sigma", file,
            g.shape());
    const auto v = g.to_vector();
    for (std::size_t i = 0; i < v.size(); i += 3)
      t.push_back(v[i]), alpha.push_back(v[i + 1]), sigma.push_back(v[i + 2]);
  } else {
    require(reader.contains("grid_t") && reader.contains("grid_alpha") && reader.contains("grid_sigma"),
            "{}: holds neither grid (levels, 3), nor grid_t, grid_alpha and grid_sigma, nor ms_eps (T)", file);
    t = reader.read("grid_t").to_vector();
    alpha = reader.read("grid_alpha").to_vector();
    sigma = reader.read("grid_sigma").to_vector();
    require(t.size() == alpha.size() && t.size() == sigma.size(),
            "{}: grid_t, grid_alpha and grid_sigma differ in length", file);
  }
  Grid grid;
  for (std::size_t i = 0; i < t.size(); ++i) grid.push_back({t[i], alpha[i], sigma[i]});
  check_grid(grid, file);
  return grid;
}

bool is_grid_file(const std::string& asked) { return std::filesystem::path(asked).extension() == ".h5"; }

Grid grid_of(const Model& model, int steps, const std::string& asked) {
  if (is_grid_file(asked)) return read_grid(asked, model, steps);
  return make_grid(asked.empty() ? model.grid : asked, *model.schedule, steps, model.end, model.offset);
}

}  // namespace costate
