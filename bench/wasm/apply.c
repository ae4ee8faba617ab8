// apply.c - one more door of core.wasm, for the benchmark alone: operations from their JSON
// into a list, without an engine around it. bench/wasm/run.mjs compiles it with the command that
// compiled the core, and links it with the very objects that core.wasm is made of.
#include "client/door.h"
#include "core/list.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

static tm_buf text;
static tm_list *list;
static tm_arena arena;

uint8_t *EXPORT(bench_in)(uint32_t len) {
    text.alloc = arena.alloc = tm_door_alloc();
    tm_buf_reset(&text);
    uint8_t *at = tm_buf_reserve(&text, len);
    text.len = at == NULL ? 0 : len;
    return at;
}

int32_t EXPORT(bench_new)(void) {
    tm_list_free(list);
    return tm_list_new(tm_door_alloc(), (tm_seed){1, 2}, &list);
}

// The array that bench_in was given, read and joined. How many, or a negative status.
int32_t EXPORT(bench_apply)(void) {
    static tm_op op;
    tm_json in;
    int32_t count = 0;
    tm_json_init(&in, tm_buf_span(&text), TM_DEPTH_MAX, &arena);
    tm_status status = tm_json_open(&in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(&in)) {
        status = tm_op_read(&in, &op);
        if (status == TM_OK) status = tm_list_apply(list, &op, NULL);
        count++;
    }
    if (status == TM_OK) status = tm_json_end(&in);
    tm_arena_reset(&arena);
    return status == TM_OK ? count : (int32_t)status;
}

uint32_t EXPORT(bench_live)(void) {
    return tm_list_live(list);
}
