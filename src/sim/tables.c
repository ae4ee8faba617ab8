// tables.c - see tables.h.
#include "sim/tables.h"

#include <stdlib.h>
#include <string.h>

#include "sim/ram.h"

enum { APPEND, READ, LOAD, SAVE, TRIM };

#define OF(type, o) ((type *)(void *)((uint8_t *)(o)-offsetof(type, own)))

typedef struct item { // a stored batch
    tm_batch batch;
    uint8_t *operations, *rejected;
} item;

typedef struct row { // all of one list
    tm_key key;
    uint8_t *user, *list;
    item *items;
    size_t count, cap;
    uint64_t seq; // of the snapshot
    uint8_t *snapshot;
    size_t snapshot_len;
} row;

typedef struct late { // a put that nobody waits for
    size_t row;
    item put;
    uint64_t at_ms;
} late;

struct tm_sim_tables {
    tm_sim_tables_config config;
    tm_sim_random random;
    bool calm;
    row *rows;
    size_t row_count, row_cap;
    late *lates;
    size_t late_count, late_cap;
};

typedef struct tables_store {
    tm_store base;
    tm_sim_tables *tables;
    tm_store_own *first; // in the order in which they were made
    uint32_t slow;
    bool dead;
} tables_store;

// ---- rows -----------------------------------------------------------------------------

static size_t row_of(tm_sim_tables *tables, tm_key key) {
    for (size_t i = 0; i < tables->row_count; i++) {
        if (tm_span_cmp(tables->rows[i].key.user, key.user) == 0 &&
            tm_span_cmp(tables->rows[i].key.list, key.list) == 0) {
            return i;
        }
    }
    tables->rows = tm_sim_grow(tables->rows, tables->row_count, &tables->row_cap,
                               sizeof *tables->rows);
    row *fresh = &tables->rows[tables->row_count];
    *fresh = (row){.user = tm_sim_copy(key.user), .list = tm_sim_copy(key.list)};
    fresh->key = (tm_key){{fresh->user, key.user.len}, {fresh->list, key.list.len}};
    return tables->row_count++;
}

static item item_copy(const tm_batch *batch) {
    item made = {.batch = *batch,
                 .operations = tm_sim_copy(batch->operations),
                 .rejected = tm_sim_copy(batch->rejected)};
    made.batch.operations.ptr = made.operations;
    made.batch.rejected.ptr = made.rejected;
    return made;
}

static void item_free(item *one) {
    free(one->operations);
    free(one->rejected);
}

// PutItem with attribute_not_exists.
static bool item_put(tm_sim_tables *tables, size_t number, item put) {
    row *to = &tables->rows[number];
    for (size_t i = 0; i < to->count; i++) {
        if (to->items[i].batch.first_seq != put.batch.first_seq) continue;
        if (tables->config.unconditional) break;
        item_free(&put);
        return false;
    }
    to->items = tm_sim_grow(to->items, to->count, &to->cap, sizeof *to->items);
    to->items[to->count++] = put;
    tables->config.stored(tables->config.context, to->key, &put.batch);
    return true;
}

static void tell_fault(tm_sim_tables *tables, tm_sim_table_fault fault) {
    tables->config.fault(tables->config.context, fault);
}

static bool strikes(tm_sim_tables *tables, tm_sim_table_fault fault) {
    if (tables->calm ||
        !tm_sim_chance(&tables->random, tables->config.rate[fault])) {
        return false;
    }
    tell_fault(tables, fault);
    return true;
}

static void put_later(tm_sim_tables *tables, size_t number, const tm_batch *batch) {
    tables->lates = tm_sim_grow(tables->lates, tables->late_count,
                                &tables->late_cap, sizeof *tables->lates);
    uint64_t in_ms = tm_sim_below(&tables->random, tables->config.late_ms + 1);
    tables->lates[tables->late_count++] =
        (late){number, item_copy(batch),
               tables->config.now(tables->config.context) + in_ms};
}

uint64_t tm_sim_tables_late(const tm_sim_tables *tables) {
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < tables->late_count; i++) {
        if (tables->lates[i].at_ms < at) at = tables->lates[i].at_ms;
    }
    return at;
}

void tm_sim_tables_arrive(tm_sim_tables *tables) {
    uint64_t now_ms = tables->config.now(tables->config.context);
    for (size_t i = 0; i < tables->late_count;) {
        late one = tables->lates[i];
        if (one.at_ms > now_ms) {
            i++;
            continue;
        }
        tables->lates[i] = tables->lates[--tables->late_count];
        tell_fault(tables, item_put(tables, one.row, one.put)
                               ? TM_SIM_TABLE_LATE_STORED
                               : TM_SIM_TABLE_LATE_REFUSED);
    }
}

const uint8_t *tm_sim_tables_mark(const tm_sim_tables *tables, tm_key key,
                                  uint64_t seq) {
    const row *of = &tables->rows[row_of((tm_sim_tables *)(uintptr_t)tables, key)];
    for (size_t i = 0; i < of->count; i++) {
        if (of->items[i].batch.last_seq == seq) return of->items[i].batch.mark;
    }
    return NULL;
}

// ---- one server's requests ------------------------------------------------------------

static tm_key key_of(tm_store_own *own) {
    switch (own->kind) {
    case APPEND:
        return OF(tm_store_append, own)->key;
    case READ:
        return OF(tm_store_read, own)->key;
    case LOAD:
        return OF(tm_store_load, own)->key;
    case SAVE:
        return OF(tm_store_save, own)->key;
    default:
        return OF(tm_store_trim, own)->key;
    }
}

static uint64_t later(const tables_store *s) {
    tm_sim_tables *tables = s->tables;
    uint32_t usual = tables->config.usual_ms;
    uint64_t in_ms =
        usual == 0 ? 0 : tm_sim_tail(&tables->random, usual, 16u * usual);
    return tables->config.now(tables->config.context) + in_ms * s->slow;
}

// own.number: when its next moment is; own.place: NULL until it was carried out;
// own.result: how many items a read saw.
static void start(tm_store *store, tm_store_own *own, int kind) {
    tables_store *s = (tables_store *)(void *)store;
    *own = (tm_store_own){.kind = kind};
    own->number = later(s);
    tm_store_own **at = &s->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = own;
}

static bool is_fast(const tm_store_own *own) {
    return own->kind == APPEND || own->kind == READ || own->kind == LOAD;
}

// Appends, reads and loads of one list are one after another.
static bool waits(const tables_store *s, tm_store_own *own) {
    if (!is_fast(own)) return false;
    tm_key key = key_of(own);
    for (tm_store_own *other = s->first; other != own; other = other->next) {
        tm_key before = key_of(other);
        if (is_fast(other) && tm_span_cmp(before.user, key.user) == 0 &&
            tm_span_cmp(before.list, key.list) == 0) {
            return true;
        }
    }
    return false;
}

static tm_store_own *next_of(const tables_store *s) {
    tm_store_own *best = NULL;
    for (tm_store_own *own = s->first; own != NULL; own = own->next) {
        if ((best == NULL || own->number < best->number) && !waits(s, own)) {
            best = own;
        }
    }
    return best;
}

uint64_t tm_sim_tables_due(const tm_store *store) {
    const tables_store *s = (const tables_store *)(const void *)store;
    const tm_store_own *own = next_of(s);
    return own == NULL ? UINT64_MAX : own->number;
}

void tm_sim_tables_slow(tm_store *store, uint32_t factor) {
    ((tables_store *)(void *)store)->slow = factor;
}

static tm_status append_carry(tables_store *s, const tm_store_append *asked) {
    tm_sim_tables *tables = s->tables;
    size_t number = row_of(tables, asked->key);
    if (strikes(tables, TM_SIM_TABLE_THROTTLED)) return TM_E_AGAIN;
    if (strikes(tables, TM_SIM_TABLE_PUT_LOST)) return TM_E_UNSURE;
    if (strikes(tables, TM_SIM_TABLE_PUT_LATE)) {
        put_later(tables, number, &asked->batch);
        return TM_E_UNSURE;
    }
    if (!item_put(tables, number, item_copy(&asked->batch))) {
        tell_fault(tables, TM_SIM_TABLE_CONFLICT);
        return TM_E_CONFLICT;
    }
    return strikes(tables, TM_SIM_TABLE_PUT_KEPT) ? TM_E_UNSURE : TM_OK;
}

static tm_status save_carry(tables_store *s, const tm_store_save *asked) {
    if (strikes(s->tables, TM_SIM_TABLE_SAVE_FAILED)) return TM_E_AGAIN;
    row *of = &s->tables->rows[row_of(s->tables, asked->key)];
    if (asked->seq <= of->seq) return TM_OK;
    free(of->snapshot);
    of->snapshot = tm_sim_copy(asked->bytes);
    of->snapshot_len = asked->bytes.len;
    of->seq = asked->seq;
    return TM_OK;
}

static void carry(tables_store *s, tm_store_own *own) {
    own->place = own;
    own->status = TM_OK;
    if (own->kind == APPEND) {
        own->status = append_carry(s, OF(tm_store_append, own));
    } else if (own->kind == SAVE) {
        own->status = save_carry(s, OF(tm_store_save, own));
    } else if (own->kind != TRIM) {
        size_t number = row_of(s->tables, key_of(own));
        size_t count = s->tables->rows[number].count;
        if (s->tables->config.past_reads && count > 0) {
            count -= tm_sim_below(&s->tables->random, 2);
        }
        own->result = (void *)(uintptr_t)count;
        if (strikes(s->tables, TM_SIM_TABLE_READ_FAILED)) own->status = TM_E_AGAIN;
    }
}

static void read_tell(const tables_store *s, tm_store_read *asked, size_t count) {
    const row *of = &s->tables->rows[row_of(s->tables, asked->key)];
    uint64_t ops = 0, bytes = 0;
    tm_batch *found = calloc(count + 1, sizeof *found);
    size_t n = 0;
    bool more = false;
    TM_ASSERT(found != NULL);
    for (size_t i = 0; i < count; i++) {
        const tm_batch *batch = &of->items[i].batch;
        if (batch->last_seq < asked->since) continue;
        if (ops >= asked->ops_max || bytes >= asked->bytes_max) {
            more = true;
            break;
        }
        found[n++] = *batch;
        if (batch->last_seq == asked->since) continue;
        ops += batch->last_seq - batch->first_seq + 1;
        bytes += batch->operations.len;
    }
    asked->done(asked, TM_OK, found, n, more);
    free(found);
}

static void tell(tables_store *s, tm_store_own *own) {
    tm_store_own **at = &s->first;
    while (*at != own) {
        at = &(*at)->next;
    }
    *at = own->next;
    tm_status status = s->dead ? TM_E_IO : own->status;
    tm_span none = {(const uint8_t *)"", 0};
    if (own->kind == APPEND) {
        OF(tm_store_append, own)->done(OF(tm_store_append, own), status);
    } else if (own->kind == SAVE) {
        OF(tm_store_save, own)->done(OF(tm_store_save, own), status);
    } else if (own->kind == TRIM) {
        OF(tm_store_trim, own)->done(OF(tm_store_trim, own), status, 0);
    } else if (own->kind == READ && status == TM_OK) {
        read_tell(s, OF(tm_store_read, own), (size_t)(uintptr_t)own->result);
    } else if (own->kind == READ) {
        OF(tm_store_read, own)
            ->done(OF(tm_store_read, own), status, NULL, 0, false);
    } else {
        tm_store_load *asked = OF(tm_store_load, own);
        const row *of = &s->tables->rows[row_of(s->tables, asked->key)];
        bool there = status == TM_OK && of->seq > 0;
        asked->done(asked, status, there ? of->seq : 0,
                    there ? (tm_span){of->snapshot, of->snapshot_len} : none);
    }
}

void tm_sim_tables_run(tm_store *store) {
    tables_store *s = (tables_store *)(void *)store;
    tm_store_own *own = next_of(s);
    uint64_t now_ms = s->tables->config.now(s->tables->config.context);
    if (own == NULL || own->number > now_ms) return;
    if (own->place == NULL) {
        carry(s, own);
        own->number = later(s);
    } else {
        tell(s, own);
    }
}

bool tm_sim_tables_die(tm_store *store) {
    tables_store *s = (tables_store *)(void *)store;
    bool told = s->first != NULL;
    for (tm_store_own *own = s->first; own != NULL && !s->dead; own = own->next) {
        if (own->place != NULL || own->kind != APPEND) continue;
        if (waits(s, own) || tm_sim_below(&s->tables->random, 2) == 0) continue;
        const tm_store_append *asked = OF(tm_store_append, own); // it was sent
        put_later(s->tables, row_of(s->tables, asked->key), &asked->batch);
    }
    s->dead = true;
    while (s->first != NULL) {
        tell(s, s->first);
    }
    return told;
}

// ---- the store ------------------------------------------------------------------------

static void tables_append(tm_store *store, tm_store_append *request) {
    start(store, &request->own, APPEND);
}
static void tables_read(tm_store *store, tm_store_read *request) {
    start(store, &request->own, READ);
}
static void tables_load(tm_store *store, tm_store_load *request) {
    start(store, &request->own, LOAD);
}
static void tables_save(tm_store *store, tm_store_save *request) {
    start(store, &request->own, SAVE);
}
static void tables_trim(tm_store *store, tm_store_trim *request) {
    start(store, &request->own, TRIM);
}
static size_t tables_poll(tm_store *store) {
    (void)store;
    return 0;
}
static tm_status tables_health(tm_store *store, tm_span *why) {
    (void)store;
    *why = (tm_span){(const uint8_t *)"", 0};
    return TM_OK;
}
static tm_status tables_lists(tm_store *store,
                              void (*each)(void *context, tm_key key,
                                           uint64_t head),
                              void *context) {
    const tm_sim_tables *tables = ((tables_store *)(void *)store)->tables;
    for (size_t i = 0; i < tables->row_count; i++) {
        const row *of = &tables->rows[i];
        if (of->count == 0) continue;
        each(context, of->key, of->items[of->count - 1].batch.last_seq);
    }
    return TM_OK;
}
static void tables_stats(tm_store *store, tm_store_stats *stats) {
    (void)store;
    *stats = (tm_store_stats){0};
}

void tm_sim_tables_close(tm_store *store) {
    TM_ASSERT(((tables_store *)(void *)store)->first == NULL);
    free(store);
}

tm_store *tm_sim_tables_open(tm_sim_tables *tables) {
    static const tm_store_ops ops = {
        .append = tables_append,
        .read = tables_read,
        .load = tables_load,
        .save = tables_save,
        .trim = tables_trim,
        .poll = tables_poll,
        .wait = tables_poll,
        .lists = tables_lists,
        .health = tables_health,
        .stats = tables_stats,
        .close = tm_sim_tables_close,
    };
    tables_store *s = calloc(1, sizeof *s);
    TM_ASSERT(s != NULL);
    *s = (tables_store){.base = {.ops = &ops}, .tables = tables, .slow = 1};
    return &s->base;
}

tm_sim_tables *tm_sim_tables_new(const tm_sim_tables_config *config,
                                 tm_sim_random random) {
    tm_sim_tables *tables = calloc(1, sizeof *tables);
    TM_ASSERT(tables != NULL);
    tables->config = *config;
    tables->random = random;
    return tables;
}

void tm_sim_tables_calm(tm_sim_tables *tables) {
    tables->calm = true;
}

void tm_sim_tables_free(tm_sim_tables *tables) {
    for (size_t i = 0; i < tables->row_count; i++) {
        row *of = &tables->rows[i];
        for (size_t j = 0; j < of->count; j++) {
            item_free(&of->items[j]);
        }
        free(of->items);
        free(of->snapshot);
        free(of->user);
        free(of->list);
    }
    for (size_t i = 0; i < tables->late_count; i++) {
        item_free(&tables->lates[i].put);
    }
    free(tables->rows);
    free(tables->lates);
    free(tables);
}
