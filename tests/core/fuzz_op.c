// The operation: reading anything is safe; what was read without a fault is written and
// read again as the same; passing on keeps it readable and changes what it should.
#include "core/op.h"
#include "fuzz.h"

static bool same(tm_span a, tm_span b) {
    return (a.ptr == NULL) == (b.ptr == NULL) && tm_span_cmp(a, b) == 0;
}

static void same_check(const tm_op *a, const tm_op *b) {
    TM_ASSERT(same(a->id, b->id) && a->type == b->type);
    TM_ASSERT(tm_span_cmp(a->instance_id, b->instance_id) == 0);
    TM_ASSERT(tm_span_cmp(a->image_id, b->image_id) == 0);
    TM_ASSERT(tm_span_cmp(a->sort, b->sort) == 0);
    TM_ASSERT(a->field_count == b->field_count);
    for (uint32_t i = 0; i < a->field_count; i++) {
        TM_ASSERT(same(a->fields[i].name, b->fields[i].name));
        TM_ASSERT(same(a->fields[i].value, b->fields[i].value));
    }
}

static void reread(tm_span text, tm_arena *arena, tm_op *op) {
    tm_json in;
    tm_json_init(&in, text, TM_DEPTH_MAX, arena);
    TM_ASSERT(tm_op_read(&in, op) == TM_OK);
    TM_ASSERT(tm_json_end(&in) == TM_OK);
}

static void write_check(const tm_op *op, tm_arena *arena) {
    static tm_op again;
    tm_buf out = {.alloc = arena->alloc};
    tm_op_write(&out, op);
    reread(tm_buf_span(&out), arena, &again);
    TM_ASSERT(again.fault == TM_FAULT_NONE);
    same_check(op, &again);
    TM_ASSERT(tm_stamp_cmp(&op->at, &again.at) == 0);
    tm_buf_deinit(&out);
}

static void pass_check(const tm_op *op, tm_arena *arena) {
    static const tm_span browser = TM_LIT("other");
    static tm_op again;
    uint64_t time = UINT64_C(12345) << TM_LOGICAL_BITS | (op->raw.len % 3);
    tm_op_change changes[] = {
        {0},
        {.seq = 7},
        {.time = &time},
        {.seq = 8, .time = &time, .browser = &browser, .version = 9},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const tm_op_change *change = &changes[i];
        tm_buf out = {.alloc = arena->alloc};
        tm_op_pass(&out, op, change);
        reread(tm_buf_span(&out), arena, &again);
        TM_ASSERT(again.seq == change->seq);
        TM_ASSERT(again.fault == TM_FAULT_NONE || again.fault == TM_FAULT_SIZE);
        if (again.fault == TM_FAULT_NONE) same_check(op, &again);
        if (change->time != NULL && again.fault == TM_FAULT_NONE) {
            TM_ASSERT(again.at.time == time);
        }
        if (change->browser != NULL) {
            TM_ASSERT(same(again.at.browser, browser) && again.at.version == 9);
        }
        tm_buf_deinit(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static tm_op op;
    tm_alloc alloc = fuzz_alloc();
    tm_arena arena = {.alloc = &alloc};
    tm_json in;
    tm_json_init(&in, (tm_span){data, size}, TM_DEPTH_MAX, &arena);
    if (tm_op_read(&in, &op) == TM_OK) {
        TM_ASSERT(tm_op_id_valid(op.id) && tm_browser_id_valid(op.at.browser));
        TM_ASSERT(op.at.version >= 1 && op.at.version <= TM_INT_MAX);
        TM_ASSERT(tm_fault_word(op.fault).ptr != NULL);
        if (op.fault == TM_FAULT_NONE) {
            if (op.type != TM_OP_UNKNOWN) write_check(&op, &arena);
            pass_check(&op, &arena);
        }
    }
    tm_json_init(&in, (tm_span){data, size}, TM_DEPTH_MAX, &arena);
    if (tm_op_read_edit(&in, &op) == TM_OK && op.fault == TM_FAULT_NONE) {
        TM_ASSERT(op.type != TM_OP_UNKNOWN);
        TM_ASSERT(op.type == TM_OP_ADD || op.type == TM_OP_SORT ||
                  op.instance_id.len > 0);
    }
    tm_arena_deinit(&arena);
    return 0;
}
