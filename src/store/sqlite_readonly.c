// sqlite_readonly.c - see sqlite.h: a database as it was at one moment, for the commands
// that look at it, beside a running daemon or without one.
//
// One read transaction lasts from open to close, so `verify` sees a log and a snapshot of
// the same moment. There are no threads: tm_store_poll does the work.
#include <stdio.h>
#include <unistd.h>

#include "store/sqlite_internal.h"

static void start(tm_store *store, tm_store_own *own, tm_request kind) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    *own = (tm_store_own){.kind = (int)kind};
    bool idle = s->completed.first == NULL;
    tm_queue_push(&s->completed, own);
    if (idle && store->wake != NULL) store->wake(store->wake_context);
}

static void readonly_append(tm_store *store, tm_store_append *request) {
    start(store, &request->own, TM_REQUEST_APPEND);
}

static void readonly_read(tm_store *store, tm_store_read *request) {
    start(store, &request->own, TM_REQUEST_READ);
}

static void readonly_load(tm_store *store, tm_store_load *request) {
    start(store, &request->own, TM_REQUEST_LOAD);
}

static void readonly_save(tm_store *store, tm_store_save *request) {
    start(store, &request->own, TM_REQUEST_SAVE);
}

static void readonly_trim(tm_store *store, tm_store_trim *request) {
    start(store, &request->own, TM_REQUEST_TRIM);
}

static void look(tm_sqlite *s, tm_store_own *own) {
    int rc = SQLITE_OK;
    // A name that no list has may come from a damaged row of `lists`.
    tm_key key = tm_request_key(own);
    bool named = key.user.len > 0 && key.user.len <= TM_KEY_USER_MAX &&
                 key.list.len > 0 && key.list.len <= TM_KEY_LIST_MAX;
    if (!named) {
        own->status = TM_E_CORRUPT;
        tm_job_done(s, own);
        return;
    }
    tm_place *place = tm_place_get(s, key);
    if (place != NULL) {
        own->result = tm_job_new(s, place, own);
        tm_place_settle(s, place);
    }
    own->status = tm_job_run(s, &s->reader, own, false, &rc);
    s->why[0] = '\0';
    if (rc != SQLITE_OK) tm_conn_tell(&s->reader, rc, "read", s->why);
    tm_job_done(s, own);
}

static void run(tm_sqlite *s, tm_store_own *own) {
    switch ((tm_request)own->kind) {
    case TM_REQUEST_READ:
        s->stats.reads++;
        look(s, own);
        break;
    case TM_REQUEST_LOAD:
        s->stats.loads++;
        look(s, own);
        break;
    case TM_REQUEST_APPEND: {
        tm_store_append *request = TM_REQUEST_OF(tm_store_append, own);
        request->done(request, TM_E_STATE);
        break;
    }
    case TM_REQUEST_SAVE: {
        tm_store_save *request = TM_REQUEST_OF(tm_store_save, own);
        request->done(request, TM_E_STATE);
        break;
    }
    case TM_REQUEST_TRIM: {
        tm_store_trim *request = TM_REQUEST_OF(tm_store_trim, own);
        request->done(request, TM_E_STATE, 0);
        break;
    }
    }
}

static size_t readonly_poll(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    tm_queue now = s->completed;
    s->completed = (tm_queue){NULL, NULL};
    size_t told = 0;
    for (tm_store_own *own; (own = tm_queue_pop(&now)) != NULL; told++) {
        run(s, own);
    }
    return told;
}

static tm_status readonly_lists(tm_store *store,
                                void (*each)(void *context, tm_key key,
                                             uint64_t head),
                                void *context) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    return tm_lists_run(&s->reader, each, context);
}

static tm_status readonly_health(tm_store *store, tm_span *why) {
    tm_sqlite *s = (tm_sqlite *)(void *)store; // what the last read failed with
    const char *text = s->why[0] != '\0' ? s->why : "it was opened to be read only";
    *why = (tm_span){(const uint8_t *)text, strlen(text)};
    return TM_E_STATE;
}

static void readonly_stats(tm_store *store, tm_store_stats *stats) {
    *stats = ((tm_sqlite *)(void *)store)->stats;
}

static void readonly_close(tm_store *store) {
    tm_sqlite *s = (tm_sqlite *)(void *)store;
    while (readonly_poll(store) > 0) {
    }
    tm_conn_rollback(&s->reader);
    tm_sqlite_free(s);
}

static const tm_store_ops readonly_ops = {
    .append = readonly_append,
    .read = readonly_read,
    .load = readonly_load,
    .save = readonly_save,
    .trim = readonly_trim,
    .poll = readonly_poll,
    .wait = readonly_poll,
    .lists = readonly_lists,
    .health = readonly_health,
    .stats = readonly_stats,
    .close = readonly_close,
};

tm_status tm_readonly_open(tm_sqlite *s, char problem[TM_PROBLEM_MAX]) {
    s->base.ops = &readonly_ops;
    s->tuning.file_delay_ms = UINT32_MAX;
    if (s->vfs == NULL && access(s->path, R_OK) != 0) {
        snprintf(problem, TM_PROBLEM_MAX, "%.160s: there is no database to read",
                 s->path);
        return TM_E_IO;
    }
    bool empty = false;
    tm_status status =
        tm_sqlite_connect(s, &s->reader, TM_CONN_READ, s->tuning.busy_ms, problem);
    if (status == TM_OK) status = tm_schema_check(&s->reader, &empty, problem);
    if (status == TM_OK && empty) {
        snprintf(problem, TM_PROBLEM_MAX, "the database is empty");
        status = TM_E_STATE;
    }
    if (status == TM_OK) status = tm_conn_prepare(&s->reader, problem);
    if (status != TM_OK) return status;
    int rc = tm_conn_run(&s->reader, TM_SQL_BEGIN_READ);
    if (rc != SQLITE_OK) {
        tm_conn_tell(&s->reader, rc, "the database cannot be read", problem);
        return tm_conn_unopened(&s->reader, rc);
    }
    return tm_place_load(s, &s->reader, problem); // the first look fixes the moment
}
