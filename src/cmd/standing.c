// standing.c - see standing.h.
#include "cmd/standing.h"

#include <inttypes.h>
#include <stdio.h>

#include "cmd/host.h"
#include "cmd/tree.h"

#define SNAPSHOT_FORMAT 1u

static tm_status unknown_read(tm_standing *standing, tm_json *in) {
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(in)) {
        tm_op op;
        status = tm_op_read(in, &op);
        if (status == TM_OK && op.fault != TM_FAULT_NONE) {
            status = tm_json_fail(in, "an operation with a fault");
        }
        if (status == TM_OK) status = tm_list_apply(standing->list, &op, NULL);
    }
    return status == TM_OK ? in->status : status;
}

// ["browserId",version,timestamp,logical,[...]]
static tm_status writer_read(tm_standing *standing, tm_json *in) {
    tm_standing_writer writer = {{NULL, 0}, 0};
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    for (unsigned at = 0; status == TM_OK && tm_json_element(in); at++) {
        status = at == 0   ? tm_json_string(in, &writer.browser)
                 : at == 1 ? tm_json_u64(in, &writer.version)
                           : tm_json_skip(in, NULL);
    }
    if (status == TM_OK) status = in->status;
    if (status != TM_OK) return status;
    if (standing->writer_count == standing->writer_cap) {
        size_t cap = standing->writer_cap == 0 ? 16 : 2 * standing->writer_cap;
        tm_standing_writer *more =
            tm_arena_get(&standing->arena, cap * sizeof *more);
        if (more == NULL) return TM_E_NOMEM;
        for (size_t i = 0; i < standing->writer_count; i++) {
            more[i] = standing->writers[i];
        }
        standing->writers = more;
        standing->writer_cap = cap;
    }
    standing->writers[standing->writer_count++] = writer;
    return TM_OK;
}

static tm_status writers_read(tm_standing *standing, tm_json *in) {
    tm_status status = tm_json_open(in, TM_JSON_ARRAY);
    while (status == TM_OK && tm_json_element(in)) {
        status = writer_read(standing, in);
    }
    return status == TM_OK ? in->status : status;
}

static tm_status member_read(tm_standing *standing, tm_json *in, tm_span name) {
    uint64_t number;
    tm_status status;
    if (tm_span_equal_text(name, "format")) {
        status = tm_json_u64(in, &number);
        if (status == TM_OK && number != SNAPSHOT_FORMAT) {
            status = tm_json_fail(in, "written by a newer tidemark");
        }
        return status;
    }
    if (tm_span_equal_text(name, "seq")) {
        status = tm_json_u64(in, &number);
        if (status == TM_OK && number != standing->seq) {
            status = tm_json_fail(in, "not the seq it is stored under");
        }
        return status;
    }
    if (tm_span_equal_text(name, "mark"))
        return tm_json_string(in, &standing->mark);
    if (tm_span_equal_text(name, "state")) return tm_list_read(standing->list, in);
    if (tm_span_equal_text(name, "unknown")) return unknown_read(standing, in);
    if (tm_span_equal_text(name, "writers")) return writers_read(standing, in);
    return tm_json_skip(in, NULL);
}

static tm_status snapshot_read(tm_standing *standing, char problem[256]) {
    tm_json in;
    tm_span name;
    tm_json_init(&in, tm_buf_span(&standing->bytes), TM_JSON_DEPTH_MAX,
                 &standing->arena);
    tm_status status = tm_json_open(&in, TM_JSON_OBJECT);
    while (status == TM_OK && tm_json_member(&in, &name)) {
        status = member_read(standing, &in, name);
    }
    if (status == TM_OK) status = tm_json_end(&in);
    if (status != TM_OK) {
        (void)snprintf(problem, 256,
                       "the snapshot at %" PRIu64 " does not read: %s, "
                       "at byte %zu",
                       standing->seq,
                       in.status == TM_OK ? "not a state" : in.error.reason,
                       in.error.offset);
    }
    return status;
}

tm_status tm_standing_load(tm_standing *standing, tm_store *store, tm_key key,
                           char problem[256]) {
    *standing = (tm_standing){.bytes = {.alloc = &tm_host_alloc},
                              .arena = {.alloc = &tm_host_alloc}};
    tm_seed seed;
    tm_host_random(NULL, (uint8_t *)&seed, sizeof seed);
    tm_status status = tm_list_new(&tm_host_alloc, seed, &standing->list);
    if (status == TM_OK) {
        status = tm_history_snapshot(store, key, &standing->seq, &standing->bytes);
    }
    if (status != TM_OK) {
        tm_span why = {NULL, 0}; // the store's own words
        if (tm_store_health(store, &why) == TM_OK) why.len = 0;
        (void)snprintf(problem, 256,
                       "the snapshot cannot be read (status %d%s%.*s)", (int)status,
                       why.len > 0 ? "; " : "", (int)why.len,
                       (const char *)why.ptr);
        return status;
    }
    return standing->seq == 0 ? TM_OK : snapshot_read(standing, problem);
}

void tm_standing_deinit(tm_standing *standing) {
    tm_list_free(standing->list);
    tm_buf_deinit(&standing->bytes);
    tm_arena_deinit(&standing->arena);
    *standing = (tm_standing){0};
}

uint64_t tm_standing_version(const tm_standing *standing, tm_span browser) {
    for (size_t i = 0; i < standing->writer_count; i++) {
        if (tm_span_equal(standing->writers[i].browser, browser)) {
            return standing->writers[i].version;
        }
    }
    return 0;
}
