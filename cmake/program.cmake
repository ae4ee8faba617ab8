# The program, once it has a main.
if(EXISTS ${CMAKE_SOURCE_DIR}/src/cmd/main.c)
    add_executable(tidemark ${CMAKE_SOURCE_DIR}/src/cmd/main.c)
    target_link_libraries(tidemark PRIVATE tm_cmd tm_net tm_assets)
endif()

# make bench: one program from bench/*.c, once there are some.
file(GLOB bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.c)
if(bench_sources)
    add_executable(tidemark-bench ${bench_sources})
    target_link_libraries(tidemark-bench PRIVATE tm_cmd tm_net tm_assets)
endif()
