# Installs costate into a temporary prefix, then configures, builds and runs the consumer project against that prefix alone.
function(step)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK})
step(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
set(sanitize "")
if(SANITIZE)
  set(sanitize "-fsanitize=${SANITIZE}")
endif()
step(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${WORK}/prefix
  -DCMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_CXX_FLAGS=${sanitize}" "-DCMAKE_C_FLAGS=${sanitize}" "-DCMAKE_EXE_LINKER_FLAGS=${LINK_FLAGS}")
step(${CMAKE_COMMAND} --build ${WORK}/build)
step(${WORK}/build/consumer)
step(${WORK}/build/consumer_c)

# A model that lies in the installation alone, which is not where CMake was told that it would be.
file(COPY_FILE ${WORK}/prefix/share/costate/models/fashion-unet.h5 ${WORK}/prefix/share/costate/models/moved.h5)
step(${WORK}/prefix/bin/costate info moved)
file(RENAME ${WORK}/build/libplugin.so ${WORK}/prefix/${LIBDIR}/libplugin.so)
step(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${WORK}/prefix/${LIBDIR} ${WORK}/build/plugged moved)

# Configured only: a build would be the whole library again.
step(${CMAKE_COMMAND} -S ${SOURCE}/embedded -B ${WORK}/embedded -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DCOSTATE_SOURCE=${ROOT})

# And without CMake: a C compiler with what pkg-config says.
find_program(PKG_CONFIG pkg-config)
if(NOT PKG_CONFIG OR NOT C_COMPILER)
  message(WARNING "SKIPPED: the consumer through pkg-config (there is no pkg-config)")
  return()
endif()
set(ENV{PKG_CONFIG_PATH} ${WORK}/prefix/${LIBDIR}/pkgconfig)
execute_process(COMMAND ${PKG_CONFIG} --cflags --libs costate OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
separate_arguments(sanitize UNIX_COMMAND "${sanitize} ${LINK_FLAGS}")
step(${C_COMPILER} -std=c99 -Wall -Wextra -Wpedantic -Werror ${SOURCE}/main.c -o ${WORK}/plain_c ${flags} ${sanitize})
step(${WORK}/plain_c)
