# tests/dynamodb/store.c: what needs a running DynamoDB Local, and so is no test of ctest;
# tests/dynamodb/run.sh runs it.
if(TARGET tests_store AND NOT TM_FUZZ AND NOT TM_SANITIZE)
    add_executable(dynamodb_store ${CMAKE_SOURCE_DIR}/tests/dynamodb/store.c)
    target_include_directories(dynamodb_store PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(dynamodb_store PRIVATE tests_store tm_store ${test_libraries})
endif()
