# tm_assets: the pages and core.wasm as one table of bytes (src/net/assets.h).
#
# Made anew whenever a file of it changes; the glob is checked at every build, so a page
# built after the configuration is taken too. A build without the page serves what is in
# src/cmd/assets.
file(GLOB_RECURSE asset_files CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/labeler/dist/* ${CMAKE_SOURCE_DIR}/src/cmd/assets/*)
list(APPEND asset_files ${TM_WASM})

set(assets_c ${CMAKE_BINARY_DIR}/assets/assets.c)
add_custom_command(
    OUTPUT ${assets_c}
    COMMAND ${CMAKE_COMMAND} -DOUT=${assets_c} -DWASM=${TM_WASM}
            -DROOTS=${CMAKE_SOURCE_DIR}/src/cmd/assets,${CMAKE_SOURCE_DIR}/labeler/dist
            -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${asset_files} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "embedding the pages"
    VERBATIM)
add_library(tm_assets STATIC ${assets_c})
target_include_directories(tm_assets PUBLIC ${TM_SRC})
