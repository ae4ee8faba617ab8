# core.wasm: src/core and src/client for the browser, as one program.
#
# Plain commands, because every native build embeds the file and a CMake configuration
# has one compiler. Never linked through the clang driver: with -O it runs a wasm-opt it
# happens to find, and what ships would depend on what is installed; here it is a step of
# its own. The linker is given no permission to leave a symbol undefined, so a module with
# imports does not link.
#
# Small: a tm_span goes in two values instead of through memory (experimental-mv, all of it
# being our own code; a function that gives two integers of which one is never used makes
# clang-14 fail, so there is none), addresses and indices are as short as they can be
# (--compress-relocations), loops keep their counters and their shape, nothing is computed
# earlier than it is asked for, no test is made twice to save a jump, and a function is
# inlined only where that is not more. All files are one
# module before they become code, in which what is not exported can be left out, or changed
# with whoever calls it. wasm-opt writes the control flow anew. docs/decisions has what
# each of these is worth.
find_program(TM_WASM_CC clang-14 REQUIRED)
find_program(TM_WASM_LINK llvm-link-14 REQUIRED)
find_program(TM_WASM_PASS opt-14 REQUIRED)
find_program(TM_WASM_LD wasm-ld-14 REQUIRED)
find_program(TM_WASM_OPT wasm-opt REQUIRED)

set(TM_WASM ${CMAKE_BINARY_DIR}/core.wasm)
file(GLOB wasm_sources CONFIGURE_DEPENDS
     ${TM_SRC}/core/*.c ${TM_SRC}/client/*.c)

# What stays visible: the door, and the four functions that clang calls by itself.
set(wasm_door ${TM_SRC}/client/door.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${wasm_door})
file(READ ${wasm_door} wasm_visible)
string(REGEX MATCHALL "TM_DOOR\\(tm_[a-z_]+\\)" wasm_visible "${wasm_visible}")
list(TRANSFORM wasm_visible REPLACE "TM_DOOR\\((.*)\\)" "\\1")
list(APPEND wasm_visible memcpy memmove memset memcmp)
list(JOIN wasm_visible , wasm_visible)

set(wasm_flags
    --target=wasm32 -std=c11 -ffreestanding -fvisibility=hidden
    -Oz -mbulk-memory -msign-ext -mnontrapping-fptoint -mmutable-globals
    -mmultivalue -Xclang -target-abi -Xclang experimental-mv
    -mllvm -disable-lsr -mllvm -enable-pre=false
    -mllvm -disable-machine-licm -mllvm -inline-threshold=0
    -fno-unroll-loops -mllvm -rotation-max-header-size=0
    -mllvm -disable-lftr -mllvm -replexitval=never
    -mllvm -jump-threading-threshold=0 -fno-strict-aliasing)

# Most of what applying an operation takes is in these two: for 400 bytes they are made for
# speed (bench/wasm).
set(wasm_fast core/json core/table)

set(wasm_quiet)
if(TM_MUTANT)
    set(wasm_quiet -w) # a fault leaves things unused
endif()
set(wasm_parts)
foreach(source IN LISTS wasm_sources)
    file(RELATIVE_PATH name ${TM_SRC}/.. ${source})
    set(part ${CMAKE_BINARY_DIR}/wasm-objects/${name}.bc)
    get_filename_component(directory ${part} DIRECTORY)
    file(MAKE_DIRECTORY ${directory})
    string(REGEX REPLACE "^src/(.*)\\.c$" "\\1" file ${name})
    set(wasm_pace)
    if(file IN_LIST wasm_fast)
        set(wasm_pace -O2)
    endif()
    add_custom_command(
        OUTPUT ${part}
        COMMAND ${TM_WASM_CC} ${wasm_flags} ${wasm_pace}
                -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                -Wvla -Werror # not -Wmissing-prototypes: an export has no header
                ${wasm_quiet} -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=
                -DTM_VERSION="${PROJECT_VERSION}"
                -isystem ${CMAKE_SOURCE_DIR}/cmake/wasm-include -I${TM_SRC}
                -MD -MF ${part}.d -emit-llvm -c ${source} -o ${part}
        DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/wasm-include/string.h
        DEPFILE ${part}.d
        COMMENT "wasm ${name}"
        VERBATIM)
    list(APPEND wasm_parts ${part})
endforeach()

# The order of the parts is the order of the functions: GLOB sorts.
set(wasm_one ${CMAKE_BINARY_DIR}/wasm-objects/core)
add_custom_command(
    OUTPUT ${wasm_one}.o
    COMMAND ${TM_WASM_LINK} ${wasm_parts} -o ${wasm_one}.bc
    COMMAND ${TM_WASM_PASS} -internalize -internalize-public-api-list=${wasm_visible}
            ${wasm_one}.bc -o ${wasm_one}.inner.bc
    COMMAND ${TM_WASM_CC} ${wasm_flags} -Wno-unused-command-line-argument
            -c ${wasm_one}.inner.bc -o ${wasm_one}.o
    DEPENDS ${wasm_parts}
    COMMENT "wasm as one"
    VERBATIM)

# The features are those of the flags above. The lowest kilobyte is the far end of the stack
# (--stack-first): no object lies there, and an access beside NULL may be folded.
add_custom_command(
    OUTPUT ${TM_WASM}
    COMMAND ${TM_WASM_LD} --no-entry --strip-all --gc-sections --stack-first
            --compress-relocations
            -z stack-size=65536 --initial-memory=262144 --max-memory=268435456
            --fatal-warnings ${wasm_one}.o -o ${TM_WASM}.linked
    COMMAND ${TM_WASM_OPT} -Oz --flatten --rereloop -Oz -Oz --converge
            --reorder-functions # the shorter index for what is called more often
            --low-memory-unused --zero-filled-memory
            --enable-bulk-memory --enable-sign-ext --enable-nontrapping-float-to-int
            --enable-mutable-globals --enable-multivalue
            ${TM_WASM}.linked -o ${TM_WASM}
    DEPENDS ${wasm_one}.o
    COMMENT "core.wasm"
    VERBATIM)

add_custom_target(core-wasm ALL DEPENDS ${TM_WASM})
