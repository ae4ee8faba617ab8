// help.c - see help.h.
#include "help.h"

#include "t.h"

tm_span file_read(tm_arena *arena, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("no file %s", path);
    tm_buf buf = {.alloc = arena->alloc};
    for (;;) {
        uint8_t *to = tm_buf_reserve(&buf, 4096);
        assert_non_null(to);
        size_t got = fread(to, 1, 4096, file);
        buf.len += got;
        if (got == 0) break;
    }
    fclose(file);
    tm_span copy;
    T_OK(tm_arena_copy(arena, tm_buf_span(&buf), &copy));
    tm_buf_deinit(&buf);
    return copy;
}

uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

size_t random_below(uint64_t *state, size_t bound) {
    return (size_t)(random_next(state) % bound);
}

tm_span list_bytes(tm_arena *arena, const tm_list *list) {
    tm_buf buf = {.alloc = arena->alloc};
    tm_list_write(list, &buf);
    T_OK(buf.status);
    tm_span copy;
    T_OK(tm_arena_copy(arena, tm_buf_span(&buf), &copy));
    tm_buf_deinit(&buf);
    return copy;
}

tm_op *op_from(tm_arena *arena, tm_span text) {
    tm_json in;
    tm_op *op = tm_arena_get(arena, sizeof *op);
    assert_non_null(op);
    tm_json_init(&in, text, TM_DEPTH_MAX, arena);
    if (tm_op_read(&in, op) != TM_OK || tm_json_end(&in) != TM_OK) {
        fail_msg("%.*s: %s at %zu", (int)text.len, (const char *)text.ptr,
                 in.error.reason, in.error.offset);
    }
    return op;
}
