// keeper.c - see keeper.h.
#include "sim/keeper.h"

#include "client/words.h"

enum { APPEND, READ, LOAD, SAVE, TRIM };

#define OF(type, o) ((type *)(void *)((uint8_t *)(o)-offsetof(type, own)))

// ---- carrying out ---------------------------------------------------------------------

// A copy of a request, for the inner store, and whose it is.
typedef struct errand {
    bool done;
    tm_status status;
    uint64_t batches;
    tm_store_own *asker;
    tm_sim_keeper *keeper;
} errand;

static void errand_wait(tm_store *inner, const errand *e) {
    for (unsigned i = 0; !e->done; i++) {
        TM_ASSERT(i < 100000); // a store completes what it was given
        (void)tm_store_wait(inner);
    }
}

static void append_done(tm_store_append *request, tm_status status) {
    errand *e = request->context;
    e->done = true;
    e->status = status;
    // Now: the store's next step may be one that fails.
    e->keeper->too_late =
        status == TM_OK && e->keeper->unsynced(e->keeper->context);
}

static tm_status append_carry(tm_sim_keeper *keeper, tm_store_append *asked) {
    errand e = {.keeper = keeper};
    tm_store_append request = {.key = asked->key,
                               .batch = asked->batch,
                               .done = append_done,
                               .context = &e};
    tm_store_append_start(keeper->inner, &request);
    errand_wait(keeper->inner, &e);
    if (e.status == TM_OK) {
        keeper->appended(keeper->context, asked->key, &asked->batch);
    }
    if (e.status == TM_E_UNSURE) keeper->doubt = true;
    return e.status;
}

static void read_done(tm_store_read *request, tm_status status,
                      const tm_batch *batches, size_t count, bool more) {
    errand *e = request->context;
    tm_store_read *asked = OF(tm_store_read, e->asker);
    e->done = true;
    asked->done(asked, status, batches, count, more);
}

static void load_done(tm_store_load *request, tm_status status, uint64_t seq,
                      tm_span bytes) {
    errand *e = request->context;
    tm_store_load *asked = OF(tm_store_load, e->asker);
    e->done = true;
    asked->done(asked, status, seq, bytes);
}

static void save_done(tm_store_save *request, tm_status status) {
    errand *e = request->context;
    e->done = true;
    e->status = status;
}

static void trim_done(tm_store_trim *request, tm_status status, uint64_t batches) {
    errand *e = request->context;
    e->done = true;
    e->status = status;
    e->batches = batches;
}

static bool strikes(tm_sim_keeper *keeper, tm_sim_fault fault) {
    if (keeper->calm ||
        !tm_sim_chance(&keeper->random, keeper->plan->rate[fault])) {
        return false;
    }
    keeper->fault(keeper->context, fault);
    return true;
}

// An append, at the moment at which the disk has it or not.
static tm_status append_try(tm_sim_keeper *keeper, tm_store_append *asked) {
    if (keeper->broken) return TM_E_IO;
    if (keeper->store_fails > 0) {
        keeper->store_fails--;
        keeper->fault(keeper->context, TM_SIM_STORE_AGAIN);
        return TM_E_AGAIN;
    }
    if (strikes(keeper, TM_SIM_STORE_AGAIN)) return TM_E_AGAIN;
    if (strikes(keeper, TM_SIM_UNSURE_LOST)) return TM_E_UNSURE;
    tm_status status = append_carry(keeper, asked);
    if (status == TM_OK && strikes(keeper, TM_SIM_UNSURE_KEPT)) return TM_E_UNSURE;
    return status;
}

static void tell(tm_sim_keeper *keeper, tm_store_own *own, tm_status failed) {
    errand e = {.asker = own, .keeper = keeper};
    tm_span none = {NULL, 0};
    tm_store *inner = keeper->inner;
    switch (own->kind) {
    case APPEND: {
        tm_store_append *asked = OF(tm_store_append, own);
        asked->done(asked, failed != TM_OK ? failed : own->status);
        break;
    }
    case READ: {
        tm_store_read *asked = OF(tm_store_read, own);
        if (failed != TM_OK) {
            asked->done(asked, failed, NULL, 0, false);
            break;
        }
        tm_store_read request = *asked;
        request.done = read_done;
        request.context = &e;
        tm_store_read_start(inner, &request);
        errand_wait(inner, &e);
        break;
    }
    case LOAD: {
        tm_store_load *asked = OF(tm_store_load, own);
        if (failed != TM_OK) {
            asked->done(asked, failed, 0, none);
            break;
        }
        tm_store_load request = *asked;
        request.done = load_done;
        request.context = &e;
        tm_store_load_start(inner, &request);
        errand_wait(inner, &e);
        break;
    }
    case SAVE: {
        tm_store_save *asked = OF(tm_store_save, own);
        if (failed == TM_OK) {
            tm_store_save request = *asked;
            keeper->saving(keeper->context, asked->key, asked->bytes);
            request.done = save_done;
            request.context = &e;
            tm_store_save_start(inner, &request);
            errand_wait(inner, &e);
            failed = e.status;
        }
        asked->done(asked, failed);
        break;
    }
    default: {
        tm_store_trim *asked = OF(tm_store_trim, own);
        if (failed == TM_OK) {
            tm_store_trim request = *asked;
            request.done = trim_done;
            request.context = &e;
            tm_store_trim_start(inner, &request);
            errand_wait(inner, &e);
            failed = e.status;
        }
        asked->done(asked, failed, e.batches);
        break;
    }
    }
}

// ---- the queues -----------------------------------------------------------------------

static uint64_t later(tm_sim_keeper *keeper) {
    uint32_t usual = keeper->plan->store_ms;
    return keeper->now(keeper->context) +
           (usual == 0 ? 0 : tm_sim_tail(&keeper->random, usual, usual * 16u));
}

static void start(tm_store *store, tm_store_own *own, int kind) {
    tm_sim_keeper *keeper = (tm_sim_keeper *)(void *)store;
    bool slow = kind == SAVE || kind == TRIM;
    tm_store_own **first = slow ? &keeper->slow_first : &keeper->first;
    tm_store_own **last = slow ? &keeper->slow_last : &keeper->last;
    own->kind = kind;
    own->next = NULL;
    keeper->requests++;
    if (*first == NULL) {
        *first = own;
        *(slow ? &keeper->slow_due_ms : &keeper->due_ms) = later(keeper);
        if (!slow) keeper->carried = false;
    } else {
        (*last)->next = own;
    }
    *last = own;
}

static tm_store_own *pop(tm_sim_keeper *keeper, bool slow) {
    tm_store_own **first = slow ? &keeper->slow_first : &keeper->first;
    tm_store_own *own = *first;
    *first = own->next;
    uint64_t due = *first == NULL ? UINT64_MAX : later(keeper);
    *(slow ? &keeper->slow_due_ms : &keeper->due_ms) = due;
    if (!slow) keeper->carried = false;
    return own;
}

// False: the process dies here.
static bool append_step(tm_sim_keeper *keeper, tm_store_own *own) {
    if (keeper->carried) return true;
    if (keeper->crash_in > 0 && --keeper->crash_in == 0) {
        keeper->doomed = true;
        keeper->fault(keeper->context, TM_SIM_CRASH_IN_APPEND);
        return false;
    }
    own->status = append_try(keeper, OF(tm_store_append, own));
    keeper->carried = true;
    keeper->due_ms = later(keeper);
    if (strikes(keeper, TM_SIM_CRASH_BEFORE_ACK)) keeper->doomed = true;
    return false;
}

void tm_sim_keeper_run(tm_sim_keeper *keeper, uint64_t now_ms) {
    if (keeper->doomed) return;
    if (keeper->slow_first != NULL && keeper->slow_due_ms <= now_ms) {
        bool fails = strikes(keeper, TM_SIM_SAVE_FAILED);
        tell(keeper, pop(keeper, true),
             fails || keeper->broken ? TM_E_AGAIN : TM_OK);
        return;
    }
    tm_store_own *own = keeper->first;
    if (own == NULL || keeper->due_ms > now_ms) return;
    if (own->kind == APPEND && !append_step(keeper, own)) return;
    bool fails = own->kind != APPEND && strikes(keeper, TM_SIM_READ_FAILED);
    tell(keeper, pop(keeper, false), fails ? TM_E_AGAIN : TM_OK);
}

uint64_t tm_sim_keeper_due(const tm_sim_keeper *keeper) {
    uint64_t due = UINT64_MAX;
    if (keeper->first != NULL) due = keeper->due_ms;
    if (keeper->slow_first != NULL && keeper->slow_due_ms < due) {
        due = keeper->slow_due_ms;
    }
    return due;
}

bool tm_sim_keeper_appending(const tm_sim_keeper *keeper) {
    return keeper->first != NULL && keeper->first->kind == APPEND;
}

// ---- the end --------------------------------------------------------------------------

// Of what waits, each list's appends from the first on may have reached the disk.
static void unsynced(tm_sim_keeper *keeper) {
    size_t waiting = 0, kept = 0;
    tm_store_own *own = keeper->first;
    if (own != NULL && keeper->carried) own = own->next;
    bool going = true;
    for (; own != NULL && keeper->inner != NULL; own = own->next) {
        if (own->kind != APPEND) continue;
        waiting++;
        going = going && !keeper->broken && tm_sim_below(&keeper->random, 2) == 0;
        if (!going) continue;
        if (append_carry(keeper, OF(tm_store_append, own)) != TM_OK) going = false;
        if (going) kept++;
    }
    if (waiting == 0) return;
    keeper->fault(keeper->context, kept == 0         ? TM_SIM_UNSYNCED_LOST
                                   : kept == waiting ? TM_SIM_UNSYNCED_KEPT
                                                     : TM_SIM_UNSYNCED_PART);
}

bool tm_sim_keeper_flush(tm_sim_keeper *keeper) {
    bool told = false;
    keeper->doomed = false;
    while (keeper->first != NULL || keeper->slow_first != NULL) {
        bool slow = keeper->first == NULL;
        tell(keeper, pop(keeper, slow), TM_E_IO);
        told = true;
    }
    return told;
}

void tm_sim_keeper_die(tm_sim_keeper *keeper) {
    unsynced(keeper);
    keeper->inner = NULL;
    (void)tm_sim_keeper_flush(keeper);
}

// ---- the store ------------------------------------------------------------------------

static void keeper_append(tm_store *store, tm_store_append *request) {
    start(store, &request->own, APPEND);
}
static void keeper_read(tm_store *store, tm_store_read *request) {
    start(store, &request->own, READ);
}
static void keeper_load(tm_store *store, tm_store_load *request) {
    start(store, &request->own, LOAD);
}
static void keeper_save(tm_store *store, tm_store_save *request) {
    start(store, &request->own, SAVE);
}
static void keeper_trim(tm_store *store, tm_store_trim *request) {
    start(store, &request->own, TRIM);
}
static size_t keeper_poll(tm_store *store) {
    (void)store;
    return 0;
}
static tm_status keeper_health(tm_store *store, tm_span *why) {
    const tm_sim_keeper *keeper = (tm_sim_keeper *)(void *)store;
    *why = TM_SPAN("");
    return keeper->broken ? TM_E_IO : TM_OK;
}
static tm_status keeper_lists(tm_store *store,
                              void (*each)(void *context, tm_key key,
                                           uint64_t head),
                              void *context) {
    tm_sim_keeper *keeper = (tm_sim_keeper *)(void *)store;
    return tm_store_lists(keeper->inner, each, context);
}
static void keeper_stats(tm_store *store, tm_store_stats *stats) {
    (void)store;
    *stats = (tm_store_stats){0};
}
static void keeper_close(tm_store *store) {
    (void)store;
}

static const tm_store_ops keeper_ops = {
    .append = keeper_append,
    .read = keeper_read,
    .load = keeper_load,
    .save = keeper_save,
    .trim = keeper_trim,
    .poll = keeper_poll,
    .wait = keeper_poll,
    .lists = keeper_lists,
    .health = keeper_health,
    .stats = keeper_stats,
    .close = keeper_close,
};

void tm_sim_keeper_init(tm_sim_keeper *keeper, const tm_sim_plan *plan,
                        tm_sim_random random) {
    *keeper = (tm_sim_keeper){.base = {.ops = &keeper_ops},
                              .plan = plan,
                              .random = random,
                              .due_ms = UINT64_MAX,
                              .slow_due_ms = UINT64_MAX};
}

// ---- reading past it ------------------------------------------------------------------

typedef struct reading {
    errand e;
    uint64_t since;
    bool more;
    void (*each)(void *context, const tm_batch *batch);
    void *context;
} reading;

static void log_done(tm_store_read *request, tm_status status,
                     const tm_batch *batches, size_t count, bool more) {
    reading *r = request->context;
    uint64_t since = r->since;
    r->e.done = true;
    r->e.status = status;
    r->more = more;
    for (size_t i = 0; i < count; i++) {
        if (batches[i].last_seq <= since) continue;
        r->since = batches[i].last_seq;
        r->each(r->context, &batches[i]);
    }
}

void tm_sim_read_log(tm_store *store, tm_key key,
                     void (*each)(void *context, const tm_batch *batch),
                     void *context, tm_status *status) {
    reading r = {.more = true, .each = each, .context = context};
    while (r.more) {
        tm_store_read request = {.key = key,
                                 .since = r.since,
                                 .ops_max = 1000,
                                 .bytes_max = 1u << 20,
                                 .done = log_done,
                                 .context = &r};
        r.e.done = r.more = false;
        tm_store_read_start(store, &request);
        errand_wait(store, &r.e);
    }
    *status = r.e.status;
}
