# costate_table(TARGET DIR TYPE HEADER): the files of a folder as a C++ table.
#
# For every DIR/NAME.cpp, which must define `TYPE NAME_<dir's last word, singular>()`, a generated source of TARGET defines
#   const std::vector<TYPE>& <dir's last word>();
# declared in HEADER. So adding a file to the folder is the whole registration, and no object is made before main().
function(costate_table target dir type header)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${dir}/*.cpp)
  get_filename_component(plural ${dir} NAME)
  string(REGEX REPLACE "ies$" "y" singular ${plural})
  string(REGEX REPLACE "s$" "" singular ${singular})
  set(declare "")
  set(entries "")
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    string(APPEND declare "${type} ${name}_${singular}();\n")
    string(APPEND entries "      ${name}_${singular}(),\n")
  endforeach()
  set(text "// Made by CMake from the files of ${dir}.\n#include \"${header}\"\n\nnamespace costate {\n\n${declare}\n\
const std::vector<${type}>& ${plural}() {\n  static const std::vector<${type}> table = {\n${entries}  };\n  return table;\n}\n\n\
}  // namespace costate\n")
  set(out ${PROJECT_BINARY_DIR}/tables/${plural}.cpp)
  file(CONFIGURE OUTPUT ${out} CONTENT "${text}" @ONLY)
  target_sources(${target} PRIVATE ${out})
endfunction()
