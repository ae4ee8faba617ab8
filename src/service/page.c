// page.c - see page.h.
#include "service/page.h"

#include <string.h>

void tm_page_begin(tm_page *page, uint64_t since, const uint8_t *mark,
                   size_t bytes_max) {
    page->since = page->version = since;
    memcpy(page->mark, mark, TM_MARK_LEN);
    page->ops = page->bytes = page->count = 0;
    page->bytes_max = bytes_max;
}

bool tm_page_pick(tm_page *page, const tm_batch *batch, const tm_block *block) {
    uint64_t ops = batch->last_seq - batch->first_seq + 1;
    size_t bytes = batch->operations.len;
    if (page->count > 0 &&
        (page->ops + ops > TM_PAGE_OPS_MAX || page->count == TM_PAGE_OPS_MAX ||
         page->bytes + bytes > page->bytes_max)) {
        return false;
    }
    page->picked[page->count].batch = batch;
    page->picked[page->count].block = block;
    page->count++;
    page->ops += ops;
    page->bytes += bytes;
    page->version = batch->last_seq;
    memcpy(page->mark, batch->mark, TM_MARK_LEN);
    return true;
}

bool tm_batch_whole(const tm_batch *batch) {
    tm_span ops = batch->operations;
    return batch->last_seq >= batch->first_seq && ops.len > 2 &&
           ops.ptr[0] == '[' && ops.ptr[ops.len - 1] == ']';
}

bool tm_batch_end(const tm_batch *batch, size_t at) {
    tm_span ops = batch->operations;
    if (!tm_batch_whole(batch) || at >= ops.len) return false;
    return at == ops.len - 1 || (ops.ptr[at] == ',' && ops.ptr[at + 1] == '{');
}

tm_status tm_batch_ends(const tm_batch *batch, tm_arena *arena,
                        const uint32_t **ends, uint32_t *count) {
    uint64_t ops = batch->last_seq - batch->first_seq + 1;
    if (ops > TM_BATCH_OPS_MAX) return TM_E_CORRUPT;
    uint32_t *found = tm_arena_get(arena, (size_t)ops * sizeof *found);
    if (found == NULL) return TM_E_NOMEM;
    tm_json in;
    tm_json_init(&in, batch->operations, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_json_open(&in, TM_JSON_ARRAY);
    uint64_t n = 0;
    while (status == TM_OK && tm_json_element(&in)) {
        if (n == ops) return TM_E_CORRUPT;
        status = tm_json_skip(&in, NULL);
        if (status != TM_OK) break;
        if (!tm_batch_end(batch, in.at)) return TM_E_CORRUPT;
        found[n++] = (uint32_t)in.at;
    }
    if (status == TM_OK) status = tm_json_end(&in);
    if (status != TM_OK) return status;
    if (n != ops) return TM_E_CORRUPT;
    *ends = found;
    *count = (uint32_t)ops;
    return TM_OK;
}

static void element(tm_buf *out, bool *first, tm_span bytes) {
    if (!*first) tm_buf_byte(out, ',');
    *first = false;
    tm_buf_put(out, bytes);
}

// Only some of a batch's operations.
static tm_status write_some(const tm_page *page, size_t at, const uint64_t *own,
                            size_t own_count, tm_arena *arena, tm_buf *out,
                            bool *first) {
    const tm_batch *batch = page->picked[at].batch;
    const tm_block *block = page->picked[at].block;
    const uint32_t *ends = NULL;
    uint32_t count = 0;
    if (block != NULL) {
        ends = block->ends;
        count = block->count;
    } else {
        tm_status status = tm_batch_ends(batch, arena, &ends, &count);
        if (status != TM_OK) return status;
    }
    size_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t seq = batch->first_seq + i;
        while (next < own_count && own[next] < seq) {
            next++;
        }
        if (seq <= page->since || (next < own_count && own[next] == seq)) continue;
        uint32_t begin = i == 0 ? 1 : ends[i - 1] + 1;
        element(out, first,
                (tm_span){batch->operations.ptr + begin, ends[i] - begin});
    }
    return TM_OK;
}

// How many of `own` lie in the batch.
static uint64_t own_in(const tm_batch *batch, const uint64_t *own, size_t count) {
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (own[i] >= batch->first_seq && own[i] <= batch->last_seq) found++;
    }
    return found;
}

tm_status tm_page_write(const tm_page *page, const uint64_t *own, size_t own_count,
                        tm_arena *arena, tm_buf *out) {
    bool first = true;
    tm_buf_byte(out, '[');
    for (size_t i = 0; i < page->count; i++) {
        const tm_batch *batch = page->picked[i].batch;
        uint64_t mine = own_in(batch, own, own_count);
        if (mine == batch->last_seq - batch->first_seq + 1) continue;
        if (mine == 0 && batch->first_seq > page->since) {
            element(
                out, &first,
                (tm_span){batch->operations.ptr + 1, batch->operations.len - 2});
            continue;
        }
        tm_status status = write_some(page, i, own, own_count, arena, out, &first);
        if (status != TM_OK) return status;
    }
    tm_buf_byte(out, ']');
    return out->status;
}
