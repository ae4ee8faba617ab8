# The program, once it has a main.
if(EXISTS ${CMAKE_SOURCE_DIR}/src/cmd/main.c)
    add_executable(tidemark ${CMAKE_SOURCE_DIR}/src/cmd/main.c)
    target_link_libraries(tidemark PRIVATE tm_cmd tm_net tm_assets)
endif()
