// check_traffic.c - see check_world.h: the network of a scenario, which takes no time and
// loses nothing unless a step says so.
//
// A page without a push channel speaks HTTP: a push is POSTs without `since`, so that it
// brings acks alone; a pull is GETs. A page with one has a connection: a push is SAVE
// frames, a pull is a SUBSCRIBE, and what others push comes by itself.
#include "cmd/check_world.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/host.h"

// An exchange that does not end must not hang the check.
#define ROUNDS_MAX 2000u

static const tm_span nothing = {NULL, 0};

typedef struct exchange {
    tm_send_kind kind;
    uint64_t ref;
    tm_span bytes;        // lives as long as the case
    tm_check_reply reply; // status 200 for a SAVED frame
} exchange;

static bool never_ends(tm_check_world *world, const char *what) {
    return tm_check_verdict_fail(world->verdict, "%s does not end", what);
}

// ---- calls --------------------------------------------------------------------------

static bool ask(tm_check_world *world, tm_check_page *page, tm_ask what) {
    uint64_t asks = what;
    int64_t result;
    return tm_check_page_call_now(world, page, TM_FN_ask, &asks, 1, nothing,
                                  &result, NULL) &&
           tm_check_page_pump(world, page);
}

static bool take(tm_check_world *world, tm_check_page *page, exchange *one) {
    int64_t kind, ref;
    tm_span out;
    if (!tm_check_page_call_now(world, page, TM_FN_take, NULL, 0, nothing, &kind,
                                &out)) {
        return false;
    }
    one->kind = (tm_send_kind)kind;
    if (one->kind == TM_SEND_NONE) return true;
    one->bytes = tm_check_world_keep(world, out);
    if (!tm_check_page_call(world, page, TM_FN_ref, NULL, 0, nothing, &ref, NULL)) {
        return false;
    }
    one->ref = (uint64_t)ref;
    tm_check_trace(&world->server, one->kind == TM_SEND_PULL ? "pulls" : "sends",
                   page->id, one->bytes);
    return !world->verdict->failed;
}

// The engine hears the answer, or (status 0) that none came.
static bool answer(tm_check_world *world, tm_check_page *page, const exchange *one,
                   uint32_t status, tm_span body) {
    uint64_t args[] = {one->ref, status, body.len};
    int64_t result;
    tm_check_trace(&world->server, status == 0 ? "no reply" : "reply", page->id,
                   body);
    return tm_check_page_call_now(world, page, TM_FN_answer, args, 3, body, &result,
                                  NULL);
}

static bool feed(tm_check_world *world, tm_check_page *page, tm_span frame) {
    uint64_t len = frame.len;
    int64_t result;
    tm_check_trace(&world->server, "hears", page->id, frame);
    return tm_check_page_call_now(world, page, TM_FN_feed, &len, 1, frame, &result,
                                  NULL);
}

static bool channel(tm_check_world *world, tm_check_page *page, tm_channel kind) {
    uint64_t arg = kind;
    int64_t result;
    return tm_check_page_call_now(world, page, TM_FN_channel, &arg, 1, nothing,
                                  &result, NULL) &&
           tm_check_page_pump(world, page);
}

// ---- frames -------------------------------------------------------------------------

static tm_span parcel_span(const tm_check_parcel *parcel) {
    return (tm_span){parcel->bytes, parcel->len};
}

// The `type` of a frame, copied into `word`.
static void frame_type(tm_span frame, char word[24]) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    tm_span type = nothing;
    if (tm_tree_read(frame, &arena, &root, NULL) == TM_OK) {
        type = tm_node_text(tm_node_get(root, "type"));
    }
    (void)snprintf(word, 24, "%.*s", (int)type.len,
                   type.ptr == NULL ? "" : (const char *)type.ptr);
    tm_arena_deinit(&arena);
}

// An OPERATIONS frame without its first `lost` operations, as if each had come alone.
static void frame_cut(const tm_node *root, uint64_t lost, tm_buf *out) {
    tm_buf_byte(out, '{');
    for (const tm_node *part = root->first; part != NULL; part = part->next) {
        uint64_t from;
        if (part != root->first) tm_buf_byte(out, ',');
        tm_buf_json(out, part->key);
        tm_buf_byte(out, ':');
        if (tm_span_equal_text(part->key, "from") && tm_node_u64(part, &from)) {
            tm_buf_u64(out, from + lost);
        } else if (tm_span_equal_text(part->key, "operations")) {
            const tm_node *op = part->first;
            for (uint64_t i = 0; i < lost; i++) {
                op = op->next;
            }
            tm_buf_byte(out, '[');
            for (const char *comma = ""; op != NULL; op = op->next, comma = ",") {
                tm_buf_text(out, comma);
                tm_buf_put(out, op->raw);
            }
            tm_buf_byte(out, ']');
        } else {
            tm_buf_put(out, part->raw);
        }
    }
    tm_buf_byte(out, '}');
}

// Feeds what wsDrop leaves of a frame; *lost: nothing is left. Each operation counts as
// one message of the channel.
static bool frame_arrive(tm_check_world *world, tm_check_page *page,
                         tm_span frame) {
    if (page->drop == 0) return feed(world, page, frame);
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_buf rest = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    bool done = true;
    if (tm_tree_read(frame, &arena, &root, NULL) != TM_OK ||
        !tm_node_says(tm_node_get(root, "type"), "OPERATIONS")) {
        done = feed(world, page, frame);
    } else {
        const tm_node *ops = tm_node_get(root, "operations");
        uint64_t count = ops == NULL ? 0 : ops->count;
        uint64_t lost = page->drop < count ? page->drop : count;
        page->drop -= lost;
        if (lost < count) {
            frame_cut(root, lost, &rest);
            done = feed(world, page, tm_buf_span(&rest));
        }
    }
    tm_buf_deinit(&rest);
    tm_arena_deinit(&arena);
    return done;
}

// What the server has sent this page, as the answer to something it asked for: all of it
// arrives.
static bool parcels_feed(tm_check_world *world, tm_check_page *page) {
    tm_check_parcel *parcel;
    bool done = true;
    while (done &&
           (parcel = tm_check_server_parcel(&world->server, page)) != NULL) {
        done = feed(world, page, parcel_span(parcel));
        free(parcel);
    }
    return done;
}

static void parcels_lose(tm_check_world *world, const tm_check_page *page) {
    tm_check_parcel *parcel;
    while ((parcel = tm_check_server_parcel(&world->server, page)) != NULL) {
        tm_check_trace(&world->server, "misses", page->id, parcel_span(parcel));
        free(parcel);
    }
}

// The answer to a SAVE frame, taken from what is on its way to the page; what stands
// before it arrives first.
static bool saved_take(tm_check_world *world, tm_check_page *page,
                       tm_check_reply *reply) {
    tm_check_parcel *parcel;
    while ((parcel = tm_check_server_parcel(&world->server, page)) != NULL) {
        char type[24];
        bool done = true;
        frame_type(parcel_span(parcel), type);
        reply->done = strcmp(type, "SAVED") == 0 || strcmp(type, "ERROR") == 0;
        if (reply->done) {
            reply->status = 200;
            tm_buf_put(&reply->body, parcel_span(parcel));
        } else {
            done = frame_arrive(world, page, parcel_span(parcel));
        }
        free(parcel);
        if (!done) return false;
        if (reply->done) return true;
    }
    return tm_check_verdict_fail(world->verdict, "no SAVED came");
}

// ---- one exchange -------------------------------------------------------------------

static bool exchange_serve(tm_check_world *world, tm_check_page *page,
                           exchange *one) {
    tm_now now = tm_check_world_server_now(world);
    tm_buf_reset(&one->reply.body);
    one->reply.done = false;
    if (page->conn != NULL) {
        return tm_check_server_feed(&world->server, now, page->conn, one->bytes) &&
               saved_take(world, page, &one->reply);
    }
    bool pull = one->kind == TM_SEND_PULL;
    return tm_check_server_request(&world->server, now, pull ? TM_GET : TM_POST,
                                   pull ? one->bytes : nothing,
                                   pull ? nothing : one->bytes, &one->reply);
}

static bool exchange_answer(tm_check_world *world, tm_check_page *page,
                            const exchange *one) {
    tm_span body = tm_buf_span(&one->reply.body);
    if (page->conn != NULL) return feed(world, page, body);
    return answer(world, page, one, one->reply.status, body);
}

// A frame that is answered by frames, all of which arrive.
static bool frame_serve(tm_check_world *world, tm_check_page *page,
                        const exchange *one) {
    return tm_check_server_feed(&world->server, tm_check_world_server_now(world),
                                page->conn, one->bytes) &&
           parcels_feed(world, page);
}

// Whatever else the engine of a page on the push channel wants to say: it found a hole.
static bool page_flush(tm_check_world *world, tm_check_page *page) {
    for (unsigned rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        exchange one = {0};
        if (!page->running || page->conn == NULL) return true;
        if (!take(world, page, &one)) return false;
        if (one.kind == TM_SEND_NONE) return true;
        if (one.kind != TM_SEND_FRAME) {
            return tm_check_verdict_fail(world->verdict,
                                         "a page pushed what nobody asked it to");
        }
        if (!frame_serve(world, page, &one) || !tm_check_page_pump(world, page)) {
            return false;
        }
    }
    return never_ends(world, "what a page says on its push channel");
}

bool tm_check_traffic_deliver(tm_check_world *world) {
    tm_check_parcel *parcel;
    for (unsigned rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        parcel = tm_check_server_parcel(&world->server, NULL);
        if (parcel == NULL) return true;
        tm_check_page *page = parcel->peer;
        bool done = true;
        if (page != NULL && page->running && page->conn != NULL) {
            done = frame_arrive(world, page, parcel_span(parcel)) &&
                   tm_check_page_pump(world, page) && page_flush(world, page);
        }
        free(parcel);
        if (!done) return false;
    }
    return never_ends(world, "the push channel");
}

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
                          const tm_check_push *push, bool first, exchange *one) {
    bool lost = push->fault == TM_CHECK_PUSH_REQUEST_LOST;
    if (!lost && !exchange_serve(world, page, one)) return false;
    if (!lost && first && push->fault == TM_CHECK_PUSH_DUPLICATED) {
        exchange again = {.kind = one->kind,
                          .bytes = one->bytes,
                          .reply = {.body = {.alloc = &tm_host_alloc}}};
        bool done = exchange_serve(world, page, &again);
        tm_buf_deinit(&again.reply.body);
        if (!done) return false;
    }
    mood_clear(world);
    return !first || edits_make(world, page, push->edits);
}

// No answer comes: the page waits in vain, or is gone.
static bool answer_lose(tm_check_world *world, tm_check_page *page,
                        const tm_check_push *push, const exchange *one) {
    if (push->fault == TM_CHECK_PUSH_CLIENT_CRASH) {
        return tm_check_page_die(world, page) && tm_check_traffic_deliver(world);
    }
    return answer(world, page, one, 0, nothing) &&
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
static bool save_take(tm_check_world *world, tm_check_page *page, exchange *one) {
    if (!ask(world, page, TM_ASK_PUSH)) return false;
    for (unsigned rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        bool done = true;
        if (!take(world, page, one)) return false;
        switch (one->kind) {
        case TM_SEND_NONE:
        case TM_SEND_SAVE:
            return true;
        case TM_SEND_PULL:
            done = answer(world, page, one, 0, nothing);
            break;
        case TM_SEND_FRAME:
            done = frame_serve(world, page, one);
            break;
        }
        if (!done || !tm_check_page_pump(world, page)) return false;
    }
    return never_ends(world, "what a page says before it pushes");
}

// One request. *more: there may be another.
static bool push_one(tm_check_world *world, tm_check_page *page,
                     const tm_check_push *push, bool first, uint64_t *left,
                     exchange *one, bool *more) {
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
    return exchange_answer(world, page, one) && tm_check_page_pump(world, page) &&
           page_flush(world, page) && tm_check_traffic_deliver(world);
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
    exchange one = {.reply = {.body = {.alloc = &tm_host_alloc}}};
    uint64_t left = push->accept;
    bool more = true, done = true;
    unsigned rounds = 0;
    for (; done && more && rounds < ROUNDS_MAX; rounds++) {
        done = push_one(world, page, push, rounds == 0, &left, &one, &more);
    }
    mood_clear(world);
    tm_buf_deinit(&one.reply.body);
    if (done && rounds == ROUNDS_MAX) return never_ends(world, "the push");
    return done;
}

// ---- pulling ------------------------------------------------------------------------

// On a connection the answer is frames, any number of them.
static bool subscribe_carry(tm_check_world *world, tm_check_page *page,
                            tm_check_pull_fault fault, const exchange *one) {
    if (!tm_check_server_feed(&world->server, tm_check_world_server_now(world),
                              page->conn, one->bytes)) {
        return false;
    }
    if (fault ==
        TM_CHECK_PULL_RESPONSE_LOST) { // on a live connection nothing gets lost
        parcels_lose(world, page);
        tm_check_traffic_detach(world, page);
        return tm_check_traffic_attach(world, page);
    }
    if (!parcels_feed(world, page)) return false;
    if (fault == TM_CHECK_PULL_CLIENT_CRASH) return tm_check_page_die(world, page);
    return tm_check_page_pump(world, page);
}

static bool get_carry(tm_check_world *world, tm_check_page *page,
                      tm_check_pull_fault fault, exchange *one) {
    if (!exchange_serve(world, page, one)) return false;
    if (fault == TM_CHECK_PULL_RESPONSE_LOST) {
        return answer(world, page, one, 0, nothing) &&
               tm_check_page_pump(world, page);
    }
    if (!exchange_answer(world, page, one)) return false;
    // What it learned is in events that nobody takes any more: nothing was stored.
    if (fault == TM_CHECK_PULL_CLIENT_CRASH) return tm_check_page_die(world, page);
    return tm_check_page_pump(world, page);
}

static bool pull_one(tm_check_world *world, tm_check_page *page,
                     tm_check_pull_fault fault, exchange *one, bool *more) {
    *more = false;
    if (!take(world, page, one)) return false;
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
    if (!ask(world, page, TM_ASK_PULL)) return false;
    exchange one = {.reply = {.body = {.alloc = &tm_host_alloc}}};
    bool more = true, done = true;
    unsigned rounds = 0;
    for (; done && more && rounds < ROUNDS_MAX; rounds++) {
        done = pull_one(world, page, fault, &one, &more);
    }
    tm_buf_deinit(&one.reply.body);
    if (done && rounds == ROUNDS_MAX) return never_ends(world, "the pull");
    return done && tm_check_traffic_deliver(world);
}

// ---- connections --------------------------------------------------------------------

static bool connect_page(tm_check_world *world, tm_check_page *page) {
    return tm_check_server_connect(&world->server, tm_check_world_server_now(world),
                                   page, &page->conn) &&
           channel(world, page, TM_CHANNEL_PUSH);
}

// SUBSCRIBED without the server's time: a page that starts measures nothing.
static bool hello_feed(tm_check_world *world, tm_check_page *page, tm_span frame) {
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_buf out = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    const char *comma = "{";
    bool done = tm_tree_read(frame, &arena, &root, NULL) == TM_OK;
    const tm_node *part = done ? root->first : NULL;
    for (; part != NULL; part = part->next) {
        if (tm_span_equal_text(part->key, "serverTime")) continue;
        tm_buf_text(&out, comma);
        tm_buf_json(&out, part->key);
        tm_buf_byte(&out, ':');
        tm_buf_put(&out, part->raw);
        comma = ",";
    }
    tm_buf_byte(&out, '}');
    done = done && feed(world, page, tm_buf_span(&out));
    tm_buf_deinit(&out);
    tm_arena_deinit(&arena);
    return done;
}

// The answer to a SUBSCRIBE of a page that starts: that it is heard, but not what it
// missed. Where a snapshot comes it does not even follow: its log is another one.
static bool hello_take(tm_check_world *world, tm_check_page *page) {
    tm_check_parcel *hello = tm_check_server_parcel(&world->server, page), *other;
    char type[24] = "";
    bool follows = true, done;
    if (hello != NULL) frame_type(parcel_span(hello), type);
    if (strcmp(type, "SUBSCRIBED") != 0) {
        free(hello);
        return tm_check_verdict_fail(world->verdict,
                                     "a SUBSCRIBE was answered by %s", type);
    }
    while ((other = tm_check_server_parcel(&world->server, page)) != NULL) {
        frame_type(parcel_span(other), type);
        tm_check_trace(&world->server, "misses", page->id, parcel_span(other));
        if (strcmp(type, "SNAPSHOT") == 0) follows = false;
        free(other);
    }
    done = follows ? hello_feed(world, page, parcel_span(hello)) &&
                         tm_check_page_pump(world, page)
                   : channel(world, page, TM_CHANNEL_PUSH);
    free(hello);
    return done;
}

// Starting makes no call of the network, but whoever has the push channel hears from now
// on.
static bool listen(tm_check_world *world, tm_check_page *page) {
    exchange one = {0};
    if (!ask(world, page, TM_ASK_PULL) || !take(world, page, &one)) return false;
    if (one.kind != TM_SEND_FRAME) {
        return tm_check_verdict_fail(world->verdict, "a page does not subscribe");
    }
    return tm_check_server_feed(&world->server, tm_check_world_server_now(world),
                                page->conn, one.bytes) &&
           hello_take(world, page);
}

bool tm_check_traffic_attach(tm_check_world *world, tm_check_page *page) {
    if (!page->online) return channel(world, page, TM_CHANNEL_NONE);
    if (!page->ws) return channel(world, page, TM_CHANNEL_POLL);
    return connect_page(world, page) && listen(world, page);
}

void tm_check_traffic_detach(tm_check_world *world, tm_check_page *page) {
    if (page->conn == NULL) return;
    tm_check_server_disconnect(&world->server, page->conn, page);
    page->conn = NULL;
}

bool tm_check_traffic_offline(tm_check_world *world, tm_check_page *page) {
    page->online = false;
    tm_check_traffic_detach(world, page);
    return !page->running || channel(world, page, TM_CHANNEL_NONE);
}

bool tm_check_traffic_online(tm_check_world *world, tm_check_page *page) {
    page->online = true;
    if (!page->running) return true;
    if (!page->ws) return channel(world, page, TM_CHANNEL_POLL);
    tm_check_traffic_detach(world, page);
    tm_check_push push = {0};
    return connect_page(world, page) && tm_check_traffic_push(world, page, &push) &&
           tm_check_traffic_pull(world, page, TM_CHECK_PULL_FINE);
}

// A restart on the same store changes nothing for who listens. One on another store does:
// its log is another, and whoever opens the connection anew says where it stood in the old
// one.
static bool page_reconnect(tm_check_world *world, tm_check_page *page,
                           bool restore) {
    if (!page->running || !page->online || !page->ws) return true;
    if (!restore) return tm_check_traffic_attach(world, page);
    return connect_page(world, page) &&
           tm_check_traffic_pull(world, page, TM_CHECK_PULL_FINE);
}

bool tm_check_traffic_restart(tm_check_world *world, bool restore) {
    for (tm_check_page *page = world->pages; page != NULL; page = page->next) {
        tm_check_traffic_detach(world, page);
    }
    bool open = restore ? tm_check_server_restore(&world->server)
                        : tm_check_server_restart(&world->server);
    for (tm_check_page *page = world->pages; open && page != NULL;
         page = page->next) {
        open = page_reconnect(world, page, restore);
    }
    return open;
}

// ---- replay -------------------------------------------------------------------------

// A copy of a frame comes by a connection of its own: the page's may be long gone.
static bool frame_replay(tm_check_world *world, tm_span frame) {
    tm_now now = tm_check_world_server_now(world);
    int stranger; // an address that is no page's
    tm_conn *conn = NULL;
    bool done = tm_check_server_connect(&world->server, now, &stranger, &conn) &&
                tm_check_server_feed(&world->server, now, conn, frame);
    if (conn != NULL) tm_check_server_disconnect(&world->server, conn, &stranger);
    return done;
}

bool tm_check_traffic_replay(tm_check_world *world, tm_check_page *page,
                             uint64_t nth) {
    const tm_check_sent *sent = page->sent;
    for (uint64_t i = 1; i < nth && sent != NULL; i++) {
        sent = sent->next;
    }
    if (sent == NULL) {
        return tm_check_verdict_fail(world->verdict,
                                     "malformed: %.*s sent fewer pushes",
                                     (int)page->id.len, (const char *)page->id.ptr);
    }
    if (page->ws) {
        return frame_replay(world, sent->bytes) && tm_check_traffic_deliver(world);
    }
    tm_check_reply reply = {.body = {.alloc = &tm_host_alloc}};
    bool done =
        tm_check_server_request(&world->server, tm_check_world_server_now(world),
                                TM_POST, nothing, sent->bytes, &reply);
    tm_buf_deinit(&reply.body);
    return done && tm_check_traffic_deliver(world);
}
