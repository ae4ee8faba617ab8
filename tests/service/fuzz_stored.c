// Any bytes as a stored batch: line 1 its operations, line 2 the rejections that rode
// along; the seqs it claims are taken from the first `"seq":`. Read or refused; what is
// read has the seqs that were claimed, in order, and lies inside what was stored.
#include "fuzz.h"
#include "service/stored.h"

static uint64_t first_seq(tm_span text) {
    static const char name[] = "\"seq\":";
    const size_t len = sizeof name - 1;
    for (size_t i = 0; i + len < text.len; i++) {
        if (memcmp(text.ptr + i, name, len) != 0) continue;
        uint64_t number = 0;
        for (i += len; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';
             i++) {
            number = number * 10 + (uint64_t)(text.ptr[i] - '0');
        }
        return number;
    }
    return 1;
}

static size_t count_of(tm_span text) {
    size_t count = 0;
    for (size_t i = 0; i + 6 <= text.len; i++) {
        count += memcmp(text.ptr + i, "\"seq\":", 6) == 0;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tm_alloc alloc = fuzz_alloc();
    tm_arena arena = {.alloc = &alloc};
    tm_stored stored;
    size_t end = 0;
    while (end < size && data[end] != '\n') {
        end++;
    }
    tm_batch batch = {.operations = {data, end}};
    if (end < size) batch.rejected = (tm_span){data + end + 1, size - end - 1};
    batch.first_seq = first_seq(batch.operations);
    size_t counts[] = {count_of(batch.operations), 1, 0, 300};
    for (size_t i = 0; i < 4; i++) {
        batch.last_seq = batch.first_seq + counts[i] - 1;
        tm_status status = tm_stored_read(&batch, &arena, &stored);
        TM_ASSERT(status == TM_OK || status == TM_E_CORRUPT);
        if (status != TM_OK) continue;
        TM_ASSERT(stored.count == counts[i] && stored.count > 0);
        for (uint32_t n = 0; n < stored.count; n++) {
            const tm_op *op = &stored.ops[n];
            TM_ASSERT(op->seq == batch.first_seq + n);
            TM_ASSERT(op->raw.ptr >= data &&
                      op->raw.ptr + op->raw.len <= data + end);
            TM_ASSERT(op->raw.ptr + op->raw.len == data + stored.ends[n]);
        }
        for (uint32_t n = 0; n < stored.rejected_count; n++) {
            TM_ASSERT(tm_op_id_valid(stored.rejected[n].id));
            TM_ASSERT(stored.rejected[n].fault != TM_FAULT_NONE);
        }
    }
    tm_arena_deinit(&arena);
    return 0;
}
