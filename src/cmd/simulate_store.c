// simulate_store.c - see simulate_store.h.
#include "cmd/simulate_store.h"

#include <stdlib.h>

#include "cmd/host.h"
#include "store/memory.h"

typedef struct stores {
    tm_store *durable, *backup;
} stores;

static void copy(tm_store *from, tm_store **to) {
    tm_store *fresh = NULL;
    tm_status status = from == NULL ? tm_memory_open(&tm_host_alloc, &fresh)
                                    : tm_memory_copy(from, &fresh);
    TM_ASSERT(status == TM_OK);
    tm_store_close(*to);
    *to = fresh;
}

static tm_store *memory_open(void *context) {
    return ((stores *)context)->durable;
}

static void memory_close(void *context, tm_store *store, bool crash) {
    (void)context;
    (void)store;
    (void)crash; // what it holds is what is durable
}

static bool memory_backup(void *context) {
    stores *s = context;
    copy(s->durable, &s->backup);
    return true;
}

static bool memory_restore(void *context) {
    stores *s = context;
    if (s->backup == NULL) return false;
    copy(s->backup, &s->durable);
    return true;
}

static void memory_empty(void *context) {
    copy(NULL, &((stores *)context)->durable);
}

void tm_simulate_memory(tm_sim_backend *backend) {
    stores *s = calloc(1, sizeof *s);
    TM_ASSERT(s != NULL);
    copy(NULL, &s->durable);
    *backend = (tm_sim_backend){.context = s,
                                .open = memory_open,
                                .close = memory_close,
                                .backup = memory_backup,
                                .restore = memory_restore,
                                .empty = memory_empty};
}

void tm_simulate_store_free(tm_sim_backend *backend) {
    stores *s = backend->context;
    tm_store_close(s->durable);
    tm_store_close(s->backup);
    free(s);
}
