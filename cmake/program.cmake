# The program.
add_executable(tidemark ${TM_SRC}/cmd/main.c)
target_link_libraries(tidemark PRIVATE tm_cmd tm_net tm_assets)
# It takes malloc's place, as a sanitizer would (docs/decisions/0020).
if(NOT TM_SANITIZE)
    pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET jemalloc)
    target_link_libraries(tidemark PRIVATE PkgConfig::JEMALLOC)
endif()

# The bootstrap of a function on AWS Lambda. What it does not call is not needed there:
# packaging/lambda/pack.sh puts the libraries that are beside it.
add_executable(tidemark-lambda ${TM_SRC}/lambda/main.c)
# RPATH, not RUNPATH: Lambda's LD_LIBRARY_PATH names the machine's own directories first.
target_link_options(tidemark-lambda PRIVATE -Wl,--as-needed -Wl,--disable-new-dtags)
set_target_properties(tidemark-lambda PROPERTIES BUILD_RPATH "$ORIGIN/lib")
target_link_libraries(tidemark-lambda PRIVATE tm_lambda tm_cmd)

# make bench: each bench/X.c is a program bench_X; what they share is bench/kit. Only as it
# ships: a sanitizer's speed is nobody's.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    return()
endif()
add_custom_target(bench)
file(GLOB bench_kit CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/kit/*.c)
add_library(tm_bench STATIC EXCLUDE_FROM_ALL ${bench_kit})
target_link_libraries(tm_bench PUBLIC tm_net)
file(GLOB bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.c)
foreach(source IN LISTS bench_sources)
    get_filename_component(stem ${source} NAME_WE)
    add_executable(bench_${stem} ${source})
    target_link_libraries(bench_${stem} PRIVATE tm_net tm_store)
    add_dependencies(bench bench_${stem})
endforeach()
foreach(stem load peers)
    if(TARGET bench_${stem})
        target_link_libraries(bench_${stem} PRIVATE tm_bench)
        add_dependencies(bench_${stem} tidemark)
    endif()
endforeach()
