// The queue of a connection: random runs in, any number of bytes at a time out, and what
// is held is given back exactly once.
#include "t.h"
#include "net/out.h"

#define STREAM 200000u

static size_t frames_released;

static void release(void *context, tm_frame *frame) {
    (void)context;
    frames_released++;
    T_TRUE(frame->refs > 0);
    frame->refs--;
}

static uint64_t random_next(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 33;
}

// Appends a run of some kind with `len` bytes that continue the pattern at `at`.
static tm_status append(tm_out_pool *pool, tm_out *out, const uint8_t *pattern,
                        size_t kind, size_t len, tm_frame *frame) {
    tm_span bytes = {pattern, len};
    if (kind == 0) return tm_out_lent(pool, out, bytes);
    if (kind == 1) return tm_out_copy(pool, out, bytes);
    if (kind == 2) {
        tm_buf buf = {.alloc = pool->alloc};
        tm_buf_put(&buf, bytes);
        return tm_out_buf(pool, out, &buf);
    }
    assert_non_null(frame);
    frame->refs++;
    frame->room_used = len < 4 ? (uint32_t)len : 4;
    frame->len = len - frame->room_used;
    memcpy(frame->bytes - frame->room_used, pattern, len);
    return tm_out_frame(pool, out, frame, true);
}

static void test_random(void **state) {
    (void)state;
    static uint8_t pattern[STREAM], seen[STREAM];
    for (size_t i = 0; i < STREAM; i++)
        pattern[i] = (uint8_t)(i * 31 + (i >> 8));
    for (uint64_t run = 1; run <= 30; run++) {
        uint64_t seed = run;
        t_memory memory = {0};
        tm_alloc alloc = t_alloc(&memory);
        tm_out_pool pool = {.alloc = &alloc, .release = release};
        tm_out out = {0};
        tm_frame *frames[64];
        size_t sent = 0, got = 0, frame_count = 0;
        while (got < 20000) {
            size_t len = random_next(&seed) % 400, kind = random_next(&seed) % 4;
            if (kind == 3 && frame_count == 64) kind = 0;
            if (kind == 3) {
                frames[frame_count] = calloc(1, sizeof(tm_frame) + 400);
                assert_non_null(frames[frame_count]);
            }
            T_OK(append(&pool, &out, pattern + sent, kind, len,
                        kind == 3 ? frames[frame_count++] : NULL));
            sent += len;
            T_EQ(out.bytes, sent - got);
            if (random_next(&seed) % 3 != 0) continue;
            tm_span runs[16];
            size_t bytes, take = 0;
            size_t count = tm_out_peek(&out, runs, 16, 1000, &bytes);
            T_TRUE(count <= 16);
            for (size_t i = 0; i < count; i++) {
                memcpy(seen + got + take, runs[i].ptr, runs[i].len);
                take += runs[i].len;
            }
            T_EQ(take, bytes);
            T_EQ(memcmp(seen + got, pattern + got, bytes), 0);
            take = bytes == 0 ? 0 : random_next(&seed) % (bytes + 1);
            tm_out_done(&pool, &out, take);
            got += take;
        }
        tm_out_clear(&pool, &out);
        T_EQ(out.bytes, 0);
        T_TRUE(out.first == NULL && out.last == NULL);
        for (size_t i = 0; i < frame_count; i++) {
            T_EQ(frames[i]->refs, 0);
            free(frames[i]);
        }
        tm_out_pool_deinit(&pool);
        T_EQ(memory.live, 0);
    }
}

static void test_cut(void **state) {
    (void)state;
    // Runs of 10 bytes; `keep` bytes are kept, and the run they end in.
    static const struct {
        const char *name;
        size_t runs, sent, keep, left;
        bool begun;
    } rows[] = {
        {"nothing kept", 20, 0, 0, 0, false},
        {"of nothing", 0, 0, 0, 0, false},
        {"one run", 20, 0, 1, 10, false},
        {"exactly one", 20, 0, 10, 10, false},
        {"a byte of the next", 20, 0, 11, 20, false},
        {"the rest of one begun", 20, 3, 1, 7, true},
        {"past a block's end", 20, 0, 75, 80, false},
        {"all", 20, 0, 200, 200, false},
        {"more than all", 20, 5, 1000, 195, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        t_memory memory = {0};
        tm_alloc alloc = t_alloc(&memory);
        tm_out_pool pool = {.alloc = &alloc, .release = release};
        tm_out out = {0};
        for (size_t n = 0; n < rows[i].runs; n++) {
            T_OK(tm_out_copy(&pool, &out, t_str("0123456789")));
        }
        tm_out_done(&pool, &out, rows[i].sent);
        tm_out_cut(&pool, &out, rows[i].keep);
        T_EQ(out.bytes, rows[i].left);
        T_EQ(tm_out_begun(&out), rows[i].begun);
        T_OK(tm_out_copy(&pool, &out, t_str("end")));
        tm_span runs[64];
        size_t bytes;
        size_t count = tm_out_peek(&out, runs, 64, 10000, &bytes);
        T_EQ(bytes, rows[i].left + 3);
        T_TEXT(runs[count - 1], "end");
        tm_out_clear(&pool, &out);
        tm_out_pool_deinit(&pool);
        T_EQ(memory.live, 0);
    }
}

// Without memory the queue stays as it was, and what it should have taken is given back.
static void test_no_memory(void **state) {
    (void)state;
    union {
        tm_frame frame;
        uint8_t room[sizeof(tm_frame) + 400];
    } shared = {0};
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t k = 1; k <= 3; k++) {
            t_memory memory = {0};
            tm_alloc alloc = t_alloc(&memory);
            tm_out_pool pool = {.alloc = &alloc, .release = release};
            tm_out out = {0};
            memory.fail_at = k;
            memory.fail_after = true;
            frames_released = 0;
            tm_status status = append(&pool, &out, (const uint8_t *)"0123456789",
                                      kind, 10, &shared.frame);
            T_EQ(status, memory.refused ? TM_E_NOMEM : TM_OK);
            T_EQ(out.bytes, memory.refused ? 0 : 10);
            tm_out_clear(&pool, &out);
            T_EQ(frames_released, kind == 3 ? 1 : 0);
            tm_out_pool_deinit(&pool);
            T_EQ(memory.live, 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
