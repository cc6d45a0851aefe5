// costate study: experiments with tables and plots, one file of tools/studies each.
#include "tools/arguments.h"

namespace costate {

Command study_command() {
  return {"study",
          "experiments that end in a table and a plot",
          "  costate study order\n"
          "  costate study --help",
          {},
          &studies};
}

}  // namespace costate
