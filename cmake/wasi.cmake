# Toolchain of the preset tests-wasm: clang-14 for wasm32-wasi, tests run by node:wasi.

set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(TM_WASI ON)

set(CMAKE_C_COMPILER clang-14)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_AR llvm-ar-14)
set(CMAKE_RANLIB llvm-ranlib-14)
# Linking goes through the driver here: nothing of this ships. -O0 at the link keeps it
# from running a wasm-opt it finds.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-O0 -Wl,-z,stack-size=1048576,--stack-first,--fatal-warnings")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)

find_program(TM_NODE node REQUIRED)
set(CMAKE_CROSSCOMPILING_EMULATOR
    "${TM_NODE};--no-warnings;${CMAKE_CURRENT_LIST_DIR}/../tests/wasm-include/run.mjs")
