// check_page.c - see check_world.h: one page, as a browser would run it.
#include "cmd/check_world.h"

#include "cmd/check_orders.h"
#include "cmd/host.h"

#include <string.h>

// An engine that never runs out of events must not hang the check.
#define EVENTS_MAX 100000u

static const tm_span nothing = {NULL, 0};

// ---- calls --------------------------------------------------------------------------

static const char *call_name(tm_check_fn call) {
    static const char *const names[] = {
#define X(name, parameters, result) "tm_door_" #name,
        TM_DOOR_LIST(X)
#undef X
    };
    return names[call];
}

static bool call_do(tm_check_world *world, tm_check_fn call, const uint64_t *args,
                    tm_span in, int64_t *result, tm_span *out) {
    tm_status status = tm_check_call(world->door, call, args, in, result, out);
    if (status == TM_OK) return true;
    world->door_status = status;
    return tm_check_verdict_fail(world->verdict, "the engine is gone: %s",
                                 tm_check_problem(world->door));
}

bool tm_check_page_call(tm_check_world *world, tm_check_page *page,
                        tm_check_fn call, const uint64_t *args, size_t count,
                        tm_span in, int64_t *result, tm_span *out) {
    uint64_t all[TM_FN_ARGS_MAX] = {(uint32_t)page->engine};
    for (size_t i = 0; i < count; i++) {
        all[1 + i] = args[i];
    }
    if (!call_do(world, call, all, in, result, out)) return false;
    // 64-bit results are times and cursors, with TM_E_GONE and the like out of the way.
    bool is_status = call != TM_FN_deadline && call != TM_FN_ref &&
                     call != TM_FN_cursor && call != TM_FN_edit;
    if (is_status && *result < 0) {
        return tm_check_verdict_fail(
            world->verdict, "%.*s: %s failed with status %d", (int)page->id.len,
            (const char *)page->id.ptr, call_name(call), (int)*result);
    }
    return true;
}

bool tm_check_page_call_now(tm_check_world *world, tm_check_page *page,
                            tm_check_fn call, const uint64_t *args, size_t count,
                            tm_span in, int64_t *result, tm_span *out) {
    tm_now now = tm_check_world_page_now(world, page);
    uint64_t all[TM_FN_ARGS_MAX] = {now.wall_ms, now.mono_ms};
    for (size_t i = 0; i < count; i++) {
        all[2 + i] = args[i];
    }
    return tm_check_page_call(world, page, call, all, 2 + count, in, result, out);
}

// ---- replicas -----------------------------------------------------------------------

static tm_check_storage *storage_find(tm_check_world *world, tm_span name) {
    for (tm_check_storage *storage = world->storages; storage != NULL;
         storage = storage->next) {
        if (tm_span_equal(storage->name, name)) return storage;
    }
    tm_check_storage *made = tm_arena_get(&world->arena, sizeof *made);
    if (made == NULL) return NULL;
    *made = (tm_check_storage){.next = world->storages, .name = name};
    world->storages = made;
    return made;
}

tm_check_page *tm_check_page_add(tm_check_world *world, tm_span id,
                                 tm_span storage) {
    tm_check_page *page = tm_arena_get(&world->arena, sizeof *page);
    tm_check_storage *place = storage_find(world, storage);
    if (page == NULL || place == NULL) {
        (void)tm_check_verdict_fail(world->verdict, "out of memory");
        return NULL;
    }
    *page = (tm_check_page){.id = id, .storage = place, .online = true};
    page->sent_last = &page->sent;
    *world->pages_last = page;
    world->pages_last = &page->next;
    return page;
}

tm_check_page *tm_check_page_find(const tm_check_world *world, tm_span id) {
    for (tm_check_page *page = world->pages; page != NULL; page = page->next) {
        if (tm_span_equal(page->id, id)) return page;
    }
    return NULL;
}

// ---- locks --------------------------------------------------------------------------

static bool is_held(const tm_check_world *world, const tm_check_storage *storage,
                    tm_span browser) {
    for (const tm_check_page *page = world->pages; page != NULL;
         page = page->next) {
        if (page->storage != storage) continue;
        for (const tm_check_held *held = page->held; held != NULL;
             held = held->next) {
            if (tm_span_equal(held->browser, browser)) return true;
        }
    }
    return false;
}

static bool hold(tm_check_world *world, tm_check_page *page, tm_span browser) {
    if (is_held(world, page->storage, browser)) return true; // it is ours already
    tm_check_held *held = tm_arena_get(&world->arena, sizeof *held);
    if (held == NULL) return tm_check_verdict_fail(world->verdict, "out of memory");
    *held = (tm_check_held){page->held, tm_check_world_keep(world, browser)};
    page->held = held;
    return !world->verdict->failed;
}

// ---- starting and ending ------------------------------------------------------------

static bool engine_make(tm_check_world *world, tm_check_page *page) {
    uint8_t seed[32];
    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)(tm_check_orders_random(&world->random) >> 32);
    }
    tm_buf in = {.alloc = &tm_host_alloc};
    tm_buf_put(&in, tm_check_server_key.user);
    tm_buf_put(&in, tm_check_server_key.list);
    tm_buf_put(&in, (tm_span){seed, sizeof seed});
    uint64_t args[] = {tm_check_server_key.user.len, tm_check_server_key.list.len,
                       1};
    int64_t result = TM_E_NOMEM;
    bool made = in.status == TM_OK &&
                call_do(world, TM_FN_new, args, tm_buf_span(&in), &result, NULL);
    tm_buf_deinit(&in);
    if (made && result > 0) {
        page->engine = (int32_t)result;
        return true;
    }
    return tm_check_verdict_fail(world->verdict,
                                 "no engine could be made: status %d", (int)result);
}

static bool records_load(tm_check_world *world, tm_check_page *page,
                         tm_place place) {
    const tm_check_records *records = &page->storage->places[place];
    for (size_t i = 0; i < records->count; i++) {
        const tm_check_record *record = &records->items[i];
        uint64_t args[] = {place, record->key.len, record->value.len};
        int64_t result;
        tm_buf in = {.alloc = &tm_host_alloc};
        tm_buf_put(&in, record->key);
        tm_buf_put(&in, record->value);
        bool loaded = tm_check_page_call(world, page, TM_FN_load, args, 3,
                                         tm_buf_span(&in), &result, NULL);
        tm_buf_deinit(&in);
        if (!loaded) return false;
    }
    return true;
}

static bool adopt(tm_check_world *world, tm_check_page *page, tm_span browser) {
    uint64_t len = browser.len;
    int64_t result;
    return hold(world, page, browser) &&
           tm_check_page_call_now(world, page, TM_FN_adopt, &len, 1, browser,
                                  &result, NULL);
}

// Every stored writer whose lock is free; its own last one first, since a browser's only
// tab finds no other.
static bool writers_adopt(tm_check_world *world, tm_check_page *page) {
    tm_span *writers;
    size_t count;
    if (tm_check_storage_writers(page->storage, &world->arena, &writers, &count) !=
        TM_OK) {
        return tm_check_verdict_fail(world->verdict, "out of memory");
    }
    for (int others = 0; others < 2; others++) {
        for (size_t i = 0; i < count; i++) {
            if (tm_span_equal(writers[i], page->own) != (others == 0)) continue;
            if (is_held(world, page->storage, writers[i])) continue;
            if (!adopt(world, page, writers[i])) return false;
        }
    }
    return true;
}

// The browserId that is drawn if no writer is free; null = whatever the engine draws.
static tm_span browser_draw(tm_check_page *page, tm_span browser) {
    if (browser.ptr == NULL) browser = page->storage->kept_browser;
    if (browser.ptr == NULL) browser = page->browser;
    page->storage->kept_browser = nothing;
    page->browser = nothing;
    return browser;
}

bool tm_check_page_start(tm_check_world *world, tm_check_page *page,
                         tm_span browser) {
    if (page->running) {
        return tm_check_verdict_fail(world->verdict, "malformed: %.*s runs already",
                                     (int)page->id.len, (const char *)page->id.ptr);
    }
    tm_span fresh = browser_draw(page, browser);
    uint64_t args[] = {fresh.len, 1};
    int64_t result;
    if (!engine_make(world, page)) return false;
    page->running = true;
    return records_load(world, page, TM_PLACE_LOCAL) &&
           records_load(world, page, TM_PLACE_DISK) && writers_adopt(world, page) &&
           tm_check_page_call_now(world, page, TM_FN_start, args, 2, fresh, &result,
                                  NULL) &&
           tm_check_page_pump(world, page) && tm_check_traffic_attach(world, page);
}

bool tm_check_page_die(tm_check_world *world, tm_check_page *page) {
    uint64_t engine = (uint32_t)page->engine;
    int64_t result;
    tm_check_page_status status; // for its browserId: a fork may have renamed it
    if (!tm_check_page_status_get(world, page, &status)) return false;
    tm_check_traffic_detach(world, page);
    page->engine = 0;
    page->running = false;
    page->held = NULL;
    return call_do(world, TM_FN_free, &engine, nothing, &result, NULL);
}

// ---- events -------------------------------------------------------------------------

static uint32_t le32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static bool keep_do(tm_check_world *world, tm_check_page *page, tm_span event) {
    size_t key_len = event.len < 8 ? 0 : le32(event.ptr);
    size_t value_len = event.len < 8 ? 0 : le32(event.ptr + 4);
    if (event.len < 8 || key_len + value_len != event.len - 8) {
        return tm_check_verdict_fail(world->verdict,
                                     "a KEEP event of a wrong length");
    }
    tm_span key = {event.ptr + 8, key_len},
            value = {event.ptr + 8 + key_len, value_len};
    uint64_t args[] = {key_len, tm_check_storage_keep(page->storage, key, value)};
    int64_t result;
    return tm_check_page_call(world, page, TM_FN_kept, args, 2, key, &result, NULL);
}

static bool commit_do(tm_check_world *world, tm_check_page *page,
                      const tm_node *event) {
    const tm_node *transaction = tm_node_get(event, "value");
    uint64_t ticket, cursor;
    if (!tm_node_u64(tm_node_get(event, "ticket"), &ticket) ||
        !tm_node_is(transaction, TM_JSON_OBJECT)) {
        return tm_check_verdict_fail(world->verdict,
                                     "a COMMIT event without its members");
    }
    tm_committed outcome =
        tm_check_storage_commit(page->storage, transaction, &cursor);
    uint64_t args[] = {ticket, outcome, cursor};
    int64_t result;
    return tm_check_page_call_now(world, page, TM_FN_committed, args, 3, nothing,
                                  &result, NULL);
}

static bool reload_do(tm_check_world *world, tm_check_page *page) {
    int64_t result;
    return records_load(world, page, TM_PLACE_DISK) &&
           tm_check_page_call_now(world, page, TM_FN_reloaded, NULL, 0, nothing,
                                  &result, NULL);
}

static bool event_do(tm_check_world *world, tm_check_page *page, tm_event_kind kind,
                     const tm_node *event) {
    tm_span key = tm_node_text(tm_node_get(event, "key"));
    const tm_node *value = tm_node_get(event, "value");
    switch (kind) {
    case TM_EVENT_FORGET:
        tm_check_storage_forget(page->storage, key);
        return true;
    case TM_EVENT_COMMIT:
        return commit_do(world, page, event);
    case TM_EVENT_WRITER:
        page->own = tm_check_world_keep(world, key);
        return hold(world, page, key);
    case TM_EVENT_RELOAD:
        return reload_do(world, page);
    case TM_EVENT_DIVERGED:
        return tm_check_verdict_fail(
            world->verdict,
            "%.*s found its state to differ from the server's: %.*s",
            (int)page->id.len, (const char *)page->id.ptr,
            value == NULL ? 0 : (int)value->raw.len,
            value == NULL ? "" : (const char *)value->raw.ptr);
    default:
        return true; // for people to see; the steps look for themselves
    }
}

// The event must be copied: answering it is another call.
static bool event_take(tm_check_world *world, tm_check_page *page,
                       tm_event_kind kind, tm_span out) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_span event;
    const tm_node *root = NULL;
    bool done;
    if (tm_arena_copy(&arena, out, &event) != TM_OK) {
        done = tm_check_verdict_fail(world->verdict, "out of memory");
    } else if (kind == TM_EVENT_KEEP) {
        done = keep_do(world, page, event);
    } else if (tm_tree_read(event, &arena, &root, NULL) != TM_OK) {
        done = tm_check_verdict_fail(
            world->verdict, "event %d is not JSON: %.*s", (int)kind,
            (int)(event.len > 200 ? 200 : event.len), (const char *)event.ptr);
    } else {
        done = event_do(world, page, kind, root);
    }
    tm_arena_deinit(&arena);
    return done;
}

bool tm_check_page_pump(tm_check_world *world, tm_check_page *page) {
    for (unsigned events = 0; events < EVENTS_MAX; events++) {
        int64_t kind;
        tm_span out;
        if (!tm_check_page_call(world, page, TM_FN_event, NULL, 0, nothing, &kind,
                                &out)) {
            return false;
        }
        if (kind == TM_EVENT_NONE) return true;
        if (!event_take(world, page, (tm_event_kind)kind, out)) return false;
    }
    return tm_check_verdict_fail(world->verdict, "the engine's events do not end");
}

// ---- editing ------------------------------------------------------------------------

static const char *written_word(int64_t status, int64_t written) {
    if (status == TM_E_GONE) return "gone";
    return written == TM_WRITTEN_OK ? "ok" : "volatile";
}

bool tm_check_page_edit(tm_check_world *world, tm_check_page *page, tm_span edit,
                        tm_span result) {
    uint64_t len = edit.len;
    int64_t status, written = TM_WRITTEN_GONE;
    tm_span out;
    if (!tm_check_page_call_now(world, page, TM_FN_edit, &len, 1, edit, &status,
                                &out)) {
        return false;
    }
    if (status < 0 && status != TM_E_GONE) {
        return tm_check_verdict_fail(world->verdict, "the edit was refused: %.*s",
                                     (int)(out.len > 200 ? 200 : out.len),
                                     (const char *)out.ptr);
    }
    if (!tm_check_page_pump(world, page)) return false;
    if (status == TM_OK && !tm_check_page_call(world, page, TM_FN_written, NULL, 0,
                                               nothing, &written, NULL)) {
        return false;
    }
    return result.ptr == NULL ||
           tm_check_verdict_compare(world->verdict, result,
                                    tm_text(written_word(status, written)),
                                    "result");
}

// ---- looking ------------------------------------------------------------------------

bool tm_check_page_status_get(tm_check_world *world, tm_check_page *page,
                              tm_check_page_status *status) {
    int64_t result;
    tm_span out;
    if (!tm_check_page_call_now(world, page, TM_FN_status, NULL, 0, nothing,
                                &result, &out)) {
        return false;
    }
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    bool read = tm_tree_read(out, &arena, &root, NULL) == TM_OK &&
                tm_node_u64(tm_node_get(root, "pending"), &status->pending) &&
                tm_node_u64(tm_node_get(root, "dead"), &status->dead) &&
                tm_node_u64(tm_node_get(root, "cursor"), &status->cursor);
    tm_span own = tm_node_text(tm_node_get(root, "browserId"));
    if (own.len > 0 && !tm_span_equal(own, page->own)) {
        page->own = tm_check_world_keep(world, own);
    }
    if (!read) {
        (void)tm_check_verdict_fail(
            world->verdict, "a status that is not understood: %.*s",
            (int)(out.len > 200 ? 200 : out.len), (const char *)out.ptr);
    }
    tm_arena_deinit(&arena);
    return read;
}

static bool item_add(tm_check_world *world, tm_check_page *page, tm_span id,
                     tm_check_shown *shown) {
    uint64_t len = id.len;
    int64_t result;
    tm_span out, text;
    const tm_node *item = NULL;
    if (!tm_check_page_call_now(world, page, TM_FN_item, &len, 1, id, &result,
                                &out)) {
        return false;
    }
    if (tm_arena_copy(shown->arena, out, &text) != TM_OK ||
        tm_tree_read(text, shown->arena, &item, NULL) != TM_OK) {
        return tm_check_verdict_fail(
            world->verdict, "item \"%.*s\" is in the order, but is not shown",
            (int)id.len, (const char *)id.ptr);
    }
    tm_check_shown_engine(shown, id, item);
    return true;
}

static bool shown_read(tm_check_world *world, tm_check_page *page, tm_arena *arena,
                       tm_buf *state, tm_buf *order) {
    int64_t result;
    tm_span out, text, sort;
    const tm_node *ids = NULL;
    tm_check_shown shown = {.arena = arena};
    if (!tm_check_page_call_now(world, page, TM_FN_order, NULL, 0, nothing, &result,
                                &out)) {
        return false;
    }
    if (tm_arena_copy(arena, out, &text) != TM_OK ||
        tm_tree_read(text, arena, &ids, NULL) != TM_OK ||
        !tm_node_is(ids, TM_JSON_ARRAY)) {
        return tm_check_verdict_fail(world->verdict, "an order that is no array");
    }
    for (const tm_node *id = ids->first; id != NULL; id = id->next) {
        if (!item_add(world, page, id->text, &shown)) return false;
    }
    if (!tm_check_page_call_now(world, page, TM_FN_sort, NULL, 0, nothing, &result,
                                &out)) {
        return false;
    }
    if (tm_arena_copy(arena, out, &sort) != TM_OK ||
        tm_check_shown_write(&shown, sort, state) != TM_OK ||
        tm_check_ids_case(ids, order) != TM_OK) {
        return tm_check_verdict_fail(world->verdict, "out of memory");
    }
    return true;
}

bool tm_check_page_shown(tm_check_world *world, tm_check_page *page, tm_buf *state,
                         tm_buf *order) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    bool read = shown_read(world, page, &arena, state, order);
    tm_arena_deinit(&arena);
    return read;
}

bool tm_check_page_confirmed(tm_check_world *world, tm_check_page *page,
                             tm_buf *bytes) {
    int64_t result;
    tm_span out;
    if (!tm_check_page_call(world, page, TM_FN_confirmed, NULL, 0, nothing, &result,
                            &out)) {
        return false;
    }
    tm_buf_put(bytes, out);
    return bytes->status == TM_OK ||
           tm_check_verdict_fail(world->verdict, "out of memory");
}
