# Tests: each tests/<room>/test_*.c is one cmocka program; the other .c files of the
# directory are helpers compiled into every program of that room; fuzz_*.c are fuzz
# targets, built in the preset `fuzz` instead. All run in the source directory, so that
# vectors are read by their path in the repository.
enable_testing()

# A machine that only builds and runs Tidemark has neither; scripts/bootstrap.sh has the
# configurations made anew when it brings them.
if(NOT TM_WASI)
    pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
    pkg_check_modules(JANSSON IMPORTED_TARGET jansson) # an oracle, only here
    if(NOT CMOCKA_FOUND OR NOT JANSSON_FOUND)
        message(STATUS "no cmocka or no jansson here: nothing will be tested")
        return()
    endif()
    set(test_libraries PkgConfig::JANSSON)
    if(NOT TM_FUZZ)
        list(APPEND test_libraries PkgConfig::CMOCKA)
    endif()
endif()

# tm_tests(ROOM [library...]) - beside tm_ROOM itself.
function(tm_tests room)
    if(NOT room IN_LIST TM_TESTED)
        return()
    endif()
    set(directory ${CMAKE_SOURCE_DIR}/tests/${room})
    file(GLOB sources CONFIGURE_DEPENDS ${directory}/*.c)
    set(tests ${sources})
    list(FILTER tests INCLUDE REGEX "/test_[^/]*\\.c$")
    set(targets ${sources})
    list(FILTER targets INCLUDE REGEX "/fuzz_[^/]*\\.c$")
    set(helpers ${sources})
    list(FILTER helpers EXCLUDE REGEX "/(test|fuzz)_[^/]*\\.c$")
    if(TM_FUZZ)
        set(tests)
        if(NOT room STREQUAL "fuzz")
            set(helpers) # theirs are cmocka's
        endif()
    else()
        set(targets)
    endif()
    if(helpers AND (tests OR targets))
        add_library(tests_${room} OBJECT ${helpers})
        target_include_directories(tests_${room} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
        target_link_libraries(tests_${room} PRIVATE tm_${room} ${ARGN} ${test_libraries})
        set(helpers tests_${room})
    endif()

    foreach(source IN LISTS tests targets)
        get_filename_component(stem ${source} NAME_WE)
        set(program ${room}_${stem})
        add_executable(${program} ${source})
        target_include_directories(${program} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
        target_link_libraries(${program} PRIVATE ${helpers} tm_${room} ${ARGN}
                              ${test_libraries})
        if(TM_FUZZ)
            target_link_options(${program} PRIVATE -fsanitize=fuzzer)
            continue()
        endif()
        add_test(NAME ${room}/${stem} COMMAND ${program}
                 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_tests_properties(${room}/${stem} PROPERTIES TIMEOUT 300
                             ENVIRONMENT "CMOCKA_MESSAGE_OUTPUT=TAP")
        if(TARGET tidemark AND room MATCHES "^(net|cmd)$") # these start the program
            add_dependencies(${program} tidemark)
            target_compile_definitions(${program} PRIVATE
                                       TM_PROGRAM="$<TARGET_FILE:tidemark>")
        endif()
    endforeach()
endfunction()

tm_tests(core)
tm_tests(client)
if(NOT TM_WASI)
    tm_tests(store)
    tm_tests(service tm_store)
    tm_tests(net tm_store tm_client tm_assets)
    tm_tests(lambda)
    set(simulated)
    if(TARGET tests_store) # the suite for every store runs on the simulated disk too
        set(simulated tests_store)
    endif()
    tm_tests(sim ${simulated})
    tm_tests(cmd tm_assets)
    if(TARGET cmd_test_simulate) # it plants faults between the rooms
        target_link_options(cmd_test_simulate PRIVATE -Wl,--wrap=tm_list_apply
                            -Wl,--wrap=tm_engine_load)
    endif()
    add_library(tm_fuzz INTERFACE) # a room of tests alone: whatever compares two rooms
    if(NOT TM_SANITIZE STREQUAL "thread")
        list(APPEND TM_TESTED fuzz)
    endif()
    tm_tests(fuzz tm_cmd tm_net tm_assets)
endif()

# tests/proof/X.c is a program proof_X that tries all of a small space (scripts/proof.sh).
if(NOT TM_WASI AND NOT TM_FUZZ AND NOT TM_SANITIZE)
    add_custom_target(proof)
    foreach(name orders ledger)
        add_executable(proof_${name} EXCLUDE_FROM_ALL
                       ${CMAKE_SOURCE_DIR}/tests/proof/${name}.c
                       ${CMAKE_SOURCE_DIR}/tests/fuzz/model.c)
        target_link_libraries(proof_${name} PRIVATE tm_cmd)
        add_dependencies(proof proof_${name})
    endforeach()
endif()
