# tm_room(NAME [ROOMS room...] [LIBRARIES library...])
#
# The library tm_NAME from src/NAME/*.c. A room without sources yet is a library that
# only passes on what it depends on, so that adding the first file needs no edit here.
function(tm_room name)
    cmake_parse_arguments(ROOM "" "" "ROOMS;LIBRARIES" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${TM_SRC}/${name}/*.c)
    # The door to JavaScript and its memory functions belong to core.wasm alone, and
    # main.c to the programs: the tests bring their own main.
    list(REMOVE_ITEM sources
         ${TM_SRC}/client/wasm.c ${TM_SRC}/client/rt.c
         ${TM_SRC}/cmd/main.c ${TM_SRC}/lambda/main.c)
    set(kind PUBLIC)
    if(sources)
        add_library(tm_${name} STATIC ${sources})
        # Built when something links it, which in the preset `fuzz` not every room is.
        set_target_properties(tm_${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    else()
        add_library(tm_${name} INTERFACE)
        set(kind INTERFACE)
    endif()
    list(TRANSFORM ROOM_ROOMS PREPEND tm_)
    target_include_directories(tm_${name} ${kind} ${TM_SRC})
    target_link_libraries(tm_${name} ${kind} ${ROOM_ROOMS} ${ROOM_LIBRARIES})
endfunction()
