// Linear ops: gather_rows and scatter_add_rows, each the other's transpose.
#include "autodiff/ops/rows.h"

#include "autodiff/apply.h"
#include "core/kernels/rows.h"

namespace costate {
namespace {

void check(const char* name, const Tensor& x, const Tensor& index) {
  require(x.rank() == 2 && index.rank() == 1 && index.dtype() == DType::i32,
          "{}: wants a matrix and i32 indices, got {} and {} {}", name, x.shape(), index.shape(),
          name_of(index.dtype()));
}

struct Gather {
  static constexpr const char* name = "gather_rows";
  Tensor index;

  [[nodiscard]] Tensor forward(const Tensor& table) const {
    check(name, table, index);
    Tensor y = Tensor::empty({index.dim(0), table.dim(1)}, table.kind());
    gather_rows_kernel(table.device(), table, index, y);
    return y;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors& in, int) const {
    return scatter_add_rows(g, index, in[0].dim(0));
  }
};

struct ScatterAdd {
  static constexpr const char* name = "scatter_add_rows";
  Tensor index;
  std::int64_t rows;

  [[nodiscard]] Tensor forward(const Tensor& g) const {
    check(name, g, index);
    require(g.dim(0) == index.dim(0), "{}: {} rows for {} indices", name, g.dim(0), index.dim(0));
    Tensor table = Tensor::empty({rows, g.dim(1)}, g.kind());
    scatter_add_rows_kernel(g.device(), g, index, table);
    return table;
  }
  [[nodiscard]] Tensor transpose(const Tensor& g, const Tensors&, int) const { return gather_rows(g, index); }
};

}  // namespace

Tensor gather_rows(const Tensor& table, const Tensor& index) { return apply_op(Gather{index}, {table}); }
Tensor scatter_add_rows(const Tensor& g, const Tensor& index, std::int64_t rows) {
  return apply_op(ScatterAdd{index, rows}, {g});
}

}  // namespace costate
