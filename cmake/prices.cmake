# tm_prices: src/cmd/prices.txt, the prices that `tidemark bill` takes unless it is told
# others, as text in the program.
if(NOT OUT) # included: make it whenever the file changes
    set(prices_c ${CMAKE_BINARY_DIR}/prices.c)
    add_custom_command(
        OUTPUT ${prices_c}
        COMMAND ${CMAKE_COMMAND} -DOUT=${prices_c} -DFROM=${TM_SRC}/cmd/prices.txt
                -P ${CMAKE_CURRENT_LIST_FILE}
        DEPENDS ${TM_SRC}/cmd/prices.txt ${CMAKE_CURRENT_LIST_FILE}
        VERBATIM)
    add_library(tm_prices STATIC ${prices_c})
    target_include_directories(tm_prices PUBLIC ${TM_SRC})
    target_link_libraries(tm_cmd PUBLIC tm_prices)
    return()
endif()

file(STRINGS "${FROM}" lines ENCODING UTF-8)
set(text "")
foreach(line IN LISTS lines)
    string(REPLACE "\\" "\\\\" line "${line}")
    string(REPLACE "\"" "\\\"" line "${line}")
    string(APPEND text "    \"${line}\\n\"\n")
endforeach()
file(WRITE "${OUT}" "// Made by cmake/prices.cmake of src/cmd/prices.txt.\n"
     "#include \"cmd/prices.h\"\n\nconst char tm_prices_usual[] =\n${text};\n")
