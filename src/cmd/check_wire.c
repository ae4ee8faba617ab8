// check_wire.c - see check_wire.h.
#include "cmd/check_wire.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/host.h"

static const tm_span nothing = {NULL, 0};

bool tm_check_wire_endless(tm_check_world *world, const char *what) {
    return tm_check_verdict_fail(world->verdict, "%s does not end", what);
}

// ---- calls --------------------------------------------------------------------------

bool tm_check_wire_ask(tm_check_world *world, tm_check_page *page, tm_ask what) {
    uint64_t asks = what;
    int64_t result;
    return tm_check_page_call_now(world, page, TM_FN_ask, &asks, 1, nothing,
                                  &result, NULL) &&
           tm_check_page_pump(world, page);
}

bool tm_check_wire_take(tm_check_world *world, tm_check_page *page,
                        tm_check_exchange *one) {
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
bool tm_check_wire_answer(tm_check_world *world, tm_check_page *page,
                          const tm_check_exchange *one, uint32_t status,
                          tm_span body) {
    uint64_t args[] = {one->ref, status, body.len};
    int64_t result;
    tm_check_trace(&world->server, status == 0 ? "no reply" : "reply", page->id,
                   body);
    return tm_check_page_call_now(world, page, TM_FN_answer, args, 3, body, &result,
                                  NULL);
}

bool tm_check_wire_feed(tm_check_world *world, tm_check_page *page, tm_span frame) {
    uint64_t len = frame.len;
    int64_t result;
    tm_check_trace(&world->server, "hears", page->id, frame);
    return tm_check_page_call_now(world, page, TM_FN_feed, &len, 1, frame, &result,
                                  NULL);
}

bool tm_check_wire_channel(tm_check_world *world, tm_check_page *page,
                           tm_channel kind) {
    uint64_t arg = kind;
    int64_t result;
    return tm_check_page_call_now(world, page, TM_FN_channel, &arg, 1, nothing,
                                  &result, NULL) &&
           tm_check_page_pump(world, page);
}

// ---- frames -------------------------------------------------------------------------

// The `type` of a frame, copied into `word`.
void tm_check_wire_type(tm_span frame, char word[24]) {
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
    if (page->drop == 0) return tm_check_wire_feed(world, page, frame);
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_buf rest = {.alloc = &tm_host_alloc};
    const tm_node *root = NULL;
    bool done = true;
    if (tm_tree_read(frame, &arena, &root, NULL) != TM_OK ||
        !tm_node_says(tm_node_get(root, "type"), "OPERATIONS")) {
        done = tm_check_wire_feed(world, page, frame);
    } else {
        const tm_node *ops = tm_node_get(root, "operations");
        uint64_t count = ops == NULL ? 0 : ops->count;
        uint64_t lost = page->drop < count ? page->drop : count;
        page->drop -= lost;
        if (lost < count) {
            frame_cut(root, lost, &rest);
            done = tm_check_wire_feed(world, page, tm_buf_span(&rest));
        }
    }
    tm_buf_deinit(&rest);
    tm_arena_deinit(&arena);
    return done;
}

// What the server has sent this page, as the answer to something it asked for: all of it
// arrives.
bool tm_check_wire_hear(tm_check_world *world, tm_check_page *page) {
    tm_check_parcel *parcel;
    bool done = true;
    while (done &&
           (parcel = tm_check_server_parcel(&world->server, page)) != NULL) {
        done = tm_check_wire_feed(world, page, tm_check_parcel_span(parcel));
        free(parcel);
    }
    return done;
}

void tm_check_wire_lose(tm_check_world *world, const tm_check_page *page) {
    tm_check_parcel *parcel;
    while ((parcel = tm_check_server_parcel(&world->server, page)) != NULL) {
        tm_check_trace(&world->server, "misses", page->id,
                       tm_check_parcel_span(parcel));
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
        tm_check_wire_type(tm_check_parcel_span(parcel), type);
        reply->done = strcmp(type, "SAVED") == 0 || strcmp(type, "ERROR") == 0;
        if (reply->done) {
            reply->status = 200;
            tm_buf_put(&reply->body, tm_check_parcel_span(parcel));
        } else {
            done = frame_arrive(world, page, tm_check_parcel_span(parcel));
        }
        free(parcel);
        if (!done) return false;
        if (reply->done) return true;
    }
    return tm_check_verdict_fail(world->verdict, "no SAVED came");
}

// ---- one exchange -------------------------------------------------------------------

bool tm_check_wire_serve(tm_check_world *world, tm_check_page *page,
                         tm_check_exchange *one) {
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

bool tm_check_wire_reply(tm_check_world *world, tm_check_page *page,
                         const tm_check_exchange *one) {
    tm_span body = tm_buf_span(&one->reply.body);
    if (page->conn != NULL) return tm_check_wire_feed(world, page, body);
    return tm_check_wire_answer(world, page, one, one->reply.status, body);
}

// A frame that is answered by frames, all of which arrive.
bool tm_check_wire_frame(tm_check_world *world, tm_check_page *page,
                         const tm_check_exchange *one) {
    return tm_check_server_feed(&world->server, tm_check_world_server_now(world),
                                page->conn, one->bytes) &&
           tm_check_wire_hear(world, page);
}

// Whatever else the engine of a page on the push channel wants to say: it found a hole.
bool tm_check_wire_flush(tm_check_world *world, tm_check_page *page) {
    for (unsigned rounds = 0; rounds < TM_CHECK_ROUNDS_MAX; rounds++) {
        tm_check_exchange one = {0};
        if (!page->running || page->conn == NULL) return true;
        if (!tm_check_wire_take(world, page, &one)) return false;
        if (one.kind == TM_SEND_NONE) return true;
        if (one.kind != TM_SEND_FRAME) {
            return tm_check_verdict_fail(world->verdict,
                                         "a page pushed what nobody asked it to");
        }
        if (!tm_check_wire_frame(world, page, &one) ||
            !tm_check_page_pump(world, page)) {
            return false;
        }
    }
    return tm_check_wire_endless(world, "what a page says on its push channel");
}

bool tm_check_traffic_deliver(tm_check_world *world) {
    tm_check_parcel *parcel;
    for (unsigned rounds = 0; rounds < TM_CHECK_ROUNDS_MAX; rounds++) {
        parcel = tm_check_server_parcel(&world->server, NULL);
        if (parcel == NULL) return true;
        tm_check_page *page = parcel->peer;
        bool done = true;
        if (page != NULL && page->running && page->conn != NULL) {
            done = frame_arrive(world, page, tm_check_parcel_span(parcel)) &&
                   tm_check_page_pump(world, page) &&
                   tm_check_wire_flush(world, page);
        }
        free(parcel);
        if (!done) return false;
    }
    return tm_check_wire_endless(world, "the push channel");
}
