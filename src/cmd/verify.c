// verify.c - see verify.h.
#include "cmd/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/host.h"
#include "cmd/standing.h"
#include "cmd/tree.h"
#include "service/mark.h"
#include "service/stored.h"

// What is known of a writer from the log.
typedef struct seen_writer {
    uint64_t version, time; // of its last accepted operation
    uint64_t decided;       // versions in the log: accepted and rejected
    uint64_t lowest;        // the first of them
} seen_writer;

typedef struct verify {
    tm_verified *out;
    tm_arena arena;   // ids, writers: as long as the list
    tm_arena scratch; // one batch
    tm_table ids;     // operation id -> itself
    tm_table decided; // browserId and version -> itself
    tm_table writers; // browserId -> seen_writer
    tm_marker marker;
    tm_list *list;
    tm_standing standing;
    bool compared; // the snapshot was
    uint64_t last;
    uint8_t mark[TM_MARK_LEN];
    bool mark_known;
    bool broken; // no sense in going on
} verify;

__attribute__((format(printf, 3, 4))) static void wrong(verify *run, uint64_t seq,
                                                        const char *format, ...) {
    tm_verified *out = run->out;
    if (out->wrong_count < TM_VERIFY_WRONG_MAX) {
        tm_verified_wrong *one = &out->wrong[out->wrong_count];
        va_list values;
        va_start(values, format);
        (void)vsnprintf(one->what, sizeof one->what, format, values);
        va_end(values);
        one->seq = seq;
    }
    out->wrong_count++;
}

static void no_memory(verify *run, uint64_t seq) {
    if (!run->broken) wrong(run, seq, "out of memory: not looked at any further");
    run->broken = true;
}

#define SHOWN(span) (int)((span).len), (const char *)(span).ptr

// ---- the snapshot -------------------------------------------------------------------

static void writers_compare(verify *run) {
    size_t at = 0;
    tm_table_slot *slot;
    while ((slot = tm_table_next(&run->writers, &at)) != NULL) {
        const seen_writer *writer = slot->value;
        uint64_t stored = tm_standing_version(&run->standing, slot->key);
        if (stored >= writer->version) continue;
        wrong(run, run->standing.seq,
              "the snapshot has writer %.*s at version %" PRIu64
              ", the log at %" PRIu64,
              SHOWN(slot->key), stored, writer->version);
    }
}

static void state_compare(verify *run) {
    tm_buf ours = {.alloc = &tm_host_alloc}, theirs = {.alloc = &tm_host_alloc};
    tm_list_write(run->list, &ours);
    tm_list_write(run->standing.list, &theirs);
    if (ours.status != TM_OK || theirs.status != TM_OK) {
        no_memory(run, run->standing.seq);
    } else if (!tm_span_equal(tm_buf_span(&ours), tm_buf_span(&theirs))) {
        size_t at = 0;
        while (at < ours.len && at < theirs.len && ours.ptr[at] == theirs.ptr[at]) {
            at++;
        }
        wrong(run, run->standing.seq,
              "the snapshot's state is not what the log gives: they differ from "
              "byte %zu on",
              at);
    } else if (tm_list_unknown_count(run->list) !=
               tm_list_unknown_count(run->standing.list)) {
        wrong(run, run->standing.seq,
              "the snapshot has %zu operations of unknown type, the log %zu",
              tm_list_unknown_count(run->standing.list),
              tm_list_unknown_count(run->list));
    }
    tm_buf_deinit(&ours);
    tm_buf_deinit(&theirs);
}

// The log has come to where the snapshot stands.
static void snapshot_compare(verify *run) {
    uint8_t hex[TM_MARK_HEX];
    if (run->compared || run->last != run->standing.seq || run->last == 0) return;
    run->compared = true;
    tm_mark_hex(run->mark, hex);
    if (!tm_span_equal(run->standing.mark, (tm_span){hex, sizeof hex})) {
        wrong(run, run->standing.seq, "the snapshot's mark is not the log's");
    }
    writers_compare(run);
    state_compare(run);
}

// ---- operations ---------------------------------------------------------------------

// Remembers a key; false: it is there already.
static bool first_time(verify *run, tm_table *table, tm_span key, uint64_t seq) {
    tm_span kept;
    if (tm_table_get(table, key) != NULL) return false;
    if (tm_arena_copy(&run->arena, key, &kept) != TM_OK ||
        tm_table_set(table, kept, run) != TM_OK) {
        no_memory(run, seq);
    }
    return true;
}

static seen_writer *writer_get(verify *run, tm_span browser, uint64_t seq) {
    seen_writer *writer = tm_table_get(&run->writers, browser);
    if (writer != NULL) return writer;
    tm_span kept;
    writer = tm_arena_get(&run->arena, sizeof *writer);
    if (writer == NULL || tm_arena_copy(&run->arena, browser, &kept) != TM_OK ||
        tm_table_set(&run->writers, kept, writer) != TM_OK) {
        no_memory(run, seq);
        return NULL;
    }
    *writer = (seen_writer){.lowest = UINT64_MAX};
    return writer;
}

// Notes that a version was decided, once.
static seen_writer *version_note(verify *run, tm_span browser, uint64_t version,
                                 uint64_t seq) {
    char text[TM_ID_MAX + 32];
    int len = snprintf(text, sizeof text, "%.*s %" PRIu64, SHOWN(browser), version);
    seen_writer *writer = writer_get(run, browser, seq);
    if (writer == NULL) return NULL;
    if (!first_time(run, &run->decided,
                    (tm_span){(const uint8_t *)text, (size_t)len}, seq)) {
        wrong(run, seq, "version %" PRIu64 " of %.*s is used twice", version,
              SHOWN(browser));
        return writer;
    }
    writer->decided++;
    if (version < writer->lowest) writer->lowest = version;
    return writer;
}

static void op_apply(verify *run, const tm_op *op) {
    bool changed = false;
    if (tm_list_apply(run->list, op, &changed) != TM_OK) no_memory(run, op->seq);
    // A log that was trimmed is replayed on top of its snapshot.
    if (changed && op->seq <= run->standing.seq && run->out->first > 1) {
        wrong(run, op->seq, "the snapshot at %" PRIu64 " lacks this operation",
              run->standing.seq);
    }
}

static void op_look(verify *run, const tm_op *op) {
    if (op->fault != TM_FAULT_NONE) {
        wrong(run, op->seq, "an operation that could never be accepted: %.*s",
              SHOWN(tm_fault_word(op->fault)));
        return;
    }
    if (!first_time(run, &run->ids, op->id, op->seq)) {
        wrong(run, op->seq, "operation id %.*s stands in the log twice",
              SHOWN(op->id));
    }
    seen_writer *writer =
        version_note(run, op->at.browser, op->at.version, op->seq);
    if (writer == NULL) return;
    if (op->at.version <= writer->version) {
        wrong(run, op->seq, "%.*s went back from version %" PRIu64 " to %" PRIu64,
              SHOWN(op->at.browser), writer->version, op->at.version);
    }
    if (writer->version > 0 && op->at.time <= writer->time) {
        wrong(run, op->seq, "the time of %.*s did not grow", SHOWN(op->at.browser));
    }
    writer->version = op->at.version;
    writer->time = op->at.time;
    op_apply(run, op);
}

// ---- batches ------------------------------------------------------------------------

static void chain_look(verify *run, const tm_batch *batch) {
    uint8_t mark[TM_MARK_LEN];
    if (run->mark_known && memcmp(batch->before, run->mark, TM_MARK_LEN) != 0) {
        wrong(run, batch->first_seq,
              "the chain is broken: the batch does not follow "
              "the one before it");
    }
    if (tm_mark_next(&run->marker, batch->before, batch->operations, mark) !=
        TM_OK) {
        no_memory(run, batch->first_seq);
        return;
    }
    if (memcmp(mark, batch->mark, TM_MARK_LEN) != 0) {
        wrong(run, batch->last_seq,
              "the mark of %" PRIu64 " to %" PRIu64
              " is not the hash of its operations: they were altered",
              batch->first_seq, batch->last_seq);
    }
    memcpy(run->mark, batch->mark, TM_MARK_LEN);
    run->mark_known = true;
}

static void seqs_look(verify *run, const tm_batch *batch) {
    tm_verified *out = run->out;
    if (out->batches > 0 && batch->first_seq != run->last + 1) {
        wrong(run, batch->first_seq,
              "after %" PRIu64 " comes %" PRIu64 ", what is between is missing",
              run->last, batch->first_seq);
    }
    if (out->batches > 0) return;
    out->first = batch->first_seq;
    if (batch->first_seq > run->standing.seq + 1) {
        wrong(run, batch->first_seq,
              "the log begins here, and no snapshot covers what was before");
    }
}

static void batch_look(verify *run, const tm_batch *batch) {
    tm_verified *out = run->out;
    tm_stored stored;
    seqs_look(run, batch);
    chain_look(run, batch);
    tm_arena_reset(&run->scratch);
    tm_status status = tm_stored_read(batch, &run->scratch, &stored);
    if (status == TM_E_NOMEM) {
        no_memory(run, batch->first_seq);
    } else if (status != TM_OK) {
        wrong(run, batch->first_seq,
              "the batch of %" PRIu64 " to %" PRIu64 " does not read",
              batch->first_seq, batch->last_seq);
        run->broken = true; // what follows cannot be judged without it
    }
    run->last = batch->last_seq;
    out->batches++;
    out->bytes += batch->operations.len + batch->rejected.len;
    if (status != TM_OK) return;
    for (uint32_t i = 0; i < stored.count && !run->broken; i++) {
        op_look(run, &stored.ops[i]);
    }
    for (uint32_t i = 0; i < stored.rejected_count && !run->broken; i++) {
        const tm_stored_rejection *one = &stored.rejected[i];
        (void)version_note(run, one->browser, one->version, batch->last_seq);
    }
    out->operations += stored.count;
    out->rejections += stored.rejected_count;
    if (!run->broken) snapshot_compare(run);
}

// ---- the end ------------------------------------------------------------------------

static void digest_look(verify *run) {
    tm_buf bytes = {.alloc = &tm_host_alloc};
    tm_list *afresh = NULL;
    tm_json in;
    tm_list_write(run->list, &bytes);
    tm_arena_reset(&run->scratch);
    tm_json_init(&in, tm_buf_span(&bytes), TM_JSON_DEPTH_MAX, &run->scratch);
    tm_status status = bytes.status;
    if (status == TM_OK) {
        status = tm_list_new(&tm_host_alloc, (tm_seed){5, 6}, &afresh);
    }
    if (status == TM_OK) status = tm_list_read(afresh, &in);
    run->out->digest = tm_list_digest(run->list);
    if (status == TM_E_NOMEM) {
        no_memory(run, run->last);
    } else if (status != TM_OK) {
        wrong(run, run->last, "the state that the log gives cannot be read back");
    } else {
        tm_digest other = tm_list_digest(afresh);
        if (other.lo != run->out->digest.lo || other.hi != run->out->digest.hi) {
            wrong(run, run->last, "the digest kept on the way is not the state's");
        }
    }
    tm_list_free(afresh);
    tm_buf_deinit(&bytes);
}

static void ending_look(verify *run, uint64_t head) {
    tm_verified *out = run->out;
    size_t at = 0;
    tm_table_slot *slot;
    if (run->last < head) {
        wrong(run, head, "the log ends at %" PRIu64 ", it should reach %" PRIu64,
              run->last, head);
    }
    if (run->standing.seq > run->last) {
        wrong(run, run->standing.seq,
              "the snapshot is ahead of the log, which ends "
              "at %" PRIu64,
              run->last);
    } else if (run->standing.seq > 0 && !run->compared && out->first <= 1) {
        wrong(run, run->standing.seq, "the snapshot stands inside a batch");
    }
    while ((slot = tm_table_next(&run->writers, &at)) != NULL) {
        const seen_writer *writer = slot->value;
        uint64_t lowest = out->first > 1 ? writer->lowest : 1;
        if (writer->version + 1 < lowest + writer->decided) continue;
        out->holes += writer->version + 1 - lowest - writer->decided;
    }
    digest_look(run);
    out->last = run->last;
    out->writers = run->writers.count;
    out->live = tm_list_live(run->list);
    for (size_t i = 0; i < tm_list_count(run->list); i++) {
        if (tm_item_dead(tm_list_at(run->list, i))) out->dead++;
    }
}

// ---- all of it ----------------------------------------------------------------------

// The whole log is replayed from nothing; what is left of a trimmed one, on its snapshot.
static bool begin(verify *run, tm_store *store, tm_key key, uint64_t first) {
    char problem[256];
    tm_seed seed;
    tm_host_random(NULL, (uint8_t *)&seed, sizeof seed);
    tm_table_init(&run->ids, &tm_host_alloc, seed);
    tm_table_init(&run->decided, &tm_host_alloc, seed);
    tm_table_init(&run->writers, &tm_host_alloc, seed);
    if (tm_marker_init(&run->marker) != TM_OK ||
        tm_list_new(&tm_host_alloc, seed, &run->list) != TM_OK) {
        no_memory(run, 0);
        return false;
    }
    if (tm_standing_load(&run->standing, store, key, problem) != TM_OK) {
        wrong(run, run->standing.seq, "%s", problem);
        run->standing.seq = 0; // the log is looked at all the same
    }
    run->out->snapshot = run->standing.seq;
    if (first <= 1) return true;
    if (tm_list_join(run->list, run->standing.list) != TM_OK) {
        no_memory(run, 0);
        return false;
    }
    run->last = first - 1;
    return true;
}

// The first seq that the log still has; 1 if it is empty.
static uint64_t log_first(tm_store *store, tm_key key) {
    tm_history history;
    const tm_batch *batch;
    tm_history_init(&history, store, key, 0);
    uint64_t first = tm_history_next(&history, &batch) ? batch->first_seq : 1;
    tm_history_deinit(&history);
    return first;
}

static void log_look(verify *run, tm_store *store, tm_key key,
                     void (*progress)(void *context, uint64_t operations),
                     void *context) {
    tm_history history;
    const tm_batch *batch;
    tm_history_init(&history, store, key, 0);
    while (!run->broken && tm_history_next(&history, &batch)) {
        batch_look(run, batch);
        if (progress != NULL) progress(context, run->out->operations);
    }
    if (history.status != TM_OK) {
        tm_span why = {NULL, 0}; // the store's own words
        if (tm_store_health(store, &why) == TM_OK) why.len = 0;
        wrong(run, run->last + 1,
              "the log cannot be read any further (status %d%s%.*s)",
              (int)history.status, why.len > 0 ? "; " : "", SHOWN(why));
        run->broken = true;
    }
    tm_history_deinit(&history);
}

void tm_verify_list(tm_store *store, tm_key key, uint64_t head,
                    tm_verified *verified,
                    void (*progress)(void *context, uint64_t operations),
                    void *context) {
    verify run = {.out = verified,
                  .arena = {.alloc = &tm_host_alloc},
                  .scratch = {.alloc = &tm_host_alloc}};
    *verified = (tm_verified){0};
    if (begin(&run, store, key, log_first(store, key))) {
        log_look(&run, store, key, progress, context);
        if (!run.broken) ending_look(&run, head);
    }
    tm_list_free(run.list);
    tm_standing_deinit(&run.standing);
    tm_marker_deinit(&run.marker);
    tm_table_deinit(&run.ids);
    tm_table_deinit(&run.decided);
    tm_table_deinit(&run.writers);
    tm_arena_deinit(&run.arena);
    tm_arena_deinit(&run.scratch);
}
