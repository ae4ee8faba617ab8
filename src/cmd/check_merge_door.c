// check_merge_door.c - golden merges through the door of an engine: see check_merge.h.
//
// An engine is given operations as the answer to a pull, and a state as a snapshot. So
//
//     all of an order at once          C, its canonical bytes, and what is shown
//     the same, each twice             C
//     a part as a snapshot, then the   C: a state joined with operations
//     other part's operations
//     a part's operations, then the    what is shown: C joined with what the snapshot
//     other part as a snapshot         lacks, a state joined with a state; not where two
//                                      operations share a stamp, since what an engine
//                                      offers never argues with the server's log
//
// The state of a part is asked for once for each sequence of operations, and must be the
// same for every sequence of the same set; joins see nothing but these bytes, so each
// cut is joined once for each pair of sets. Every result must also be what this program's
// own core gives: native and wasm cannot disagree.
#include "cmd/check_merge.h"

#include "cmd/check_orders.h"
#include "cmd/host.h"

#include <inttypes.h>
#include <string.h>

#define WALL_MS UINT64_C(1900000000000) // any time will do
#define USER    "golden"
#define LIST    "merge"
#define MARK    "0000000000000000000000000000000000000000000000000000000000000000"

static const tm_span nothing = {NULL, 0};

// A set of operations, and its state.
typedef struct part {
    tm_span bytes; // canonical; null = not known yet
    bool joined;   // with the rest
} part;

typedef struct hands {
    tm_check_merge *merge;
    tm_check_door *door;
    tm_status status; // of the door
    uint64_t engine;
    uint64_t version; // the engine's cursor
    bool tied;        // two operations have the same stamp
    tm_table sets, sequences;
    const uint32_t *order;
    tm_check_merge_seen whole; // natively
    tm_buf body;
    char way[160];
} hands;

// ---- one engine ---------------------------------------------------------------------

// A call that must not fail.
static bool call(hands *run, tm_check_fn fn, const uint64_t *args, tm_span in,
                 int64_t *result, tm_span *out) {
    run->status = tm_check_call(run->door, fn, args, in, result, out);
    if (run->status != TM_OK) {
        return tm_check_verdict_fail(run->merge->verdict, "%s: %s", run->way,
                                     tm_check_problem(run->door));
    }
    if (result != NULL && *result < 0) {
        return tm_check_verdict_fail(run->merge->verdict,
                                     "%s: call %d of the door gave status %d",
                                     run->way, (int)fn, (int)*result);
    }
    return true;
}

static bool call_now(hands *run, tm_check_fn fn, uint64_t last, tm_span in,
                     int64_t *result, tm_span *out) {
    uint64_t args[TM_FN_ARGS_MAX] = {run->engine, WALL_MS, 1, last};
    return call(run, fn, args, in, result, out);
}

static bool engine_begin(hands *run) {
    static const uint8_t seed[32] = {1};
    static const tm_span fresh = TM_LIT("page");
    uint64_t args[TM_FN_ARGS_MAX] = {sizeof USER - 1, sizeof LIST - 1, 1};
    int64_t result;
    tm_buf_reset(&run->body);
    tm_buf_text(&run->body, USER LIST);
    tm_buf_put(&run->body, (tm_span){seed, sizeof seed});
    run->version = 0;
    if (!call(run, TM_FN_new, args, tm_buf_span(&run->body), &result, NULL)) {
        return false;
    }
    run->engine = (uint64_t)result;
    uint64_t start[TM_FN_ARGS_MAX] = {run->engine, WALL_MS, 1, fresh.len, 0};
    return call(run, TM_FN_start, start, fresh, NULL, NULL) &&
           call_now(run, TM_FN_channel, TM_CHANNEL_POLL, nothing, NULL, NULL);
}

static void engine_end(hands *run) {
    if (run->engine == 0 || run->status != TM_OK) return;
    run->status =
        tm_check_call(run->door, TM_FN_free, &run->engine, nothing, NULL, NULL);
    run->engine = 0;
}

// A pull, which is answered by what stands in `body`.
static bool pull(hands *run) {
    int64_t ref;
    if (run->body.status != TM_OK) {
        return tm_check_verdict_fail(run->merge->verdict, "out of memory");
    }
    if (!call_now(run, TM_FN_ask, TM_ASK_PULL, nothing, NULL, NULL) ||
        !call_now(run, TM_FN_take, 0, nothing, NULL, NULL) ||
        !call(run, TM_FN_ref, &run->engine, nothing, &ref, NULL)) {
        return false;
    }
    if (ref == 0) {
        return tm_check_verdict_fail(run->merge->verdict, "%s: no pull came",
                                     run->way);
    }
    uint64_t args[TM_FN_ARGS_MAX] = {run->engine,   WALL_MS, 1,
                                     (uint64_t)ref, 200,     run->body.len};
    return call(run, TM_FN_answer, args, tm_buf_span(&run->body), NULL, NULL);
}

static void answer_begin(hands *run, uint64_t version) {
    tm_buf_reset(&run->body);
    tm_buf_text(&run->body, "{\"user\":\"" USER "\",\"version\":");
    tm_buf_u64(&run->body, version);
    tm_buf_text(&run->body, ",\"mark\":\"" MARK "\",\"head\":");
    tm_buf_u64(&run->body, version);
    tm_buf_text(&run->body, ",\"serverTime\":");
    tm_buf_u64(&run->body, WALL_MS);
    run->version = version;
}

// As the server sends it: its id (`again`: another one, since the server never sends an id
// twice) and its seq. Unknown members are left out; they join nothing.
static void op_write(hands *run, const tm_op *op, uint64_t seq, bool again) {
    char id[32];
    tm_op copy = *op;
    int len = snprintf(id, sizeof id, "again/%" PRIu64, seq);
    if (again) copy.id = (tm_span){(const uint8_t *)id, (size_t)len};
    tm_op_write(&run->body, &copy);
    if (run->body.len > 0) run->body.len--; // the closing brace
    tm_buf_text(&run->body, ",\"seq\":");
    tm_buf_u64(&run->body, seq);
    tm_buf_byte(&run->body, '}');
}

// Operations from..before of the order, each `times` in a row, as the server's next ones.
static bool ops_feed(hands *run, size_t from, size_t before, unsigned times) {
    uint64_t seq = run->version;
    answer_begin(run, run->version + (before - from) * times);
    tm_buf_text(&run->body, ",\"operations\":[");
    for (size_t i = from; i < before; i++) {
        for (unsigned n = 0; n < times; n++) {
            if (i > from || n > 0) tm_buf_byte(&run->body, ',');
            op_write(run, &run->merge->ops[run->order[i]], ++seq, n > 0);
        }
    }
    tm_buf_text(&run->body, "]}");
    return pull(run);
}

static bool snapshot_feed(hands *run, tm_span state) {
    answer_begin(run, run->version + 1000);
    tm_buf_text(&run->body, ",\"snapshot\":{\"state\":");
    tm_buf_put(&run->body, state);
    tm_buf_text(&run->body, ",\"H\":[0,0],\"unknown\":[],\"live\":0}}");
    return pull(run);
}

// ---- looking ------------------------------------------------------------------------

static bool confirmed(hands *run, tm_span *bytes) {
    int64_t result;
    return call(run, TM_FN_confirmed, &run->engine, nothing, &result, bytes);
}

static bool confirmed_is(hands *run, tm_span want) {
    tm_span bytes;
    return confirmed(run, &bytes) &&
           tm_check_verdict_compare(run->merge->verdict, want, bytes,
                                    "%s: canonical bytes", run->way);
}

static bool item_read(hands *run, tm_span id, tm_check_shown *shown) {
    int64_t result;
    tm_span out, text;
    const tm_node *item = NULL;
    if (!call_now(run, TM_FN_item, id.len, id, &result, &out)) return false;
    if (tm_arena_copy(shown->arena, out, &text) != TM_OK ||
        tm_tree_read(text, shown->arena, &item, NULL) != TM_OK) {
        return tm_check_verdict_fail(run->merge->verdict,
                                     "%s: an item is not shown", run->way);
    }
    tm_check_shown_engine(shown, id, item);
    return true;
}

// What is shown must be the expected state, and in the expected order.
static bool shown_is(hands *run) {
    tm_check_merge *merge = run->merge;
    int64_t result;
    tm_span out, text;
    const tm_node *ids = NULL;
    tm_arena_reset(&merge->scratch);
    tm_check_shown shown = {.arena = &merge->scratch};
    if (!call_now(run, TM_FN_order, 0, nothing, &result, &out)) return false;
    if (tm_arena_copy(&merge->scratch, out, &text) != TM_OK ||
        tm_tree_read(text, &merge->scratch, &ids, NULL) != TM_OK) {
        return tm_check_verdict_fail(merge->verdict, "%s: no order", run->way);
    }
    if (!tm_check_verdict_compare(merge->verdict, tm_buf_span(&run->whole.order),
                                  text, "%s: order shown", run->way)) {
        return false;
    }
    for (const tm_node *id = ids->first; id != NULL; id = id->next) {
        if (!item_read(run, id->text, &shown)) return false;
    }
    if (!call_now(run, TM_FN_sort, 0, nothing, &result, &out)) return false;
    tm_buf_reset(&run->body);
    if (tm_check_shown_write(&shown, out, &run->body) != TM_OK) {
        return tm_check_verdict_fail(merge->verdict, "out of memory");
    }
    return tm_check_verdict_compare(merge->verdict, tm_buf_span(&merge->state),
                                    tm_buf_span(&run->body), "%s: state shown",
                                    run->way);
}

// ---- parts --------------------------------------------------------------------------

// The entry of a table, made empty if there is none. NULL = out of memory, noted.
static void *entry(hands *run, tm_table *table, tm_span key, size_t size) {
    tm_span kept;
    void *found = tm_table_get(table, key);
    if (found != NULL) return found;
    uint8_t *made = tm_arena_get(&run->merge->arena, size);
    if (made == NULL || tm_arena_copy(&run->merge->arena, key, &kept) != TM_OK ||
        tm_table_set(table, kept, made) != TM_OK) {
        (void)tm_check_verdict_fail(run->merge->verdict, "out of memory");
        return NULL;
    }
    memset(made, 0, size);
    return made;
}

// The set of the operations from..before of the order.
static part *part_get(hands *run, size_t from, size_t before) {
    size_t len = (run->merge->count + 7) / 8;
    uint8_t *bits = tm_arena_get(&run->merge->scratch, len + 1);
    if (bits == NULL) {
        (void)tm_check_verdict_fail(run->merge->verdict, "out of memory");
        return NULL;
    }
    memset(bits, 0, len + 1);
    for (size_t i = from; i < before; i++) {
        bits[run->order[i] / 8] |= (uint8_t)(1u << run->order[i] % 8);
    }
    return entry(run, &run->sets, (tm_span){bits, len + 1}, sizeof(part));
}

static bool part_run(hands *run, size_t from, size_t before, part *set) {
    tm_span bytes;
    bool fine = engine_begin(run) && ops_feed(run, from, before, 1) &&
                confirmed(run, &bytes);
    if (fine && set->bytes.ptr == NULL) {
        fine = tm_arena_copy(&run->merge->arena, bytes, &set->bytes) == TM_OK ||
               tm_check_verdict_fail(run->merge->verdict, "out of memory");
    } else if (fine) {
        fine = tm_check_verdict_compare(run->merge->verdict, set->bytes, bytes,
                                        "%s: canonical bytes of a part", run->way);
    }
    engine_end(run);
    return fine;
}

// The state of a part, for which this sequence of operations was tried.
static part *part_state(hands *run, size_t from, size_t before) {
    part *set = part_get(run, from, before);
    tm_span key = {(const uint8_t *)(run->order + from),
                   (before - from) * sizeof *run->order};
    static const tm_span none = TM_LIT("");
    bool *tried =
        entry(run, &run->sequences, key.len == 0 ? none : key, sizeof *tried);
    if (set == NULL || tried == NULL) return NULL;
    if (*tried) return set;
    *tried = true;
    return part_run(run, from, before, set) ? set : NULL;
}

// ---- ways ---------------------------------------------------------------------------

static void way_set(hands *run, size_t cut, const char *how) {
    tm_check_merge_way(run->merge, run->order, cut, how, run->way);
}

static bool all_try(hands *run) {
    size_t count = run->merge->count;
    way_set(run, TM_CHECK_MERGE_WHOLE, "in one answer");
    bool fine = engine_begin(run) && ops_feed(run, 0, count, 1) &&
                confirmed_is(run, tm_buf_span(&run->whole.bytes)) && shown_is(run);
    engine_end(run);
    if (!fine) return false;
    way_set(run, TM_CHECK_MERGE_WHOLE, "each twice");
    fine = engine_begin(run) && ops_feed(run, 0, count, 2) &&
           confirmed_is(run, tm_buf_span(&run->whole.bytes));
    engine_end(run);
    return fine;
}

// One state joined with the operations of the other part, and with its state.
static bool join_try(hands *run, size_t cut, bool backwards, const part *low,
                     const part *high) {
    size_t count = run->merge->count;
    size_t from = backwards ? 0 : cut, before = backwards ? cut : count;
    way_set(run, cut,
            backwards ? "first part joined into the second's snapshot"
                      : "second part joined into the first's snapshot");
    bool fine = engine_begin(run) &&
                snapshot_feed(run, backwards ? high->bytes : low->bytes) &&
                ops_feed(run, from, before, 1) &&
                confirmed_is(run, tm_buf_span(&run->whole.bytes));
    engine_end(run);
    if (!fine || run->tied) return fine;
    way_set(run, cut,
            backwards ? "first part's snapshot over the second"
                      : "second part's snapshot over the first");
    fine = engine_begin(run) &&
           ops_feed(run, backwards ? cut : 0, backwards ? count : cut, 1) &&
           snapshot_feed(run, backwards ? low->bytes : high->bytes) &&
           shown_is(run);
    engine_end(run);
    return fine;
}

static bool cut_try(hands *run, size_t cut) {
    size_t count = run->merge->count;
    tm_arena_reset(&run->merge->scratch);
    way_set(run, cut, "a part alone");
    part *low = part_state(run, 0, cut);
    part *high = low == NULL ? NULL : part_state(run, cut, count);
    if (high == NULL) return false;
    if (low->joined) return true; // with the same rest
    low->joined = true;
    return join_try(run, cut, false, low, high) &&
           join_try(run, cut, true, low, high);
}

static bool order_try(void *context, const uint32_t *order) {
    hands *run = context;
    run->order = order;
    if (!all_try(run)) return false;
    for (size_t cut = 0; cut <= run->merge->count; cut++) {
        if (!cut_try(run, cut)) return false;
    }
    return true;
}

// What this program's own core gives: the case's expectation is held against it once.
static bool natively(hands *run) {
    tm_check_merge *merge = run->merge;
    tm_list *list = NULL;
    tm_status status = tm_list_new(&tm_host_alloc, (tm_seed){1, 2}, &list);
    for (size_t i = 0; status == TM_OK && i < merge->count; i++) {
        status = tm_list_apply(list, &merge->ops[i], NULL);
    }
    if (status == TM_OK) status = tm_check_merge_look(merge, list, &run->whole);
    tm_list_free(list);
    if (status != TM_OK) {
        return tm_check_verdict_fail(merge->verdict, "out of memory");
    }
    return tm_check_merge_compare(merge, NULL, &run->whole, "natively, as given");
}

static bool has_tie(const tm_check_merge *merge) {
    for (size_t i = 0; i < merge->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (tm_stamp_cmp(&merge->ops[i].at, &merge->ops[k].at) == 0)
                return true;
        }
    }
    return false;
}

tm_status tm_check_merge_door(tm_check_merge *merge, tm_check_door *door) {
    hands run = {.merge = merge,
                 .door = door,
                 .tied = has_tie(merge),
                 .body = {.alloc = &tm_host_alloc}};
    tm_seed seed = {merge->seed, ~merge->seed};
    tm_table_init(&run.sets, &tm_host_alloc, seed);
    tm_table_init(&run.sequences, &tm_host_alloc, seed);
    tm_check_merge_seen_init(&run.whole);
    if (natively(&run)) {
        (void)tm_check_orders_each(merge->room, merge->count, merge->seed,
                                   order_try, &run);
    }
    tm_check_merge_seen_deinit(&run.whole);
    tm_table_deinit(&run.sets);
    tm_table_deinit(&run.sequences);
    tm_buf_deinit(&run.body);
    return run.status;
}
