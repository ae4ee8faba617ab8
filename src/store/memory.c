// memory.c - see memory.h.
#include "store/memory.h"

#include "core/table.h"
#include "store/request.h"

// Batches and snapshot own their bytes, one allocation each.
typedef struct memory_list {
    tm_batch *batches; // the log, oldest first
    size_t count, cap;
    uint64_t snapshot_seq; // 0 = no snapshot
    tm_span snapshot;
    size_t key_len;
    uint8_t key[TM_KEY_MAX]; // joined
} memory_list;

typedef struct memory {
    tm_store base;
    const tm_alloc *alloc;
    tm_table lists; // joined key -> list, owned
    tm_queue queue; // not yet completed
    tm_store_stats stats;
    tm_status fail; // what the next fail_count appends end with
    uint32_t fail_count;
    bool fail_stored;
} memory;

// ---- bytes and lists ----------------------------------------------------------------

static uint64_t list_head(const memory_list *list) {
    return list->count == 0 ? 0 : list->batches[list->count - 1].last_seq;
}

static void bytes_free(const memory *m, tm_span bytes) {
    tm_alloc_put(m->alloc, (void *)(uintptr_t)bytes.ptr, bytes.len);
}

static void batch_free(const memory *m, const tm_batch *batch) {
    // operations and rejected lie in one block, in this order
    bytes_free(m, (tm_span){batch->operations.ptr,
                            batch->operations.len + batch->rejected.len});
}

static bool batch_copy(const memory *m, const tm_batch *from, tm_batch *to) {
    uint8_t *bytes =
        tm_alloc_get(m->alloc, from->operations.len + from->rejected.len);
    if (bytes == NULL) return false;
    *to = *from;
    to->operations.ptr = bytes;
    to->rejected.ptr = bytes + from->operations.len;
    if (from->operations.len > 0) {
        memcpy(bytes, from->operations.ptr, from->operations.len);
    }
    if (from->rejected.len > 0) {
        memcpy(bytes + from->operations.len, from->rejected.ptr,
               from->rejected.len);
    }
    return true;
}

static bool list_reserve(const memory *m, memory_list *list) {
    if (list->count < list->cap) return true;
    size_t cap = list->cap == 0 ? 8 : list->cap * 2;
    void *fresh =
        m->alloc->resize(m->alloc->context, list->batches,
                         list->cap * sizeof(tm_batch), cap * sizeof(tm_batch));
    if (fresh == NULL) return false;
    list->batches = fresh;
    list->cap = cap;
    return true;
}

static bool list_push(const memory *m, memory_list *list, const tm_batch *batch) {
    if (!list_reserve(m, list)) return false;
    if (!batch_copy(m, batch, &list->batches[list->count])) return false;
    list->count++;
    return true;
}

static void list_free(const memory *m, memory_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        batch_free(m, &list->batches[i]);
    }
    tm_alloc_put(m->alloc, list->batches, list->cap * sizeof(tm_batch));
    bytes_free(m, list->snapshot);
    tm_alloc_put(m->alloc, list, sizeof *list);
}

static memory_list *list_get(const memory *m, tm_key key) { // NULL: never heard of
    uint8_t joined[TM_KEY_MAX];
    return tm_table_get(&m->lists, tm_key_join(key, joined));
}

static memory_list *list_make(memory *m, tm_key key) { // NULL: out of memory
    memory_list *found = list_get(m, key);
    if (found != NULL) return found;
    memory_list *fresh = tm_alloc_get(m->alloc, sizeof *fresh);
    if (fresh == NULL) return NULL;
    fresh->key_len = tm_key_join(key, fresh->key).len;
    tm_span joined = {fresh->key, fresh->key_len};
    if (tm_table_set(&m->lists, joined, fresh) != TM_OK) {
        list_free(m, fresh);
        return NULL;
    }
    return fresh;
}

// ---- the requests -------------------------------------------------------------------

static tm_status append_store(memory *m, const tm_store_append *request) {
    const tm_batch *batch = &request->batch;
    TM_ASSERT(batch->first_seq > 0 && batch->last_seq >= batch->first_seq);
    memory_list *list = list_make(m, request->key);
    if (list == NULL) return TM_E_AGAIN;
    if (batch->first_seq != list_head(list) + 1) return TM_E_CONFLICT;
    if (!list_push(m, list, batch)) return TM_E_AGAIN;
    m->stats.appends++;
    m->stats.commits++;
    m->stats.operations_bytes += batch->operations.len;
    return TM_OK;
}

static void append_run(memory *m, tm_store_append *request) {
    tm_status status = TM_OK;
    if (m->fail_count == 0) {
        status = append_store(m, request);
    } else {
        m->fail_count--;
        if (m->fail_stored) (void)append_store(m, request);
        status = m->fail;
    }
    if (status != TM_OK && status != TM_E_CONFLICT) m->stats.failures++;
    request->done(request, status);
}

static void read_run(memory *m, tm_store_read *request) {
    m->stats.reads++;
    const memory_list *list = list_get(m, request->key);
    size_t from = 0, end = 0;
    if (list != NULL) {
        while (from < list->count &&
               list->batches[from].last_seq < request->since) {
            from++;
        }
        uint64_t ops = 0, bytes = 0;
        for (end = from; end < list->count;) {
            const tm_batch *batch = &list->batches[end++];
            if (batch->last_seq <= request->since) continue;
            ops += batch->last_seq - batch->first_seq + 1;
            bytes += batch->operations.len;
            if (ops >= request->ops_max || bytes >= request->bytes_max) break;
        }
    }
    if (end == from) {
        request->done(request, TM_OK, NULL, 0, false);
    } else {
        request->done(request, TM_OK, &list->batches[from], end - from,
                      end < list->count);
    }
}

static void load_run(memory *m, tm_store_load *request) {
    m->stats.loads++;
    const memory_list *list = list_get(m, request->key);
    if (list == NULL) {
        request->done(request, TM_OK, 0, (tm_span){NULL, 0});
    } else {
        request->done(request, TM_OK, list->snapshot_seq, list->snapshot);
    }
}

static tm_status snapshot_store(memory *m, memory_list *list, uint64_t seq,
                                tm_span bytes) {
    uint8_t *copy = tm_alloc_get(m->alloc, bytes.len);
    if (copy == NULL) return TM_E_AGAIN;
    if (bytes.len > 0) memcpy(copy, bytes.ptr, bytes.len);
    bytes_free(m, list->snapshot);
    list->snapshot = (tm_span){copy, bytes.len};
    list->snapshot_seq = seq;
    return TM_OK;
}

static void save_run(memory *m, tm_store_save *request) {
    m->stats.saves++;
    memory_list *list = list_make(m, request->key);
    tm_status status = list == NULL ? TM_E_AGAIN : TM_OK;
    if (list != NULL && request->seq > list->snapshot_seq) {
        status = snapshot_store(m, list, request->seq, request->bytes);
    }
    if (status != TM_OK) m->stats.failures++;
    request->done(request, status);
}

static void trim_run(memory *m, tm_store_trim *request) {
    m->stats.trims++;
    memory_list *list = list_get(m, request->key);
    size_t gone = 0;
    while (list != NULL && gone + 1 < list->count &&
           list->batches[gone].last_seq <= request->below_seq &&
           list->batches[gone].accepted_ms < request->before_ms) {
        batch_free(m, &list->batches[gone++]);
    }
    if (gone > 0) {
        list->count -= gone;
        memmove(list->batches, list->batches + gone,
                list->count * sizeof(tm_batch));
    }
    request->done(request, TM_OK, gone);
}

static void run(memory *m, tm_store_own *own) {
    switch ((tm_request)own->kind) {
    case TM_REQUEST_APPEND:
        append_run(m, TM_REQUEST_OF(tm_store_append, own));
        break;
    case TM_REQUEST_READ:
        read_run(m, TM_REQUEST_OF(tm_store_read, own));
        break;
    case TM_REQUEST_LOAD:
        load_run(m, TM_REQUEST_OF(tm_store_load, own));
        break;
    case TM_REQUEST_SAVE:
        save_run(m, TM_REQUEST_OF(tm_store_save, own));
        break;
    case TM_REQUEST_TRIM:
        trim_run(m, TM_REQUEST_OF(tm_store_trim, own));
        break;
    }
}

// ---- the store ----------------------------------------------------------------------

static void start(tm_store *store, tm_store_own *own, tm_request kind) {
    memory *m = (memory *)(void *)store;
    bool idle = m->queue.first == NULL;
    own->kind = (int)kind;
    tm_queue_push(&m->queue, own);
    if (idle && store->wake != NULL) store->wake(store->wake_context);
}

static void memory_append(tm_store *store, tm_store_append *request) {
    start(store, &request->own, TM_REQUEST_APPEND);
}

static void memory_read(tm_store *store, tm_store_read *request) {
    start(store, &request->own, TM_REQUEST_READ);
}

static void memory_load(tm_store *store, tm_store_load *request) {
    start(store, &request->own, TM_REQUEST_LOAD);
}

static void memory_save(tm_store *store, tm_store_save *request) {
    start(store, &request->own, TM_REQUEST_SAVE);
}

static void memory_trim(tm_store *store, tm_store_trim *request) {
    start(store, &request->own, TM_REQUEST_TRIM);
}

static size_t memory_poll(tm_store *store) {
    memory *m = (memory *)(void *)store;
    tm_queue now = m->queue; // what `done` starts waits for the next poll
    m->queue = (tm_queue){NULL, NULL};
    size_t count = 0;
    for (tm_store_own *own; (own = tm_queue_pop(&now)) != NULL; count++) {
        run(m, own);
    }
    return count;
}

static tm_status memory_lists(tm_store *store,
                              void (*each)(void *context, tm_key key,
                                           uint64_t head),
                              void *context) {
    memory *m = (memory *)(void *)store;
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&m->lists, &at)) != NULL;) {
        const memory_list *list = slot->value;
        if (list->count > 0)
            each(context, tm_key_split(slot->key), list_head(list));
    }
    return TM_OK;
}

static tm_status memory_health(tm_store *store, tm_span *why) {
    (void)store;
    *why = (tm_span){(const uint8_t *)"", 0};
    return TM_OK;
}

static void memory_stats(tm_store *store, tm_store_stats *stats) {
    *stats = ((memory *)(void *)store)->stats;
}

static void memory_close(tm_store *store) {
    memory *m = (memory *)(void *)store;
    while (memory_poll(store) > 0) {
    }
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&m->lists, &at)) != NULL;) {
        list_free(m, slot->value);
    }
    tm_table_deinit(&m->lists);
    tm_alloc_put(m->alloc, m, sizeof *m);
}

static const tm_store_ops memory_ops = {
    .append = memory_append,
    .read = memory_read,
    .load = memory_load,
    .save = memory_save,
    .trim = memory_trim,
    .poll = memory_poll,
    .wait = memory_poll, // what is outstanding completes at once
    .lists = memory_lists,
    .health = memory_health,
    .stats = memory_stats,
    .close = memory_close,
};

tm_status tm_memory_open(const tm_alloc *alloc, tm_store **store) {
    memory *m = tm_alloc_get(alloc, sizeof *m);
    if (m == NULL) return TM_E_NOMEM;
    m->base.ops = &memory_ops;
    m->alloc = alloc;
    // A fixed seed: a simulation must repeat itself, and no stranger names its users.
    tm_table_init(&m->lists, alloc, (tm_seed){1, 2});
    *store = &m->base;
    return TM_OK;
}

static bool list_clone(memory *to, const memory_list *from) {
    memory_list *fresh =
        list_make(to, tm_key_split((tm_span){from->key, from->key_len}));
    if (fresh == NULL) return false;
    for (size_t i = 0; i < from->count; i++) {
        if (!list_push(to, fresh, &from->batches[i])) return false;
    }
    return from->snapshot_seq == 0 ||
           snapshot_store(to, fresh, from->snapshot_seq, from->snapshot) == TM_OK;
}

tm_status tm_memory_copy(tm_store *store, tm_store **copy) {
    const memory *from = (memory *)(void *)store;
    tm_store *fresh = NULL;
    tm_status status = tm_memory_open(from->alloc, &fresh);
    if (status != TM_OK) return status;
    size_t at = 0;
    for (tm_table_slot *slot; (slot = tm_table_next(&from->lists, &at)) != NULL;) {
        if (list_clone((memory *)(void *)fresh, slot->value)) continue;
        tm_store_close(fresh);
        return TM_E_NOMEM;
    }
    *copy = fresh;
    return TM_OK;
}

void tm_memory_fail(tm_store *store, tm_status status, uint32_t count,
                    bool stored) {
    memory *m = (memory *)(void *)store;
    m->fail = status;
    m->fail_count = count;
    m->fail_stored = stored;
}
