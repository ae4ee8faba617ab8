// history.c - see history.h.
#include "cmd/history.h"

#include "cmd/host.h"

#define READ_OPS 4096u
#define READ_BYTES                                                                 \
    (4u << 20) // enough that a read costs little beside what it brings

void tm_history_init(tm_history *history, tm_store *store, tm_key key,
                     uint64_t since) {
    *history = (tm_history){.store = store,
                            .key = key,
                            .since = since,
                            .ops_max = READ_OPS,
                            .more = true,
                            .arena = {.alloc = &tm_host_alloc}};
}

void tm_history_deinit(tm_history *history) {
    tm_arena_deinit(&history->arena);
}

// What is lent in `done` is valid there only: all of it is copied.
static void on_read(tm_store_read *request, tm_status status,
                    const tm_batch *batches, size_t count, bool more) {
    tm_history *history = request->context;
    history->done = true;
    history->status = status;
    history->more = more;
    history->count = history->at = 0;
    if (status != TM_OK) return;
    history->batches = tm_arena_get(&history->arena, count * sizeof *batches);
    if (history->batches == NULL) {
        history->status = TM_E_NOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (batches[i].last_seq <= history->since) continue; // it ends where we are
        tm_batch *copy = &history->batches[history->count];
        *copy = batches[i];
        status = tm_arena_copy(&history->arena, batches[i].operations,
                               &copy->operations);
        if (status == TM_OK) {
            status = tm_arena_copy(&history->arena, batches[i].rejected,
                                   &copy->rejected);
        }
        if (status != TM_OK) {
            history->status = status;
            return;
        }
        history->count++;
    }
}

static void read_more(tm_history *history) {
    tm_arena_reset(&history->arena);
    history->done = false;
    history->read = (tm_store_read){.key = history->key,
                                    .since = history->since,
                                    .ops_max = history->ops_max,
                                    .bytes_max = READ_BYTES,
                                    .done = on_read,
                                    .context = history};
    tm_store_read_start(history->store, &history->read);
    while (!history->done && tm_store_wait(history->store) > 0) {
    }
    if (!history->done) history->status = TM_E_STATE;
}

bool tm_history_next(tm_history *history, const tm_batch **batch) {
    // A read may bring nothing new and still say that more follows: the batch that ends
    // where we are was all that fitted. Then the next one begins behind it.
    while (history->status == TM_OK && history->at == history->count) {
        uint64_t since = history->since;
        if (!history->more) return false;
        read_more(history);
        if (history->status == TM_OK && history->count == 0 && history->more) {
            history->since = since + 1;
        }
    }
    if (history->status != TM_OK) return false;
    *batch = &history->batches[history->at++];
    history->since = (*batch)->last_seq;
    return true;
}

// ---- snapshot -----------------------------------------------------------------------

typedef struct loading {
    tm_store_load request; // first
    tm_buf *bytes;
    uint64_t seq;
    tm_status status;
    bool done;
} loading;

static void on_load(tm_store_load *request, tm_status status, uint64_t seq,
                    tm_span bytes) {
    loading *load = request->context;
    load->done = true;
    load->status = status;
    load->seq = seq;
    tm_buf_put(load->bytes, bytes);
}

tm_status tm_history_snapshot(tm_store *store, tm_key key, uint64_t *seq,
                              tm_buf *bytes) {
    loading load = {.request = {.key = key, .done = on_load}, .bytes = bytes};
    load.request.context = &load;
    tm_store_load_start(store, &load.request);
    while (!load.done && tm_store_wait(store) > 0) {
    }
    if (!load.done) return TM_E_STATE;
    *seq = load.seq;
    return load.status == TM_OK ? bytes->status : load.status;
}
