// A network's structure as a picture: levels of a U, a card for each, its blocks with shape, parameters and flops.
#pragma once

#include <string>

#include "tools/structure.h"

namespace costate {

/// SVG text. `title` stands above, and `family` with the sums over all blocks below it.
std::string network_svg(const Structure& s, const std::string& title, const std::string& family);

}  // namespace costate
