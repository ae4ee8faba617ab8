// drive.c - see drive.h.
#include "drive.h"

#include "t.h"

#define NEVER ((tm_status)1) // no status: not completed yet

tm_key drive_key(const char *user, const char *list) {
    return (tm_key){t_str(user), t_str(list)};
}

tm_key drive_key_n(size_t n) {
    static char users[64][24];
    T_TRUE(n < COUNT(users));
    char *user = users[n];
    snprintf(user, sizeof users[0], "user-%zu", n);
    return drive_key(user, n % 3 == 0 ? "selected-images" : "other");
}

uint64_t drive_random(uint64_t *state) { // splitmix64
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint8_t *drive_bytes(uint64_t salt, size_t len) {
    uint8_t *bytes = malloc(len + 8);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = drive_random(&salt);
        memcpy(bytes + i, &word, 8);
    }
    return bytes;
}

// ---- batches ------------------------------------------------------------------------

static void mark_of(uint64_t salt, uint64_t seq, uint8_t mark[TM_MARK_LEN]) {
    uint64_t state = salt * 1000003 + seq;
    for (size_t i = 0; i < TM_MARK_LEN; i += 8) {
        uint64_t word = drive_random(&state);
        memcpy(mark + i, &word, 8);
    }
}

drive_batch drive_make(uint64_t salt, uint64_t first, uint64_t last) {
    drive_batch made = {.batch = {first, last, .accepted_ms = last}};
    size_t cap = 0;
    FILE *out = open_memstream((char **)&made.bytes, &cap);
    assert_non_null(out);
    for (uint64_t seq = first; seq <= last; seq++) {
        fprintf(out,
                "%s{\"id\":\"o-%" PRIu64 "-%" PRIu64 "\",\"type\":\"ADD\","
                "\"data\":{\"description\":\"it's \\\"100%%\\\" #%" PRIu64 "\"},"
                "\"seq\":%" PRIu64 "}",
                seq == first ? "[" : ",", salt, seq, seq * salt, seq);
    }
    fprintf(out, "]");
    fflush(out);
    made.batch.operations.len = cap;
    if (first % 2 == 1) {
        fprintf(out, "[{\"id\":\"r-%" PRIu64 "\",\"code\":\"bad-type\"}]", first);
    }
    fclose(out);
    made.batch.operations.ptr = made.bytes;
    made.batch.rejected =
        (tm_span){made.bytes + made.batch.operations.len,
                  strlen((char *)made.bytes) - made.batch.operations.len};
    mark_of(salt, first - 1, made.batch.before);
    mark_of(salt, last, made.batch.mark);
    return made;
}

void drive_free(drive_batch *made) {
    free(made->bytes);
}

void drive_check(const tm_batch *batch, uint64_t salt) {
    drive_batch want = drive_make(salt, batch->first_seq, batch->last_seq);
    T_EQ(batch->accepted_ms, want.batch.accepted_ms);
    T_SPAN(batch->operations, want.batch.operations);
    T_EQ(batch->rejected.len, want.batch.rejected.len);
    if (batch->rejected.len > 0) T_SPAN(batch->rejected, want.batch.rejected);
    T_SPAN(((tm_span){batch->before, TM_MARK_LEN}),
           ((tm_span){want.batch.before, TM_MARK_LEN}));
    T_SPAN(((tm_span){batch->mark, TM_MARK_LEN}),
           ((tm_span){want.batch.mark, TM_MARK_LEN}));
    drive_free(&want);
}

// ---- requests -----------------------------------------------------------------------

static void wait_for(tm_store *store, const tm_status *status) {
    while (*status == NEVER) {
        T_TRUE(tm_store_wait(store) > 0); // else it would never come
    }
}

static void on_append(tm_store_append *request, tm_status status) {
    *(tm_status *)request->context = status;
}

tm_status drive_append_batch(tm_store *store, tm_key key, const tm_batch *batch) {
    tm_status status = NEVER;
    tm_store_append request = {
        .key = key, .batch = *batch, .done = on_append, .context = &status};
    tm_store_append_start(store, &request);
    wait_for(store, &status);
    return status;
}

tm_status drive_append(tm_store *store, tm_key key, uint64_t salt, uint64_t first,
                       uint64_t last) {
    drive_batch made = drive_make(salt, first, last);
    tm_status status = drive_append_batch(store, key, &made.batch);
    drive_free(&made);
    return status;
}

static tm_span span_copy(tm_span from) {
    uint8_t *copy = malloc(from.len + 1);
    assert_non_null(copy);
    if (from.len > 0) memcpy(copy, from.ptr, from.len);
    return (tm_span){copy, from.len};
}

static void on_read(tm_store_read *request, tm_status status,
                    const tm_batch *batches, size_t count, bool more) {
    drive_page *page = request->context;
    page->batches = calloc(count + 1, sizeof *page->batches);
    assert_non_null(page->batches);
    for (size_t i = 0; i < count; i++) {
        page->batches[i] = batches[i];
        page->batches[i].operations = span_copy(batches[i].operations);
        page->batches[i].rejected = span_copy(batches[i].rejected);
    }
    page->count = count;
    page->more = more;
    page->status = status;
}

drive_page drive_read(tm_store *store, tm_key key, uint64_t since, uint64_t ops_max,
                      uint64_t bytes_max) {
    drive_page page = {.status = NEVER};
    tm_store_read request = {.key = key,
                             .since = since,
                             .ops_max = ops_max,
                             .bytes_max = bytes_max,
                             .done = on_read,
                             .context = &page};
    tm_store_read_start(store, &request);
    wait_for(store, &page.status);
    return page;
}

void drive_page_free(drive_page *page) {
    for (size_t i = 0; i < page->count; i++) {
        free((void *)(uintptr_t)page->batches[i].operations.ptr);
        free((void *)(uintptr_t)page->batches[i].rejected.ptr);
    }
    free(page->batches);
    *page = (drive_page){0};
}

uint64_t drive_all(tm_store *store, tm_key key, uint64_t salt, uint64_t *from) {
    uint64_t head = 0;
    for (bool more = true; more;) {
        drive_page page = drive_read(store, key, head, 100, UINT64_MAX);
        T_OK(page.status);
        size_t at = 0;
        if (head > 0) { // the batch that ends there comes first
            T_TRUE(page.count > 0);
            T_EQ(page.batches[at++].last_seq, head);
        } else if (from != NULL) {
            *from = page.count > 0 ? page.batches[0].first_seq : 0;
        }
        more = page.more;
        T_TRUE(!more || at < page.count);
        for (; at < page.count; at++) {
            if (head > 0) T_EQ(page.batches[at].first_seq, head + 1);
            head = page.batches[at].last_seq;
            drive_check(&page.batches[at], salt);
        }
        drive_page_free(&page);
    }
    return head;
}

static void on_save(tm_store_save *request, tm_status status) {
    *(tm_status *)request->context = status;
}

tm_status drive_save(tm_store *store, tm_key key, uint64_t seq, tm_span bytes) {
    tm_status status = NEVER;
    tm_store_save request = {.key = key,
                             .seq = seq,
                             .bytes = bytes,
                             .done = on_save,
                             .context = &status};
    tm_store_save_start(store, &request);
    wait_for(store, &status);
    return status;
}

static void on_load(tm_store_load *request, tm_status status, uint64_t seq,
                    tm_span bytes) {
    drive_snapshot *snapshot = request->context;
    tm_span copy = span_copy(bytes);
    snapshot->seq = seq;
    snapshot->bytes = (uint8_t *)(uintptr_t)copy.ptr;
    snapshot->len = copy.len;
    snapshot->status = status;
}

drive_snapshot drive_load(tm_store *store, tm_key key) {
    drive_snapshot snapshot = {.status = NEVER};
    tm_store_load request = {.key = key, .done = on_load, .context = &snapshot};
    tm_store_load_start(store, &request);
    wait_for(store, &snapshot.status);
    return snapshot;
}

struct trimmed {
    tm_status status;
    uint64_t batches;
};

static void on_trim(tm_store_trim *request, tm_status status, uint64_t batches) {
    *(struct trimmed *)request->context = (struct trimmed){status, batches};
}

tm_status drive_trim(tm_store *store, tm_key key, uint64_t below_seq,
                     uint64_t before_ms, uint64_t *batches) {
    struct trimmed trimmed = {NEVER, 0};
    tm_store_trim request = {.key = key,
                             .below_seq = below_seq,
                             .before_ms = before_ms,
                             .done = on_trim,
                             .context = &trimmed};
    tm_store_trim_start(store, &request);
    wait_for(store, &trimmed.status);
    if (batches != NULL) *batches = trimmed.batches;
    return trimmed.status;
}
