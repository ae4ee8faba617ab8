# cmake -DOUT=assets.c -DROOTS=dir,dir -DWASM=core.wasm -P embed.cmake
#
# Writes the table of src/net/assets.h: every file below the ROOTS (a later root wins over
# an earlier one) and WASM as /core.wasm, sorted by path. Each is kept gzipped unless that
# does not make it smaller. Packed once and sent for ever, so zopfli does it (4 % less than
# gzip -9, which stands in where there is none); neither stores a name or a time: the same
# files always give the same bytes.
find_program(ZOPFLI zopfli)
if(ZOPFLI)
    set(pack ${ZOPFLI} --gzip -c)
else()
    set(pack gzip -n -9 -c)
endif()
set(type_html "text/html; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_mjs "text/javascript; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_txt "text/plain; charset=utf-8")
set(type_json "application/json")
set(type_map "application/json")
set(type_webmanifest "application/manifest+json")
set(type_wasm "application/wasm")
set(type_svg "image/svg+xml")
set(type_png "image/png")
set(type_jpg "image/jpeg")
set(type_jpeg "image/jpeg")
set(type_webp "image/webp")
set(type_ico "image/x-icon")
set(type_woff2 "font/woff2")

string(REPLACE "," ";" roots "${ROOTS}")
set(paths "")
foreach(root IN LISTS roots)
    file(GLOB_RECURSE names RELATIVE "${root}" "${root}/*")
    foreach(name IN LISTS names)
        list(APPEND paths "/${name}")
        set("file_of_/${name}" "${root}/${name}")
    endforeach()
endforeach()
list(APPEND paths "/core.wasm")
set("file_of_/core.wasm" "${WASM}")
list(REMOVE_DUPLICATES paths)
list(SORT paths)

get_filename_component(directory "${OUT}" DIRECTORY)
file(MAKE_DIRECTORY "${directory}")
set(packed "${directory}/packed.gz")
set(arrays "")
set(rows "")
set(count 0)
foreach(path IN LISTS paths)
    set(file "${file_of_${path}}")
    file(SIZE "${file}" raw_len)
    set(len ${raw_len})
    if(NOT path MATCHES "\\.(webp|png|jpe?g|woff2)$") # those are packed already
        execute_process(COMMAND ${pack} "${file}" OUTPUT_FILE "${packed}"
                        COMMAND_ERROR_IS_FATAL ANY)
        file(SIZE "${packed}" len)
    endif()
    if(len LESS raw_len)
        set(gzipped true)
        file(READ "${packed}" hex HEX)
    else()
        set(gzipped false)
        set(len ${raw_len})
        file(READ "${file}" hex HEX)
    endif()
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(REGEX MATCH "[^.]*$" extension "${path}")
    set(type "application/octet-stream")
    if(DEFINED "type_${extension}")
        set(type "${type_${extension}}")
    endif()
    # The 0 at the end is not counted: it gives an empty file an array.
    string(APPEND arrays "static const uint8_t bytes_${count}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${path}\", \"${type}\", bytes_${count}, "
           "${len}, ${raw_len}, ${gzipped}},\n")
    math(EXPR count "${count} + 1")
endforeach()
file(REMOVE "${packed}")

file(WRITE "${OUT}" "// Made by cmake/embed.cmake.\n#include \"net/assets.h\"\n\n"
     "${arrays}\nconst tm_asset tm_assets[] = {\n${rows}    {0},\n};\n"
     "const size_t tm_assets_count = ${count};\n")
