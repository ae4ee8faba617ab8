# Flags of everything but core.wasm (cmake/wasm.cmake has its own).
#
# Assertions stay on in release: they are TM_ASSERT, which nothing turns off, so -DNDEBUG
# is dropped only to say so.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")
set(CMAKE_C_FLAGS_CHECK "-O1 -g -fno-omit-frame-pointer") # the sanitizer presets

add_compile_definitions(_POSIX_C_SOURCE=200809L TM_VERSION="${PROJECT_VERSION}")
add_compile_options(
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wformat=2 -Werror
    -fno-strict-aliasing -fno-delete-null-pointer-checks
    -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=) # __FILE__ begins with src/

if(TM_MUTANT)
    add_compile_options(-w) # a fault leaves things unused
endif()

if(TM_WASI)
    # Debian's clang would also search /usr/include and pick glibc's headers, hence
    # -nostdlibinc. wasm-include has the cmocka.h and setjmp.h that wasi-libc lacks.
    add_compile_options(
        -nostdlibinc "SHELL:-isystem ${CMAKE_SOURCE_DIR}/tests/wasm-include"
        "SHELL:-isystem /usr/include/wasm32-wasi")
endif()

if(TM_TINY)
    add_compile_definitions(TM_TINY)
endif()

if(TM_SANITIZE)
    add_compile_options(-fsanitize=${TM_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${TM_SANITIZE})
endif()

# What a hostile network should meet in the shipped program.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT TM_WASI)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    # The same bytes wherever the sources lie, for the debugger's part too.
    add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong)
    add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
        add_compile_options(-fstack-clash-protection -fcf-protection)
    endif()
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # clang 14 knows it only with a warning flag
        add_compile_options(-ftrivial-auto-var-init=zero)
    endif()
endif()
