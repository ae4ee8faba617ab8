// Any bytes as method, path and query: line 1 the path, line 2 the query. Answered, and
// reading changed nothing.
#include "fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char save[] =
        "{\"user\":\"ann\",\"operations\":[{\"id\":\"a\",\"type\":\"SORT_CHANGE\","
        "\"sort\":\"asc\",\"timestamp\":1,\"browserId\":\"x\",\"version\":1},{"
        "\"id\":"
        "\"b\",\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":\"m\","
        "\"timestamp\":2,"
        "\"browserId\":\"x\",\"version\":2}]}";
    fuzz_world w;
    tm_span none = {NULL, 0};
    if (size == 0) return 0;
    tm_method method = (tm_method)(data[0] % 4);
    size_t end = 1;
    while (end < size && data[end] != '\n') {
        end++;
    }
    tm_span path = {data + 1, end - 1}, query = {data + end, 0};
    if (end < size) query = (tm_span){data + end + 1, size - end - 1};
    fuzz_open(&w);
    TM_ASSERT(fuzz_request(&w, TM_POST, fuzz_text("/v1/lists/l/operations"), none,
                           fuzz_text(save)) == 200);
    uint64_t status = fuzz_request(&w, method, path, query, none);
    TM_ASSERT(status == 200 || (status >= 400 && status < 500));
    uint64_t head;
    tm_buf list = fuzz_canonical(&w, &head);
    TM_ASSERT(head == 2);
    tm_buf_deinit(&list);
    fuzz_close(&w);
    return 0;
}
