// stored.c - see stored.h.
#include "service/stored.h"

#include "service/page.h"

tm_fault tm_stored_fault(tm_span word) {
    static const tm_fault all[] = {
#define X(name, word) name,
        TM_FAULT_LIST(X)
#undef X
    };
    for (size_t i = 1; i < sizeof all / sizeof all[0]; i++) {
        if (tm_span_cmp(word, tm_fault_word(all[i])) == 0) return all[i];
    }
    return TM_FAULT_POLICY;
}

static tm_status ops_read(const tm_batch *batch, tm_arena *arena, tm_stored *out) {
    uint64_t count = batch->last_seq - batch->first_seq + 1;
    if (batch->last_seq < batch->first_seq || count > TM_BATCH_OPS_MAX) {
        return TM_E_CORRUPT;
    }
    out->ops = tm_arena_get(arena, (size_t)count * sizeof *out->ops);
    out->ends = tm_arena_get(arena, (size_t)count * sizeof *out->ends);
    if (out->ops == NULL || out->ends == NULL) return TM_E_NOMEM;
    tm_json in;
    tm_json_init(&in, batch->operations, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_json_open(&in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(&in)) {
        if (out->count == count) return TM_E_CORRUPT;
        tm_op *op = &out->ops[out->count];
        status = tm_op_read(&in, op);
        if (status != TM_OK) break;
        if (op->seq != batch->first_seq + out->count) return TM_E_CORRUPT;
        if (!tm_batch_end(batch, in.at)) return TM_E_CORRUPT;
        out->ends[out->count++] = (uint32_t)in.at;
    }
    if (status == TM_OK) status = tm_json_end(&in);
    if (status != TM_OK) return status;
    return out->count == count ? TM_OK : TM_E_CORRUPT;
}

static bool key_is(tm_span key, const char *name, size_t len) {
    return tm_span_cmp(key, (tm_span){(const uint8_t *)name, len}) == 0;
}

#define KEY_IS(key, literal) key_is(key, literal, sizeof(literal) - 1)

static tm_status rejection_read(tm_json *in, tm_stored_rejection *one) {
    tm_span key, code = {NULL, 0};
    *one = (tm_stored_rejection){{NULL, 0}, {NULL, 0}, 0, TM_FAULT_NONE};
    tm_status status = tm_json_open(in, TM_JSON_OBJECT);
    while (status == TM_OK && tm_json_member(in, &key)) {
        if (KEY_IS(key, "id")) {
            status = tm_json_string(in, &one->id);
        } else if (KEY_IS(key, "browserId")) {
            status = tm_json_string(in, &one->browser);
        } else if (KEY_IS(key, "version")) {
            status = tm_json_u64(in, &one->version);
        } else if (KEY_IS(key, "code")) {
            status = tm_json_string(in, &code);
        } else {
            status = tm_json_skip(in, NULL);
        }
    }
    if (status == TM_OK) status = in->status;
    if (status != TM_OK) return status;
    one->fault = tm_stored_fault(code);
    bool whole = tm_op_id_valid(one->id) && tm_browser_id_valid(one->browser) &&
                 one->version >= 1 && one->version <= TM_INT_MAX;
    return whole ? TM_OK : TM_E_CORRUPT;
}

static tm_status rejected_read(const tm_batch *batch, tm_arena *arena,
                               tm_stored *out) {
    if (batch->rejected.len == 0) return TM_OK;
    out->rejected = tm_arena_get(arena, TM_REJECTED_MAX * sizeof *out->rejected);
    if (out->rejected == NULL) return TM_E_NOMEM;
    tm_json in;
    tm_json_init(&in, batch->rejected, TM_JSON_DEPTH_MAX, arena);
    tm_status status = tm_json_open(&in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(&in)) {
        if (out->rejected_count == TM_REJECTED_MAX) return TM_E_CORRUPT;
        status = rejection_read(&in, &out->rejected[out->rejected_count++]);
    }
    return status == TM_OK ? tm_json_end(&in) : status;
}

tm_status tm_stored_read(const tm_batch *batch, tm_arena *arena,
                         tm_stored *stored) {
    *stored = (tm_stored){NULL, NULL, 0, NULL, 0};
    tm_status status = ops_read(batch, arena, stored);
    return status == TM_OK ? rejected_read(batch, arena, stored) : status;
}
