// call.c - see call.h.
#include "service/call.h"

#include "service/inside.h"

// After a message larger than this a call gives its arena back, and so many idle calls
// keep theirs: enough that ordinary saves allocate nothing.
#define SIZE_KEPT_MAX  (16u << 10)
#define CALLS_KEPT_MAX 64u

void tm_calls_add(tm_calls *calls, tm_call *call) {
    TM_ASSERT(call->in == NULL);
    call->in = calls;
    call->next = NULL;
    call->prev = calls->last;
    if (calls->last != NULL) {
        calls->last->next = call;
    } else {
        calls->first = call;
    }
    calls->last = call;
}

void tm_calls_add_first(tm_calls *calls, tm_call *call) {
    TM_ASSERT(call->in == NULL);
    call->in = calls;
    call->prev = NULL;
    call->next = calls->first;
    if (calls->first != NULL) {
        calls->first->prev = call;
    } else {
        calls->last = call;
    }
    calls->first = call;
}

void tm_calls_remove(tm_call *call) {
    tm_calls *calls = call->in;
    if (calls == NULL) return;
    if (call->prev != NULL) {
        call->prev->next = call->next;
    } else {
        calls->first = call->next;
    }
    if (call->next != NULL) {
        call->next->prev = call->prev;
    } else {
        calls->last = call->prev;
    }
    call->in = NULL;
    call->next = call->prev = NULL;
}

// ---- from the pool and back ---------------------------------------------------------

static tm_call *call_alloc(tm_service *service) {
    if (service->call_count == service->call_cap) {
        uint32_t cap = service->call_cap == 0 ? 64 : 2 * service->call_cap;
        void *calls = service->alloc->resize(
            service->alloc->context, service->calls,
            service->call_cap * sizeof(tm_call *), cap * sizeof(tm_call *));
        if (calls == NULL) return NULL;
        service->calls = calls;
        service->call_cap = cap;
    }
    tm_call *call = tm_alloc_get(service->alloc, sizeof *call);
    if (call == NULL) return NULL;
    call->arena.alloc = service->alloc;
    call->text.alloc = service->alloc;
    call->slot = service->call_count;
    service->calls[service->call_count++] = call;
    return call;
}

tm_call *tm_call_new(tm_service *service, tm_call_kind kind) {
    tm_call *call = service->idle_calls.first;
    if (call != NULL) {
        tm_calls_remove(call);
    } else {
        call = call_alloc(service);
        if (call == NULL) return NULL;
    }
    tm_call fresh = {.service = service,
                     .kind = kind,
                     .slot = call->slot,
                     .serial = call->serial + 1,
                     .arena = call->arena,
                     .text = call->text};
    *call = fresh;
    call->timer.owner = call;
    service->calls_alive++;
    return call;
}

static void arena_rest(tm_call *call) {
    tm_service *service = call->service;
    tm_arena_reset(&call->arena);
    bool many = service->call_count - service->calls_alive > CALLS_KEPT_MAX;
    if (many || call->size > SIZE_KEPT_MAX) tm_arena_deinit(&call->arena);
}

static void conn_unlink(tm_call *call) {
    tm_conn *conn = call->conn;
    if (conn == NULL) return;
    if (call->conn_prev != NULL) {
        call->conn_prev->conn_next = call->conn_next;
    } else {
        conn->calls = call->conn_next;
    }
    if (call->conn_next != NULL) call->conn_next->conn_prev = call->conn_prev;
    conn->call_count--;
    conn->call_bytes -= call->size;
    call->conn = NULL;
}

void tm_call_end(tm_call *call) {
    tm_service *service = call->service;
    TM_ASSERT(!call->reading);
    tm_calls_remove(call);
    conn_unlink(call);
    if (call->waits) tm_timers_release(&service->timers, &call->timer);
    if (call->http)
        tm_effects_release(&service->effects); // nobody wanted the reply
    if (call->sub != NULL) call->sub->call = NULL;
    tm_buf_deinit(&call->text);
    tm_list_free(call->past);
    tm_book_deinit(&call->past_book);
    call->http = call->waits = false;
    call->sub = NULL;
    call->past = NULL;
    call->serial++; // its ticket is void
    service->calls_alive--;
    arena_rest(call);
    tm_calls_add_first(&service->idle_calls, call);
}

uint64_t tm_call_ticket(const tm_call *call) {
    return (uint64_t)call->serial << 32 | (call->slot + 1u);
}

tm_call *tm_call_find(tm_service *service, uint64_t ticket) {
    uint32_t slot = (uint32_t)ticket - 1u;
    if ((uint32_t)ticket == 0 || slot >= service->call_count) return NULL;
    tm_call *call = service->calls[slot];
    return call->serial == (uint32_t)(ticket >> 32) ? call : NULL;
}

void tm_call_leave(tm_call *call) {
    call->gone = true;
    conn_unlink(call);
    if (call->sub != NULL) {
        call->sub->call = NULL;
        call->sub = NULL;
    }
    // A push is decided all the same; a read of the store still points here.
    bool undecided = call->kind == TM_CALL_PUSH && !call->decided;
    if (!undecided && !call->reading) tm_call_end(call);
}

// ---- reading the store --------------------------------------------------------------

static void read_done(tm_store_read *request, tm_status status,
                      const tm_batch *batches, size_t count, bool more) {
    tm_call *call = request->context;
    tm_ledger *ledger = call->ledger;
    tm_ledger_enter(ledger);
    call->reading = false;
    call->service->outstanding--;
    ledger->reads--;
    if (call->gone) {
        tm_call_end(call);
    } else {
        call->on_read(call, status, batches, count, more);
    }
    tm_ledger_leave(ledger);
}

void tm_call_read(tm_call *call, uint64_t since, uint64_t ops_max,
                  uint64_t bytes_max,
                  void (*on_read)(tm_call *, tm_status, const tm_batch *, size_t,
                                  bool)) {
    call->reading = true;
    call->on_read = on_read;
    call->ledger->reads++;
    call->service->outstanding++;
    call->service->counts.page_reads++;
    call->read = (tm_store_read){.key = call->ledger->key,
                                 .since = since,
                                 .ops_max = ops_max,
                                 .bytes_max = bytes_max,
                                 .done = read_done,
                                 .context = call};
    tm_store_read_start(call->service->store, &call->read);
}
