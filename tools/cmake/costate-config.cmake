# find_package(costate): the library with what it links to.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(fmt)
find_dependency(nlohmann_json)
find_dependency(hwy)
find_dependency(PNG)
find_dependency(ZLIB)
include(${CMAKE_CURRENT_LIST_DIR}/costate-targets.cmake)
