# costate.pc: what `pkg-config --cflags --libs costate` says, for programs that are not built by CMake.
#
# The library is C++ inside: a C program links its run time as well. Paths follow from where the .pc file lies, so that an
# installation may be moved.
set(pc_libraries "-lfmt -lhwy -lpng -lz -ldl -pthread -lstdc++ -lm")
foreach(library IN LISTS HDF5_C_LIBRARIES)
  string(PREPEND pc_libraries "${library} ")
endforeach()
string(REGEX REPLACE "[^/]+" ".." pc_up "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/costate.pc CONTENT "prefix=\${pcfiledir}/${pc_up}
includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}
libdir=\${prefix}/${CMAKE_INSTALL_LIBDIR}

Name: costate
Description: ${PROJECT_DESCRIPTION}
Version: ${PROJECT_VERSION}
Cflags: -I\${includedir} -I\${includedir}/costate
Libs: -L\${libdir} -lcostate ${pc_libraries}
" @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/costate.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
