# core.wasm: src/core and src/client for the browser, in two steps.
#
# Plain commands, because every native build embeds the file and a CMake configuration
# has one compiler. Never linked through the clang driver: with -O it runs a wasm-opt it
# happens to find, and what ships would depend on what is installed. The linker is given
# no permission to leave a symbol undefined, so a module with imports does not link.
#
# Small (of 37 KB gzipped these take 4.5): a tm_span goes in two values instead of through
# memory (experimental-mv, all of it being our own code), every address and index is as
# short as it can be (--compress-relocations), loops keep their counters, nothing is
# computed earlier than it is asked for, and a function is inlined only where that is less.
find_program(TM_WASM_CC clang-14 REQUIRED)
find_program(TM_WASM_LD wasm-ld-14 REQUIRED)

set(TM_WASM ${CMAKE_BINARY_DIR}/core.wasm)
file(GLOB wasm_sources CONFIGURE_DEPENDS
     ${TM_SRC}/core/*.c ${TM_SRC}/client/*.c)

# Functions are numbered in the order they are linked in, and a call of one below 128 is a
# byte less: what is called most comes first (240 bytes).
set(wasm_first)
foreach(name core/base core/buf core/alloc core/json core/table core/stamp core/reg
             core/list core/op client/words client/queue client/note client/guard
             core/digest core/list_join core/list_json core/pool core/sort)
    list(APPEND wasm_first ${TM_SRC}/${name}.c)
endforeach()
list(PREPEND wasm_sources ${wasm_first})
list(REMOVE_DUPLICATES wasm_sources)

get_filename_component(wasm_root ${TM_SRC} DIRECTORY)
set(wasm_lenient)
if(TM_MUTANT)
    set(wasm_lenient -w) # a fault leaves things unused
endif()
set(wasm_objects)
foreach(source IN LISTS wasm_sources)
    file(RELATIVE_PATH name ${wasm_root} ${source})
    set(object ${CMAKE_BINARY_DIR}/wasm-objects/${name}.o)
    get_filename_component(directory ${object} DIRECTORY)
    file(MAKE_DIRECTORY ${directory})
    add_custom_command(
        OUTPUT ${object}
        COMMAND ${TM_WASM_CC} --target=wasm32 -std=c11 -ffreestanding -fvisibility=hidden
                -Oz -mbulk-memory -msign-ext -mnontrapping-fptoint -mmutable-globals
                -mmultivalue -Xclang -target-abi -Xclang experimental-mv
                -mllvm -disable-lsr -mllvm -enable-pre=false
                -mllvm -disable-machine-licm -mllvm -inline-threshold=-20
                -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                -Wvla -Werror ${wasm_lenient} # not -Wmissing-prototypes: an export has no header
                -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=
                -DTM_VERSION="${PROJECT_VERSION}"
                -isystem ${CMAKE_SOURCE_DIR}/cmake/wasm-include -I${TM_SRC}
                -MD -MF ${object}.d -c ${source} -o ${object}
        DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/wasm-include/string.h
        DEPFILE ${object}.d
        COMMENT "wasm ${name}"
        VERBATIM)
    list(APPEND wasm_objects ${object})
endforeach()

# The linker takes the order of its arguments into the file: it is that of above, and of
# GLOB, which sorts.
add_custom_command(
    OUTPUT ${TM_WASM}
    COMMAND ${TM_WASM_LD} --no-entry --strip-all --gc-sections --stack-first
            --compress-relocations
            -z stack-size=65536 --initial-memory=262144 --max-memory=268435456
            --fatal-warnings ${wasm_objects} -o ${TM_WASM}
    DEPENDS ${wasm_objects}
    COMMENT "core.wasm"
    VERBATIM)

add_custom_target(core-wasm ALL DEPENDS ${TM_WASM})
