// fuzz_host.h - the smallest host an engine can have, for the fuzz targets of client/: two
// places that never fail, one page, fixed chance, so that a seed can name operations.
//
// Whatever came, these hold afterwards (fuzz_check): what is shown and told is JSON, and
// two pages that start from what is stored, one after the other, hold and show the same.
// (What the first page shows can differ from it: a server that gives one number twice
// leaves a state that only the pull mends which it makes the page ask for.)
#ifndef TM_TESTS_CLIENT_FUZZ_HOST_H
#define TM_TESTS_CLIENT_FUZZ_HOST_H

#include "client/engine.h"
#include "core/json.h"
#include "core/list.h"
#include "fuzz.h"

typedef struct fuzz_record {
    tm_span key, value;
} fuzz_record;

typedef struct fuzz_place {
    fuzz_record at[4096];
    size_t count;
} fuzz_place;

typedef struct fuzz_page {
    tm_alloc alloc;
    tm_engine *engine;
    tm_now now;
    fuzz_place local, disk;
    bool manual;
    char ids[10][80]; // of the operations that were saved last
    uint64_t ref;
} fuzz_page;

// As if fresh; what a place could hold is not written over, which took as long as the rest.
static inline void fuzz_page_clear(fuzz_page *p, bool manual) {
    p->local.count = p->disk.count = 0;
    p->engine = NULL;
    p->now = (tm_now){0};
    p->manual = manual;
    p->ref = 0;
    memset(p->ids, 0, sizeof p->ids);
}

static inline tm_span fuzz_text(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

// Exactly as long as it is, so that reading past its end is found.
static inline tm_span fuzz_copy(tm_span from) {
    uint8_t *to = malloc(from.len + (from.len == 0));
    TM_ASSERT(to != NULL);
    if (from.len > 0) memcpy(to, from.ptr, from.len);
    return (tm_span){to, from.len};
}

static inline void fuzz_drop(tm_span text) {
    free((void *)(uintptr_t)text.ptr);
}

// ---- storage ------------------------------------------------------------------------

static inline size_t fuzz_find(const fuzz_place *p, tm_span key) {
    size_t i = 0;
    while (i < p->count && tm_span_cmp(p->at[i].key, key) != 0) {
        i++;
    }
    return i;
}

static inline void fuzz_del(fuzz_place *p, size_t i) {
    fuzz_drop(p->at[i].key);
    fuzz_drop(p->at[i].value);
    p->at[i] = p->at[--p->count];
}

static inline void fuzz_put(fuzz_place *p, tm_span key, tm_span value) {
    size_t i = fuzz_find(p, key);
    if (i < p->count) fuzz_del(p, i);
    TM_ASSERT(p->count < sizeof p->at / sizeof p->at[0]);
    p->at[p->count++] = (fuzz_record){fuzz_copy(key), fuzz_copy(value)};
}

static inline void fuzz_place_free(fuzz_place *p) {
    while (p->count > 0) {
        fuzz_del(p, p->count - 1);
    }
}

static inline bool fuzz_begins(tm_span text, tm_span prefix) {
    return text.len >= prefix.len &&
           (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

static inline void fuzz_writes(fuzz_place *p, tm_json *in) {
    TM_ASSERT(tm_json_open(in, TM_JSON_ARRAY) == TM_OK);
    while (tm_json_element(in)) {
        tm_span part[3];
        size_t count = 0;
        TM_ASSERT(tm_json_open(in, TM_JSON_ARRAY) == TM_OK);
        while (tm_json_element(in)) {
            TM_ASSERT(count < 3 && tm_json_string(in, &part[count++]) == TM_OK);
        }
        TM_ASSERT(in->status == TM_OK && count >= 2);
        if (count == 3) fuzz_put(p, part[1], part[2]);
        for (size_t i = 0; i < p->count && count == 2;) {
            bool clear = part[0].ptr[0] == 'c';
            bool hit = clear ? fuzz_begins(p->at[i].key, part[1])
                             : tm_span_cmp(p->at[i].key, part[1]) == 0;
            if (hit) fuzz_del(p, i);
            i += !hit;
        }
    }
    TM_ASSERT(in->status == TM_OK);
}

// One page alone: the stored pair is its own, and every guard holds.
static inline void fuzz_commit(fuzz_page *p, const tm_event *event) {
    tm_arena arena = {.alloc = &p->alloc};
    tm_json in;
    tm_span key;
    uint64_t pair[2] = {0, 0};
    tm_json_init(&in, event->value, 8, &arena);
    TM_ASSERT(tm_json_open(&in, TM_JSON_OBJECT) == TM_OK);
    TM_ASSERT(tm_json_member(&in, &key)); // guard
    if (tm_json_peek(&in) == TM_JSON_NULL) {
        TM_ASSERT(tm_json_null(&in) == TM_OK);
    } else {
        TM_ASSERT(tm_json_open(&in, TM_JSON_ARRAY) == TM_OK);
        for (size_t i = 0; tm_json_element(&in); i++) {
            tm_status read =
                i < 2 ? tm_json_u64(&in, &pair[i]) : tm_json_string(&in, &key);
            TM_ASSERT(i < 3 && read == TM_OK);
        }
    }
    while (tm_json_member(&in, &key)) {
        fuzz_writes(&p->disk, &in);
    }
    TM_ASSERT(tm_json_end(&in) == TM_OK);
    tm_arena_deinit(&arena);
    tm_engine_committed(p->engine, p->now, event->ticket, TM_COMMITTED, pair[1]);
}

// ---- the page -------------------------------------------------------------------------

static inline void fuzz_pump(fuzz_page *p) {
    tm_event event;
    for (size_t i = 0; tm_engine_event(p->engine, &event); i++) {
        TM_ASSERT(i < 100000);
        if (event.kind == TM_EVENT_KEEP) {
            fuzz_put(&p->local, event.key, event.value);
            tm_engine_kept(p->engine, event.key, true);
        } else if (event.kind == TM_EVENT_FORGET) {
            size_t at = fuzz_find(&p->local, event.key);
            if (at < p->local.count) fuzz_del(&p->local, at);
        } else if (event.kind == TM_EVENT_COMMIT) {
            fuzz_commit(p, &event);
        }
        TM_ASSERT(event.kind != TM_EVENT_RELOAD);
    }
}

static inline void fuzz_load(fuzz_page *p, tm_place which, const fuzz_place *from) {
    for (size_t i = 0; i < from->count; i++) {
        TM_ASSERT(tm_engine_load(p->engine, which, from->at[i].key,
                                 from->at[i].value) == TM_OK);
    }
}

static inline void fuzz_adopt(fuzz_page *p, const fuzz_place *from) {
    for (size_t i = 0; i < from->count; i++) {
        tm_span key = from->at[i].key;
        if (!fuzz_begins(key, fuzz_text("writer/"))) continue;
        tm_status status =
            tm_engine_adopt(p->engine, p->now, (tm_span){key.ptr + 7, key.len - 7});
        TM_ASSERT(status == TM_OK || status == TM_E_RANGE);
    }
}

static inline void fuzz_start(fuzz_page *p) {
    tm_engine_config config = {
        .user = fuzz_text("u"), .list = fuzz_text("l"), .manual = p->manual};
    p->alloc = fuzz_alloc();
    config.alloc = &p->alloc;
    memset(config.seed, 7, sizeof config.seed);
    if (p->now.mono_ms == 0) p->now = (tm_now){1700000000000, 5000};
    TM_ASSERT(tm_engine_new(&config, &p->engine) == TM_OK);
    fuzz_load(p, TM_PLACE_LOCAL, &p->local);
    fuzz_load(p, TM_PLACE_DISK, &p->disk);
    fuzz_adopt(p, &p->disk);
    fuzz_adopt(p, &p->local);
    TM_ASSERT(tm_engine_start(p->engine, p->now, fuzz_text("b-a"), TM_START_DISK) ==
              TM_OK);
    fuzz_pump(p);
}

static inline void fuzz_pass(fuzz_page *p, uint64_t ms) {
    p->now.wall_ms += ms;
    p->now.mono_ms += ms;
    tm_engine_tick(p->engine, p->now);
    fuzz_pump(p);
}

static inline void fuzz_edit(fuzz_page *p, const char *edit) {
    tm_status status = tm_engine_edit(p->engine, p->now, fuzz_text(edit), NULL);
    TM_ASSERT(status == TM_OK || status == TM_E_GONE || status == TM_E_RANGE);
    fuzz_pump(p);
}

// ---- looking ------------------------------------------------------------------------

static inline void fuzz_json(tm_alloc *alloc, tm_span text) {
    tm_arena arena = {.alloc = alloc};
    tm_json in;
    tm_json_init(&in, text, TM_JSON_DEPTH_MAX, &arena);
    TM_ASSERT(tm_json_skip(&in, NULL) == TM_OK && tm_json_end(&in) == TM_OK);
    tm_arena_deinit(&arena);
}

// Remembers what a save named, so that an input can answer it.
static inline void fuzz_sent(fuzz_page *p, const tm_send *send) {
    static const char mark[] = "{\"id\":\"";
    const size_t len = sizeof mark - 1;
    fuzz_json(&p->alloc, send->bytes);
    if (send->kind != TM_SEND_SAVE) return;
    p->ref = send->ref;
    memset(p->ids, 0, sizeof p->ids);
    for (size_t i = 0, n = 0; i + len < send->bytes.len && n < 10; i++) {
        const uint8_t *at = send->bytes.ptr + i;
        if (memcmp(at, mark, len) != 0) continue;
        for (size_t k = 0; k < 79 && at[len + k] != '"'; k++) {
            p->ids[n][k] = (char)at[len + k];
        }
        n++;
    }
}

// A copy of the line with $0 to $9 and $r filled in: free with fuzz_drop.
static inline tm_span fuzz_fill(fuzz_page *p, tm_span line) {
    tm_alloc alloc = fuzz_alloc();
    tm_buf out = {.alloc = &alloc};
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.ptr[i], next = i + 1 < line.len ? line.ptr[i + 1] : 0;
        if (c == '$' && next >= '0' && next <= '9') {
            tm_buf_text(&out, p->ids[next - '0']);
            i++;
        } else if (c == '$' && next == 'r') {
            tm_buf_u64(&out, p->ref);
            i++;
        } else {
            tm_buf_byte(&out, c);
        }
    }
    tm_span filled = fuzz_copy(tm_buf_span(&out));
    tm_buf_deinit(&out);
    return filled;
}

static inline bool fuzz_dead(const fuzz_page *p, tm_span id) {
    uint64_t cursor;
    return tm_item_dead(tm_list_find(tm_engine_confirmed(p->engine, &cursor), id));
}

// All that can be seen from outside: C, the cursor, the dead letters, what is shown.
static inline void fuzz_look(fuzz_page *p, tm_buf *out) {
    tm_span text, id;
    tm_arena arena = {.alloc = &p->alloc};
    tm_json in;
    uint64_t cursor;
    tm_buf_reset(out);
    tm_list_write(tm_engine_confirmed(p->engine, &cursor), out);
    tm_buf_u64(out, cursor);
    TM_ASSERT(tm_engine_status(p->engine, p->now, &text) == TM_OK);
    fuzz_json(&p->alloc, text);
    TM_ASSERT(tm_engine_dead(p->engine, &text) == TM_OK);
    fuzz_json(&p->alloc, text);
    tm_buf_put(out, tm_engine_sort(p->engine, p->now));
    TM_ASSERT(tm_engine_order(p->engine, p->now, &text) == TM_OK);
    tm_span order = fuzz_copy(text);
    tm_json_init(&in, order, 2, &arena);
    TM_ASSERT(tm_json_open(&in, TM_JSON_ARRAY) == TM_OK);
    while (tm_json_element(&in)) {
        TM_ASSERT(tm_json_string(&in, &id) == TM_OK);
        TM_ASSERT(tm_engine_item(p->engine, p->now, id, &text) == TM_OK);
        TM_ASSERT(text.len > 0);
        fuzz_json(&p->alloc, text);
        // What others wrote to a deleted item is not stored (SEMANTICS 7).
        tm_buf_put(out, fuzz_dead(p, id) ? id : text);
    }
    TM_ASSERT(tm_json_end(&in) == TM_OK);
    fuzz_drop(order);
    tm_arena_deinit(&arena);
    TM_ASSERT(out->status == TM_OK);
}

// Ends the page.
static inline void fuzz_check(fuzz_page *p) {
    tm_alloc alloc = fuzz_alloc();
    tm_buf first = {.alloc = &alloc}, second = {.alloc = &alloc};
    fuzz_pass(p, 120000); // no protection, no receipt, no waiting transaction
    fuzz_look(p, &first);
    tm_engine_free(p->engine);
    fuzz_start(p);
    fuzz_look(p, &first);
    tm_engine_free(p->engine);
    fuzz_start(p);
    fuzz_look(p, &second);
    bool the_same = tm_span_cmp(tm_buf_span(&first), tm_buf_span(&second)) == 0;
    if (!the_same) {
        fprintf(stderr, "first  %.*s\nsecond %.*s\n", (int)first.len,
                (char *)first.ptr, (int)second.len, (char *)second.ptr);
    }
    TM_ASSERT(the_same);
    tm_engine_free(p->engine);
    tm_buf_deinit(&first);
    tm_buf_deinit(&second);
    fuzz_place_free(&p->local);
    fuzz_place_free(&p->disk);
}

// The next line of the input. False: there is none.
static inline bool fuzz_line(const uint8_t *data, size_t size, size_t *at,
                             tm_span *line) {
    size_t from = *at, end = from;
    if (from >= size) return false;
    while (end < size && data[end] != '\n') {
        end++;
    }
    *line = (tm_span){data + from, end - from};
    *at = end + 1;
    return true;
}

#endif
