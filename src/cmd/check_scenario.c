// check_scenario.c - see check_scenario.h and check_world.h.
#include "cmd/check_scenario.h"

#include "cmd/check_orders.h"
#include "cmd/check_world.h"
#include "cmd/host.h"

#define HOUR_MS 3600000u

static const tm_span nothing = {NULL, 0};

// ---- steps --------------------------------------------------------------------------

static tm_span text_of(const tm_node *step, const char *name) {
    return tm_node_text(tm_node_get(step, name));
}

#define PAGE(page) (int)(page)->id.len, (const char *)(page)->id.ptr

static bool malformed(tm_check_world *world, const tm_check_page *page,
                      const char *why) {
    return tm_check_verdict_fail(world->verdict, "malformed: %.*s %s", PAGE(page),
                                 why);
}

static bool edit_do(tm_check_world *world, const tm_node *step,
                    tm_check_page *page) {
    uint64_t times = 1;
    tm_span result = text_of(step, "result");
    if (!page->running) return malformed(world, page, "does not run");
    if (result.ptr == NULL) result = tm_text("ok");
    (void)tm_node_u64(tm_node_get(step, "times"), &times);
    tm_span edit = tm_node_get(step, "op")->raw;
    for (uint64_t i = 0; i < times; i++) {
        if (!tm_check_page_edit(world, page, edit, result)) return false;
    }
    return true;
}

static bool push_do(tm_check_world *world, const tm_node *step,
                    tm_check_page *page) {
    static const struct {
        const char *word;
        tm_check_push_fault fault;
        bool server_crash;
    } faults[] = {
        {"requestLost", TM_CHECK_PUSH_REQUEST_LOST, false},
        {"crashBeforeCommit", TM_CHECK_PUSH_REQUEST_LOST, true},
        {"responseLost", TM_CHECK_PUSH_RESPONSE_LOST, false},
        {"crashAfterCommit", TM_CHECK_PUSH_RESPONSE_LOST, true},
        {"duplicated", TM_CHECK_PUSH_DUPLICATED, false},
        {"clientCrashBeforeAck", TM_CHECK_PUSH_CLIENT_CRASH, false},
    };
    tm_check_push push = {.reject = tm_node_get(step, "reject"),
                          .edits = tm_node_get(step, "editsInFlight")};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (!tm_node_says(tm_node_get(step, "fault"), faults[i].word)) continue;
        push.fault = faults[i].fault;
        push.server_crash = faults[i].server_crash;
    }
    push.bounded = tm_node_u64(tm_node_get(step, "acceptFirst"), &push.accept);
    return tm_check_traffic_push(world, page, &push);
}

static bool pull_do(tm_check_world *world, const tm_node *step,
                    tm_check_page *page) {
    const tm_node *fault = tm_node_get(step, "fault");
    return tm_check_traffic_pull(world, page,
                                 tm_node_says(fault, "responseLost")
                                     ? TM_CHECK_PULL_RESPONSE_LOST
                                 : tm_node_says(fault, "clientCrashBeforePersist")
                                     ? TM_CHECK_PULL_CLIENT_CRASH
                                     : TM_CHECK_PULL_FINE);
}

static bool sync_do(tm_check_world *world, tm_check_page *page) {
    tm_check_push push = {0};
    return tm_check_traffic_push(world, page, &push) &&
           tm_check_traffic_pull(world, page, TM_CHECK_PULL_FINE);
}

static bool sync_all_do(tm_check_world *world) {
    for (unsigned round = 0; round < 3; round++) {
        for (tm_check_page *page = world->pages; page != NULL; page = page->next) {
            if (page->running && !sync_do(world, page)) return false;
        }
    }
    return true;
}

static bool refresh_do(tm_check_world *world, tm_check_page *page) {
    return (!page->running || tm_check_page_die(world, page)) &&
           tm_check_page_start(world, page, nothing) &&
           tm_check_traffic_pull(world, page, TM_CHECK_PULL_FINE) &&
           sync_do(world, page);
}

static bool wipe_do(tm_check_world *world, const tm_node *step,
                    tm_check_page *page) {
    const tm_node *keep = tm_node_get(step, "keep");
    if (page->running) return malformed(world, page, "runs, its storage is in use");
    tm_check_storage_erase(page->storage);
    bool kept = keep != NULL && keep->count > 0;
    page->storage->kept_browser = kept ? page->own : nothing;
    return true;
}

static bool clone_do(tm_check_world *world, const tm_node *step) {
    tm_check_page *from = tm_check_page_find(world, text_of(step, "from"));
    tm_span id = text_of(step, "to");
    tm_check_page *to = tm_check_page_add(world, id, id);
    if (to == NULL) return false;
    to->clock_offset = from->clock_offset;
    to->own = from->own;
    if (tm_check_storage_copy(to->storage, from->storage) != TM_OK) {
        return tm_check_verdict_fail(world->verdict, "out of memory");
    }
    return tm_check_page_start(world, to, nothing);
}

static bool lose_do(tm_check_world *world, const tm_node *step,
                    tm_check_page *page) {
    uint64_t nth = 0;
    (void)tm_node_u64(tm_node_get(step, "nth"), &nth);
    if (page->running) return malformed(world, page, "runs, its storage is in use");
    return tm_check_storage_lose(page->storage, nth) ||
           malformed(world, page, "has fewer stored queue entries");
}

static bool start_do(tm_check_world *world, const tm_node *step,
                     tm_check_page *page) {
    return tm_check_page_start(world, page, text_of(step, "browserId"));
}

static bool crash_do(tm_check_world *world, tm_check_page *page) {
    return page->running ? tm_check_page_die(world, page)
                         : malformed(world, page, "does not run");
}

static bool step_do(tm_check_world *world, const tm_node *step, tm_check_do what) {
    const tm_node *at = tm_node_get(step, "at");
    tm_check_page *page = at == NULL ? NULL : tm_check_page_find(world, at->text);
    uint64_t number = 0;
    switch (what) {
    case TM_CHECK_DO_EDIT:
        return edit_do(world, step, page);
    case TM_CHECK_DO_PUSH:
        return push_do(world, step, page);
    case TM_CHECK_DO_PULL:
        return pull_do(world, step, page);
    case TM_CHECK_DO_SYNC:
        return sync_do(world, page);
    case TM_CHECK_DO_SYNC_ALL:
        return sync_all_do(world);
    case TM_CHECK_DO_REFRESH:
        return refresh_do(world, page);
    case TM_CHECK_DO_CRASH:
        return crash_do(world, page);
    case TM_CHECK_DO_START:
        return start_do(world, step, page);
    case TM_CHECK_DO_OFFLINE:
        return tm_check_traffic_offline(world, page);
    case TM_CHECK_DO_ONLINE:
        return tm_check_traffic_online(world, page);
    case TM_CHECK_DO_ADVANCE:
        (void)tm_node_u64(tm_node_get(step, "ms"), &number);
        return tm_check_world_advance(world, number);
    case TM_CHECK_DO_CLOCK:
        return tm_node_i64(tm_node_get(step, "offsetMs"), &page->clock_offset);
    case TM_CHECK_DO_SERVER_CLOCK:
        return tm_node_i64(tm_node_get(step, "offsetMs"), &world->server_offset);
    case TM_CHECK_DO_WS_DROP:
        (void)tm_node_u64(tm_node_get(step, "count"), &number);
        page->drop += number;
        return true;
    case TM_CHECK_DO_REPLAY:
        (void)tm_node_u64(tm_node_get(step, "nth"), &number);
        return tm_check_traffic_replay(world, page, number);
    case TM_CHECK_DO_WIPE:
        return wipe_do(world, step, page);
    case TM_CHECK_DO_CLONE:
        return clone_do(world, step);
    case TM_CHECK_DO_QUOTA:
        page->storage->full = tm_node_get(step, "full")->truth;
        return true;
    case TM_CHECK_DO_LOSE_QUEUED:
        return lose_do(world, step, page);
    case TM_CHECK_DO_COMPACT:
        return tm_check_server_compact(&world->server,
                                       tm_check_world_server_now(world)) &&
               tm_check_traffic_deliver(world);
    case TM_CHECK_DO_BACKUP:
        return tm_check_server_backup(&world->server);
    case TM_CHECK_DO_RESTORE:
        return tm_check_traffic_restart(world, true);
    case TM_CHECK_DO_EXPECT:
        return tm_check_expect_step(world, step, page);
    case TM_CHECK_DO_COUNT:
        break;
    }
    return tm_check_verdict_fail(world->verdict, "malformed: an unknown step");
}

// ---- before the first step ----------------------------------------------------------

// One operation of the writer `init`; `body` is what stands between its id and its stamp.
static void initial_op(tm_buf *out, const tm_check_world *world, uint64_t version,
                       const tm_buf *body) {
    uint64_t now = tm_check_world_server_now(world).wall_ms;
    tm_buf_text(out, version % TM_PUSH_OPS_MAX == 1 ? "" : ",");
    tm_buf_text(out, "{\"id\":\"init/");
    tm_buf_u64(out, version);
    tm_buf_text(out, "\",");
    tm_buf_put(out, tm_buf_span(body));
    tm_buf_text(out, ",\"timestamp\":");
    tm_buf_u64(out, now);
    tm_buf_text(out, ",\"logical\":");
    tm_buf_u64(out, (version - 1) & 0xffff);
    tm_buf_text(out, ",\"browserId\":\"init\",\"version\":");
    tm_buf_u64(out, version);
    tm_buf_byte(out, '}');
}

static void initial_add(tm_buf *body, const tm_node *item) {
    const char *comma = "";
    tm_buf_text(body, "\"type\":\"ADD\",\"instanceId\":");
    tm_buf_json(body, item->key);
    tm_buf_text(body, ",\"imageId\":");
    tm_buf_json(body, tm_node_get(item, "imageId")->text);
    tm_buf_text(body, ",\"data\":{");
    for (const tm_node *field = item->first; field != NULL; field = field->next) {
        if (tm_span_equal_text(field->key, "imageId")) continue;
        if (field->kind != TM_JSON_STRING) continue;
        tm_buf_text(body, comma);
        tm_buf_json(body, field->key);
        tm_buf_byte(body, ':');
        tm_buf_json(body, field->text);
        comma = ",";
    }
    tm_buf_byte(body, '}');
}

static bool initial_send(tm_check_world *world, const tm_buf *ops) {
    tm_buf body = {.alloc = &tm_host_alloc};
    tm_check_reply reply = {.body = {.alloc = &tm_host_alloc}};
    tm_buf_text(&body, "{\"user\":");
    tm_buf_json(&body, tm_check_server_key.user);
    tm_buf_text(&body, ",\"operations\":[");
    tm_buf_put(&body, tm_buf_span(ops));
    tm_buf_text(&body, "]}");
    bool done =
        tm_check_server_request(&world->server, tm_check_world_server_now(world),
                                TM_POST, nothing, tm_buf_span(&body), &reply);
    if (done && reply.status != 200) {
        done = tm_check_verdict_fail(
            world->verdict, "`initial` was refused: %.*s",
            (int)(reply.body.len > 300 ? 300 : reply.body.len),
            (const char *)reply.body.ptr);
    }
    tm_buf_deinit(&body);
    tm_buf_deinit(&reply.body);
    return done;
}

// The operations of `initial`, a request's worth at a time.
static bool initial_push(tm_check_world *world, const tm_node *initial) {
    tm_buf ops = {.alloc = &tm_host_alloc}, body = {.alloc = &tm_host_alloc};
    const tm_node *item = tm_node_get(initial, "items")->first;
    const tm_node *sort = tm_node_get(initial, "sort");
    uint64_t version = 0;
    bool done = true;
    while (done && (item != NULL || sort != NULL)) {
        tm_buf_reset(&body);
        if (item != NULL) {
            initial_add(&body, item);
            item = item->next;
        } else {
            tm_buf_text(&body, "\"type\":\"SORT_CHANGE\",\"sort\":");
            tm_buf_json(&body, sort->text);
            sort = NULL;
        }
        initial_op(&ops, world, ++version, &body);
        if (version % TM_PUSH_OPS_MAX == 0 || (item == NULL && sort == NULL)) {
            done = initial_send(world, &ops);
            tm_buf_reset(&ops);
        }
    }
    tm_buf_deinit(&ops);
    tm_buf_deinit(&body);
    const tm_list *list;
    return done &&
           tm_check_server_list(&world->server, tm_check_world_server_now(world),
                                &list, &world->initial_ops) &&
           tm_check_verdict_number(world->verdict, version, world->initial_ops,
                                   "operations of `initial` in the log");
}

static bool replicas_add(tm_check_world *world, const tm_node *list) {
    for (const tm_node *one = list->first; one != NULL; one = one->next) {
        const tm_node *storage = tm_node_get(one, "storage");
        const tm_node *online = tm_node_get(one, "online");
        const tm_node *ws = tm_node_get(one, "ws");
        tm_span id = text_of(one, "id");
        tm_check_page *page =
            tm_check_page_add(world, id, storage == NULL ? id : storage->text);
        if (page == NULL) return false;
        page->browser = text_of(one, "browserId");
        page->online = online == NULL || online->truth;
        page->ws = ws != NULL && ws->truth;
        (void)tm_node_i64(tm_node_get(one, "clockOffset"), &page->clock_offset);
    }
    return true;
}

static bool replicas_start(tm_check_world *world, const tm_node *list, bool pull) {
    tm_check_page *page = world->pages;
    for (const tm_node *one = list->first; one != NULL;
         one = one->next, page = page->next) {
        const tm_node *started = tm_node_get(one, "started");
        if (started != NULL && !started->truth) continue;
        if (!tm_check_page_start(world, page, nothing)) return false;
        if (pull && !tm_check_traffic_pull(world, page, TM_CHECK_PULL_FINE))
            return false;
    }
    return true;
}

static bool world_begin(tm_check_world *world, const tm_node *one,
                        tm_check_place *place, bool traced) {
    const tm_node *initial = tm_node_get(one, "initial");
    const tm_node *replicas = tm_node_get(one, "replicas");
    uint64_t start = 0;
    (void)tm_node_u64(tm_node_get(one, "start"), &start);
    if (start < HOUR_MS || start > TM_MS_MAX) {
        return tm_check_verdict_fail(world->verdict,
                                     "malformed: `start` is no time in ms");
    }
    world->true_ms = start - HOUR_MS;
    return tm_check_server_open(&world->server, world->verdict, place,
                                &world->random, traced) &&
           (initial == NULL || initial_push(world, initial)) &&
           tm_check_world_advance(world, HOUR_MS) &&
           replicas_add(world, replicas) &&
           replicas_start(world, replicas, initial != NULL);
}

static void world_end(tm_check_world *world) {
    for (tm_check_page *page = world->pages; page != NULL; page = page->next) {
        tm_check_traffic_detach(world, page);
        if (page->engine == 0) continue;
        uint64_t engine = (uint32_t)page->engine;
        int64_t result;
        (void)!tm_check_call(world->door, TM_FN_free, &engine, nothing, &result,
                             NULL);
    }
    tm_check_server_close(&world->server);
    for (tm_check_storage *storage = world->storages; storage != NULL;
         storage = storage->next) {
        tm_check_storage_deinit(storage);
    }
    tm_arena_deinit(&world->arena);
}

tm_status tm_check_scenario(const tm_node *one, tm_check_door *door,
                            tm_check_place *place, bool traced,
                            tm_check_verdict *verdict) {
    tm_check_world world = {.verdict = verdict,
                            .door = door,
                            .random = tm_check_orders_seed(text_of(one, "name")),
                            .arena = {.alloc = &tm_host_alloc}};
    world.pages_last = &world.pages;
    bool fine = world_begin(&world, one, place, traced);
    const tm_node *step = tm_node_get(one, "steps")->first;
    for (; fine && step != NULL; step = step->next) {
        tm_check_do what = tm_check_do_find(tm_node_get(step, "do"));
        verdict->step++;
        verdict->word = tm_check_do_word(what);
        tm_check_trace(&world.server, "step", tm_text(verdict->word), step->raw);
        fine = step_do(&world, step, what);
    }
    if (fine) {
        verdict->step = -1;
        verdict->word = NULL;
        fine = tm_check_expect_ending(&world, tm_node_get(one, "expect"));
    }
    world_end(&world);
    return world.door_status;
}
