// check_traffic.c - see check_world.h: pushes and pulls.
//
// A page without a push channel speaks HTTP: a push is POSTs without `since`, so that it
// brings acks alone; a pull is GETs. A page with one has a connection: a push is SAVE
// frames, a pull is a SUBSCRIBE, and what others push comes by itself.
#include "cmd/check_wire.h"

#include "cmd/host.h"

static const tm_span nothing = {NULL, 0};

// ---- pushing ------------------------------------------------------------------------

static bool sent_remember(tm_check_world *world, tm_check_page *page,
                          tm_span bytes) {
    tm_check_sent *sent = tm_arena_get(&world->arena, sizeof *sent);
    if (sent == NULL) return tm_check_verdict_fail(world->verdict, "out of memory");
    *sent = (tm_check_sent){.bytes = bytes};
    *page->sent_last = sent;
    page->sent_last = &sent->next;
    return true;
}

// The ids of the operations that stand at the places the step names.
static bool refuse(tm_check_world *world, const tm_node *places,
                   const tm_node *ops) {
    tm_span *ids = tm_arena_get(&world->arena, places->count * sizeof *ids);
    size_t count = 0;
    if (ids == NULL) return tm_check_verdict_fail(world->verdict, "out of memory");
    for (const tm_node *place = places->first; place != NULL; place = place->next) {
        uint64_t nth = 0;
        const tm_node *op = ops == NULL ? NULL : ops->first;
        (void)tm_node_u64(place, &nth);
        for (uint64_t i = 1; i < nth && op != NULL; i++) {
            op = op->next;
        }
        if (op == NULL) continue;
        ids[count++] =
            tm_check_world_keep(world, tm_node_text(tm_node_get(op, "id")));
    }
    world->server.refused = ids;
    world->server.refused_count = count;
    return !world->verdict->failed;
}

// Puts the server into the mood that the step asks for. *count: operations it will decide.
static bool mood_set(tm_check_world *world, const tm_check_push *push,
                     tm_span request, bool first, uint64_t left, uint64_t *count) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    bool done = tm_tree_read(request, &arena, &root, NULL) == TM_OK;
    if (!done)
        (void)tm_check_verdict_fail(world->verdict, "a push that is not JSON");
    const tm_node *ops = tm_node_get(root, "operations");
    *count = ops == NULL ? 0 : ops->count;
    if (push->bounded) {
        if (*count > left) *count = left;
        tm_service_tune(world->server.service)->push_ops_max = (uint32_t)*count;
    }
    if (done && first && push->reject != NULL)
        done = refuse(world, push->reject, ops);
    tm_arena_deinit(&arena);
    return done;
}

static void mood_clear(tm_check_world *world) {
    world->server.refused_count = 0;
    if (world->server.service != NULL) {
        tm_service_tune(world->server.service)->push_ops_max = 0;
    }
}

static bool edits_make(tm_check_world *world, tm_check_page *page,
                       const tm_node *edits) {
    const tm_node *edit = edits == NULL ? NULL : edits->first;
    for (; edit != NULL; edit = edit->next) {
        if (!tm_check_page_edit(world, page, edit->raw, nothing)) return false;
    }
    return true;
}

// The request's way to the server, the server's fate, and what was edited meanwhile.
static bool request_carry(tm_check_world *world, tm_check_page *page,
                          const tm_check_push *push, bool first,
                          tm_check_exchange *one) {
    bool lost = push->fault == TM_CHECK_PUSH_REQUEST_LOST;
    if (!lost && !tm_check_wire_serve(world, page, one)) return false;
    if (!lost && first && push->fault == TM_CHECK_PUSH_DUPLICATED) {
        tm_check_exchange again = {.kind = one->kind,
                                   .bytes = one->bytes,
                                   .reply = {.body = {.alloc = &tm_host_alloc}}};
        bool done = tm_check_wire_serve(world, page, &again);
        tm_buf_deinit(&again.reply.body);
        if (!done) return false;
    }
    mood_clear(world);
    return !first || edits_make(world, page, push->edits);
}

// No answer comes: the page waits in vain, or is gone.
static bool answer_lose(tm_check_world *world, tm_check_page *page,
                        const tm_check_push *push, const tm_check_exchange *one) {
    if (push->fault == TM_CHECK_PUSH_CLIENT_CRASH) {
        return tm_check_page_die(world, page) && tm_check_traffic_deliver(world);
    }
    return tm_check_wire_answer(world, page, one, 0, nothing) &&
           tm_check_page_pump(world, page) && tm_check_traffic_deliver(world) &&
           (!push->server_crash || tm_check_traffic_restart(world, false));
}

// After a `retry`, and after an answer that is none of the service's usual ones, there is
// no sense in asking again at once. A fork or a gap ends the push too: the README says "a
// stop", and the next push sends what was renamed.
static bool may_go_on(const tm_check_reply *reply) {
    if (reply->status != 200) return reply->status == 400 || reply->status == 413;
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    bool on =
        tm_tree_read(tm_buf_span(&reply->body), &arena, &root, NULL) == TM_OK &&
        tm_node_get(root, "stop") == NULL;
    tm_arena_deinit(&arena);
    return on;
}

// What the engine wants to say. A page on the push channel may first ask for what it found
// missing; one without learns of that here too, but pulls only when a step says so.
static bool save_take(tm_check_world *world, tm_check_page *page,
                      tm_check_exchange *one) {
    if (!tm_check_wire_ask(world, page, TM_ASK_PUSH)) return false;
    for (unsigned rounds = 0; rounds < TM_CHECK_ROUNDS_MAX; rounds++) {
        bool done = true;
        if (!tm_check_wire_take(world, page, one)) return false;
        switch (one->kind) {
        case TM_SEND_NONE:
        case TM_SEND_SAVE:
            return true;
        case TM_SEND_PULL:
            done = tm_check_wire_answer(world, page, one, 0, nothing);
            break;
        case TM_SEND_FRAME:
            done = tm_check_wire_frame(world, page, one);
            break;
        }
        if (!done || !tm_check_page_pump(world, page)) return false;
    }
    return tm_check_wire_endless(world, "what a page says before it pushes");
}

// One request. *more: there may be another.
static bool push_one(tm_check_world *world, tm_check_page *page,
                     const tm_check_push *push, bool first, uint64_t *left,
                     tm_check_exchange *one, bool *more) {
    uint64_t count = 0;
    *more = false;
    if (!save_take(world, page, one)) return false;
    if (one->kind == TM_SEND_NONE) return true;
    if (!sent_remember(world, page, one->bytes) ||
        !mood_set(world, push, one->bytes, first, *left, &count)) {
        return false;
    }
    tm_check_push fate = *push;
    if (push->bounded && count == 0) fate.fault = TM_CHECK_PUSH_REQUEST_LOST;
    *left -= push->bounded ? count : 0;
    if (!request_carry(world, page, &fate, first, one)) return false;
    if (fate.fault != TM_CHECK_PUSH_FINE &&
        fate.fault != TM_CHECK_PUSH_DUPLICATED) {
        return answer_lose(world, page, &fate, one);
    }
    *more = may_go_on(&one->reply) && !(push->bounded && *left == 0);
    return tm_check_wire_reply(world, page, one) &&
           tm_check_page_pump(world, page) && tm_check_wire_flush(world, page) &&
           tm_check_traffic_deliver(world);
}

static bool can_talk(tm_check_world *world, const tm_check_page *page) {
    if (!page->running) {
        (void)tm_check_verdict_fail(world->verdict, "malformed: %.*s does not run",
                                    (int)page->id.len, (const char *)page->id.ptr);
    }
    return page->running && page->online;
}

bool tm_check_traffic_push(tm_check_world *world, tm_check_page *page,
                           const tm_check_push *push) {
    if (!can_talk(world, page)) return !world->verdict->failed;
    tm_check_exchange one = {.reply = {.body = {.alloc = &tm_host_alloc}}};
    uint64_t left = push->accept;
    bool more = true, done = true;
    unsigned rounds = 0;
    for (; done && more && rounds < TM_CHECK_ROUNDS_MAX; rounds++) {
        done = push_one(world, page, push, rounds == 0, &left, &one, &more);
    }
    mood_clear(world);
    tm_buf_deinit(&one.reply.body);
    if (done && rounds == TM_CHECK_ROUNDS_MAX)
        return tm_check_wire_endless(world, "the push");
    return done;
}

// ---- pulling ------------------------------------------------------------------------

// On a connection the answer is frames, any number of them.
static bool subscribe_carry(tm_check_world *world, tm_check_page *page,
                            tm_check_pull_fault fault,
                            const tm_check_exchange *one) {
    if (!tm_check_server_feed(&world->server, tm_check_world_server_now(world),
                              page->conn, one->bytes)) {
        return false;
    }
    if (fault ==
        TM_CHECK_PULL_RESPONSE_LOST) { // on a live connection nothing gets lost
        tm_check_wire_lose(world, page);
        tm_check_traffic_detach(world, page);
        return tm_check_traffic_attach(world, page);
    }
    if (!tm_check_wire_hear(world, page)) return false;
    if (fault == TM_CHECK_PULL_CLIENT_CRASH) return tm_check_page_die(world, page);
    return tm_check_page_pump(world, page);
}

static bool get_carry(tm_check_world *world, tm_check_page *page,
                      tm_check_pull_fault fault, tm_check_exchange *one) {
    if (!tm_check_wire_serve(world, page, one)) return false;
    if (fault == TM_CHECK_PULL_RESPONSE_LOST) {
        return tm_check_wire_answer(world, page, one, 0, nothing) &&
               tm_check_page_pump(world, page);
    }
    if (!tm_check_wire_reply(world, page, one)) return false;
    // What it learned is in events that nobody takes any more: nothing was stored.
    if (fault == TM_CHECK_PULL_CLIENT_CRASH) return tm_check_page_die(world, page);
    return tm_check_page_pump(world, page);
}

static bool pull_one(tm_check_world *world, tm_check_page *page,
                     tm_check_pull_fault fault, tm_check_exchange *one,
                     bool *more) {
    *more = false;
    if (!tm_check_wire_take(world, page, one)) return false;
    if (one->kind == TM_SEND_NONE) return true;
    if (one->kind == TM_SEND_SAVE) {
        return tm_check_verdict_fail(world->verdict, "a pull made the engine push");
    }
    *more = fault == TM_CHECK_PULL_FINE;
    return page->conn != NULL ? subscribe_carry(world, page, fault, one)
                              : get_carry(world, page, fault, one);
}

bool tm_check_traffic_pull(tm_check_world *world, tm_check_page *page,
                           tm_check_pull_fault fault) {
    if (!can_talk(world, page)) return !world->verdict->failed;
    if (!tm_check_wire_ask(world, page, TM_ASK_PULL)) return false;
    tm_check_exchange one = {.reply = {.body = {.alloc = &tm_host_alloc}}};
    bool more = true, done = true;
    unsigned rounds = 0;
    for (; done && more && rounds < TM_CHECK_ROUNDS_MAX; rounds++) {
        done = pull_one(world, page, fault, &one, &more);
    }
    tm_buf_deinit(&one.reply.body);
    if (done && rounds == TM_CHECK_ROUNDS_MAX)
        return tm_check_wire_endless(world, "the pull");
    return done && tm_check_traffic_deliver(world);
}
