# The program.
add_executable(tidemark ${CMAKE_SOURCE_DIR}/src/cmd/main.c)
target_link_libraries(tidemark PRIVATE tm_cmd tm_net tm_assets)

# make bench: each bench/X.c is a program bench_X that prints a table.
add_custom_target(bench)
file(GLOB bench_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.c)
foreach(source IN LISTS bench_sources)
    get_filename_component(stem ${source} NAME_WE)
    add_executable(bench_${stem} ${source})
    target_link_libraries(bench_${stem} PRIVATE tm_cmd tm_net tm_assets)
    add_dependencies(bench bench_${stem})
endforeach()
