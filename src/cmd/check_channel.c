// check_channel.c - see check_world.h: how a page is reached, and what a network does to it
// behind its back.
#include "cmd/check_wire.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/host.h"

static const tm_span nothing = {NULL, 0};

// ---- connections --------------------------------------------------------------------

static bool connect_page(tm_check_world *world, tm_check_page *page) {
    return tm_check_server_connect(&world->server, tm_check_world_server_now(world),
                                   page, &page->conn) &&
           tm_check_wire_channel(world, page, TM_CHANNEL_PUSH);
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
    done = done && tm_check_wire_feed(world, page, tm_buf_span(&out));
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
    if (hello != NULL) tm_check_wire_type(tm_check_parcel_span(hello), type);
    if (strcmp(type, "SUBSCRIBED") != 0) {
        free(hello);
        return tm_check_verdict_fail(world->verdict,
                                     "a SUBSCRIBE was answered by %s", type);
    }
    while ((other = tm_check_server_parcel(&world->server, page)) != NULL) {
        tm_check_wire_type(tm_check_parcel_span(other), type);
        tm_check_trace(&world->server, "misses", page->id,
                       tm_check_parcel_span(other));
        if (strcmp(type, "SNAPSHOT") == 0) follows = false;
        free(other);
    }
    done = follows ? hello_feed(world, page, tm_check_parcel_span(hello)) &&
                         tm_check_page_pump(world, page)
                   : tm_check_wire_channel(world, page, TM_CHANNEL_PUSH);
    free(hello);
    return done;
}

// Starting makes no call of the network, but whoever has the push channel hears from now
// on.
static bool listen(tm_check_world *world, tm_check_page *page) {
    tm_check_exchange one = {0};
    if (!tm_check_wire_ask(world, page, TM_ASK_PULL) ||
        !tm_check_wire_take(world, page, &one))
        return false;
    if (one.kind != TM_SEND_FRAME) {
        return tm_check_verdict_fail(world->verdict, "a page does not subscribe");
    }
    return tm_check_server_feed(&world->server, tm_check_world_server_now(world),
                                page->conn, one.bytes) &&
           hello_take(world, page);
}

bool tm_check_traffic_attach(tm_check_world *world, tm_check_page *page) {
    if (!page->online) return tm_check_wire_channel(world, page, TM_CHANNEL_NONE);
    if (!page->ws) return tm_check_wire_channel(world, page, TM_CHANNEL_POLL);
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
    return !page->running || tm_check_wire_channel(world, page, TM_CHANNEL_NONE);
}

bool tm_check_traffic_online(tm_check_world *world, tm_check_page *page) {
    page->online = true;
    if (!page->running) return true;
    if (!page->ws) return tm_check_wire_channel(world, page, TM_CHANNEL_POLL);
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
