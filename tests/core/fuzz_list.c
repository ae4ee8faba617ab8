// The list: reading anything as a state is safe, and what was read is written, read and
// written again as the same bytes with the same digest. Read as an array of operations
// instead, they are applied forwards and backwards to the same state.
#include "core/list.h"
#include "fuzz.h"

static const tm_seed seed = {3, 4};

static tm_list *list_make(const tm_alloc *alloc) {
    tm_list *list = NULL;
    TM_ASSERT(tm_list_new(alloc, seed, &list) == TM_OK);
    return list;
}

static void same_check(const tm_list *a, const tm_list *b, const tm_alloc *alloc) {
    tm_buf x = {.alloc = alloc}, y = {.alloc = alloc};
    tm_list_write(a, &x);
    tm_list_write(b, &y);
    TM_ASSERT(tm_span_cmp(tm_buf_span(&x), tm_buf_span(&y)) == 0);
    tm_digest p = tm_list_digest(a), q = tm_list_digest(b);
    TM_ASSERT(p.lo == q.lo && p.hi == q.hi);
    TM_ASSERT(tm_list_size(a) >= x.len);
    // Of two unknown operations with one id the first stays, whichever that was.
    bool unknown = tm_list_unknown_count(a) > 0 || tm_list_unknown_count(b) > 0;
    TM_ASSERT(unknown || tm_list_size(a) == tm_list_size(b));
    TM_ASSERT(tm_list_live(a) == tm_list_live(b));
    tm_buf_deinit(&x);
    tm_buf_deinit(&y);
}

static void state_try(tm_span text, tm_arena *arena) {
    tm_json in;
    tm_list *list = list_make(arena->alloc);
    tm_json_init(&in, text, TM_DEPTH_MAX, arena);
    if (tm_list_read(list, &in) == TM_OK) {
        tm_buf out = {.alloc = arena->alloc};
        tm_list *again = list_make(arena->alloc);
        tm_list_write(list, &out);
        tm_json_init(&in, tm_buf_span(&out), TM_DEPTH_MAX, arena);
        TM_ASSERT(tm_list_read(again, &in) == TM_OK);
        TM_ASSERT(tm_json_end(&in) == TM_OK);
        same_check(list, again, arena->alloc);
        TM_ASSERT(tm_list_join(again, list) ==
                  TM_OK); // and joining changes nothing
        same_check(list, again, arena->alloc);
        tm_list_free(again);
        tm_buf_deinit(&out);
    }
    tm_list_free(list);
}

#define OPS_MAX 64

static void operations_try(tm_span text, tm_arena *arena) {
    static tm_op ops[OPS_MAX];
    size_t count = 0;
    tm_json in;
    tm_json_init(&in, text, TM_DEPTH_MAX, arena);
    if (tm_json_open(&in, TM_JSON_ARRAY) != TM_OK) return;
    while (count < OPS_MAX && tm_json_element(&in)) {
        if (tm_op_read(&in, &ops[count]) != TM_OK) break;
        count += ops[count].fault == TM_FAULT_NONE;
    }
    tm_list *forth = list_make(arena->alloc), *back = list_make(arena->alloc);
    for (size_t i = 0; i < count; i++) {
        TM_ASSERT(tm_list_apply(forth, &ops[i], NULL) == TM_OK);
        TM_ASSERT(tm_list_apply(back, &ops[count - 1 - i], NULL) == TM_OK);
    }
    same_check(forth, back, arena->alloc);
    size_t live = tm_list_live(forth);
    const tm_item **order = tm_arena_get(arena, live * sizeof *order);
    tm_list_order(forth, order);
    tm_list_free(back);
    tm_list_free(forth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tm_alloc alloc = fuzz_alloc();
    tm_arena arena = {.alloc = &alloc};
    state_try((tm_span){data, size}, &arena);
    operations_try((tm_span){data, size}, &arena);
    tm_arena_deinit(&arena);
    return 0;
}
