// net.c - see world.h: what lies between pages and the server. Requests are each on their
// own; a connection keeps the order of its messages until it is cut. Messages are whole:
// what a transport does to bytes is tried on the real one.
#include "sim/world.h"

#include <stdlib.h>
#include <string.h>

#include "client/words.h"

#define LATE_MS       60000u  // an old request comes at least so late ...
#define LATE_MORE_MS  600000u // ... and at most so much later
#define HEAVY_MS      40000u  // the tail of a delay
#define OPEN_MS       8000u   // a connection that does not come about is given up
#define SERVER_SILENT 60000u  // the server gives up on a dead connection
#define BACKLOG_MAX   (8u << 20)

static const tm_span nothing = {NULL, 0};

uint64_t tm_sim_net_latency(tm_world *world, tm_sim_page *page) {
    uint64_t usual = world->plan.latency_ms;
    uint64_t ms = 1 + tm_sim_tail(&page->net, usual, usual * 8);
    if (tm_sim_fate(world, &page->net, TM_SIM_DELAYED, page))
        ms += tm_sim_tail(&page->net, 500, HEAVY_MS);
    return ms;
}

// Whether the network carries something of this profile's now, this way.
static bool carries(const tm_world *world, uint32_t profile, bool up) {
    const tm_sim_profile *p = &world->profiles[profile];
    if (world->now_ms >= p->cut_until_ms) return true;
    return p->cut == 0 ? false : (p->cut == 1) != up;
}

// When a connection carries it: nothing that was written to one vanishes while what comes
// behind it arrives. It waits, or all of it is lost.
static uint64_t carried_ms(const tm_world *world, uint32_t profile, bool up) {
    return carries(world, profile, up) ? world->now_ms
                                       : world->profiles[profile].cut_until_ms;
}

static tm_sim_message *message_make(tm_world *world, tm_sim_message_kind kind,
                                    const tm_sim_page *page, tm_span text) {
    tm_sim_message *message = malloc(sizeof *message + text.len + 1);
    TM_ASSERT(message != NULL);
    *message = (tm_sim_message){.kind = kind,
                                .page = (uint32_t)(page - world->pages),
                                .life = page->life,
                                .account = page->account,
                                .order = ++world->order,
                                .len = text.len};
    if (text.len > 0) memcpy(message->bytes, text.ptr, text.len);
    message->bytes[text.len] = 0;
    world->result->messages++;
    world->result->bytes += text.len;
    return message;
}

static void message_at(tm_world *world, uint64_t at_ms, tm_sim_message *message) {
    tm_sim_at(world, at_ms,
              (tm_sim_event){.kind = TM_SIM_EVENT_ARRIVE,
                             .who = message->page,
                             .life = message->life,
                             .message = message});
}

static tm_sim_message *message_again(tm_world *world,
                                     const tm_sim_message *message) {
    tm_sim_message *copy = malloc(sizeof *copy + message->len + 1);
    TM_ASSERT(copy != NULL);
    memcpy(copy, message, sizeof *copy + message->len + 1);
    copy->stray = true;
    world->result->messages++;
    return copy;
}

// ---- answers ------------------------------------------------------------------------------

static void answer_send(tm_world *world, tm_sim_page *page, uint64_t ref,
                        uint32_t http, tm_span body, uint64_t in_ms) {
    tm_sim_message *message = message_make(world, TM_SIM_ANSWER, page, body);
    message->ref = ref;
    message->http = http;
    message_at(world, world->now_ms + in_ms, message);
}

void tm_sim_net_answer(tm_world *world, const tm_sim_call *call, uint32_t http,
                       tm_span body, bool from_server) {
    static const tm_span html = TM_LIT("<html><body>Bad Gateway</body></html>");
    tm_sim_page *page = &world->pages[call->page];
    tm_sim_hash(world, 3000u + http, body);
    if (call->stray || !page->alive || page->life != call->life) return;
    if (!carries(world, page->profile, false)) return;
    uint64_t ms = tm_sim_net_latency(world, page);
    if (from_server && call->save && http == 200 &&
        tm_sim_fate(world, &page->net, TM_SIM_RESPONSE_LOST, page)) {
        return;
    }
    if (from_server && tm_sim_fate(world, &page->net, TM_SIM_PROXY_ERROR, page)) {
        http = tm_sim_below(&page->net, 2) == 0 ? 502 : 504;
        body = html;
    }
    answer_send(world, page, call->ref, http, body, ms);
}

// What somebody between answers, without the server.
static bool answered_between(tm_world *world, tm_sim_page *page, uint64_t ref) {
    static const tm_span html =
        TM_LIT("<html>\n<h1>504 Gateway Time-out</h1>\n</html>");
    static const tm_span portal = TM_LIT("<html><body>Welcome! Please accept the "
                                         "terms of this network.</body></html>");
    static const tm_span json = TM_LIT("{\"success\":true,\"status\":\"welcome\"}");
    static const tm_span expired = TM_LIT(
        "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,"
        "\"code\":\"token\",\"detail\":\"The token has expired.\"}");
    uint64_t ms = 2 * tm_sim_net_latency(world, page);
    tm_sim_random *net = &page->net;
    if (page->token_bad || tm_sim_fate(world, net, TM_SIM_TOKEN_EXPIRED, page)) {
        page->token_bad = true;
        answer_send(world, page, ref, 401, expired, ms);
    } else if (tm_sim_fate(world, net, TM_SIM_PROXY_HTML, page)) {
        answer_send(world, page, ref, tm_sim_below(net, 2) == 0 ? 502 : 504, html,
                    ms);
    } else if (tm_sim_fate(world, net, TM_SIM_PORTAL, page)) {
        answer_send(world, page, ref, 200,
                    tm_sim_below(net, 2) == 0 ? portal : json, ms);
    } else {
        return false;
    }
    return true;
}

// ---- sending ------------------------------------------------------------------------------

static void request_send(tm_world *world, tm_sim_page *page, const tm_send *send) {
    tm_sim_random *net = &page->net;
    bool save = send->kind == TM_SEND_SAVE;
    *(save ? &page->save_ref : &page->pull_ref) = send->ref;
    tm_sim_at(world, world->now_ms + send->timeout_ms,
              (tm_sim_event){.kind = TM_SIM_EVENT_TIMEOUT,
                             .who = (uint32_t)(page - world->pages),
                             .life = page->life,
                             .arg = send->ref});
    if (!carries(world, page->profile, true)) return;
    if (tm_sim_fate(world, net, TM_SIM_REQUEST_LOST, page)) return;
    if (answered_between(world, page, send->ref)) return;
    tm_sim_message *message =
        message_make(world, TM_SIM_REQUEST, page, send->bytes);
    message->ref = send->ref;
    message->save = save;
    uint64_t at = world->now_ms + tm_sim_net_latency(world, page);
    if (tm_sim_fate(world, net, TM_SIM_DUPLICATED, page)) {
        message_at(world, at + tm_sim_tail(net, 100, 60000),
                   message_again(world, message));
    }
    if (tm_sim_fate(world, net, TM_SIM_LATE, page)) {
        at += LATE_MS + tm_sim_below(net, LATE_MORE_MS);
    }
    message_at(world, at, message);
}

static void frame_send(tm_world *world, tm_sim_page *page, const tm_send *send) {
    tm_sim_conn *conn = tm_sim_net_conn(world, page->conn);
    if (conn == NULL) return; // the page will hear that it is gone
    if (tm_sim_fate(world, &page->net, TM_SIM_RESET, page)) {
        tm_sim_net_reset(world, conn);
        return;
    }
    if (tm_sim_fate(world, &page->net, TM_SIM_HALF_OPEN, page))
        conn->up_dead = true;
    if (conn->up_dead) return;
    tm_sim_message *message = message_make(world, TM_SIM_UP, page, send->bytes);
    message->conn = conn->number;
    uint64_t at = carried_ms(world, page->profile, true);
    at += tm_sim_net_latency(world, page);
    if (at < conn->up_ms) at = conn->up_ms;
    conn->up_ms = at;
    message_at(world, at, message);
}

// An operation that goes out from a page of ours is known to be that account's.
static void sent_know(tm_world *world, const tm_sim_page *page, tm_span text) {
    tm_doc doc;
    tm_json in;
    tm_op op;
    if (tm_doc_parse(text, &world->arena, &doc) != TM_OK) return;
    tm_doc_array(&doc, TM_WORD_OPERATIONS, &in, &world->arena);
    while (tm_json_element(&in) && tm_op_read(&in, &op) == TM_OK) {
        (void)tm_sim_ghost_make(world, op.id, page->account);
    }
    tm_arena_reset(&world->arena);
    if (page->account != 0 || tm_sim_below(&world->random, 4) != 0) return;
    free(world->replayed);
    world->replayed = tm_sim_copy(text);
    world->replayed_len = text.len;
}

void tm_sim_net_send(tm_world *world, tm_sim_page *page, const tm_send *send) {
    tm_sim_hash(world, 2000u + send->kind, send->bytes);
    page->sent++;
    if (send->kind == TM_SEND_SAVE) {
        page->saves++;
        tm_sim_note_page(world, TM_SIM_NOTE_SAVE, page, 0, nothing);
        sent_know(world, page, send->bytes);
    }
    if (world->config->story != NULL && send->kind != TM_SEND_PULL) {
        tm_sim_tell(world, tm_sim_page_name(world, page), "-> %.*s",
                    (int)(send->bytes.len > 300 ? 300 : send->bytes.len),
                    (const char *)send->bytes.ptr);
    }
    if (page->channel == TM_CHANNEL_PUSH) {
        frame_send(world, page, send);
    } else {
        request_send(world, page, send);
    }
}

void tm_sim_net_push(tm_world *world, tm_sim_conn *conn, tm_span frame) {
    tm_sim_page *page = &world->pages[conn->page];
    tm_sim_hash(world, 2500, frame);
    if (conn->down_dead || conn->cut || !page->alive || page->life != conn->life)
        return;
    if (tm_sim_fate(world, &page->net, TM_SIM_RESET, page)) {
        tm_sim_net_reset(world, conn);
        return;
    }
    tm_sim_message *message = message_make(world, TM_SIM_DOWN_FRAME, page, frame);
    message->conn = conn->number;
    uint64_t at = carried_ms(world, page->profile, false);
    at += tm_sim_net_latency(world, page);
    if (conn->slow_until_ms > world->now_ms) { // it waits in the server's buffers
        if (at < conn->slow_until_ms) at = conn->slow_until_ms;
        conn->backlog += frame.len;
        if (conn->conn != NULL) {
            tm_service_queued(world->server.service, tm_sim_server_now(world),
                              conn->conn, conn->backlog);
        }
    }
    if (at < conn->down_ms) at = conn->down_ms;
    conn->down_ms = at;
    message_at(world, at, message);
    if (conn->backlog > BACKLOG_MAX) tm_sim_net_reset(world, conn);
}

void tm_sim_net_flow(tm_world *world, tm_sim_conn *conn) {
    if (conn->slow_until_ms > world->now_ms) return;
    conn->backlog = 0;
    if (conn->conn == NULL || world->server.service == NULL) return;
    tm_service_queued(world->server.service, tm_sim_server_now(world), conn->conn,
                      0);
    tm_sim_server_after(world);
}

// ---- arriving -----------------------------------------------------------------------------

static void request_arrive(tm_world *world, const tm_sim_message *message) {
    tm_sim_page *page = &world->pages[message->page];
    bool there = page->alive && page->life == message->life;
    if (message->order < world->last_arrived && message->save && !world->calm) {
        tm_sim_strike(world, TM_SIM_REORDERED, there ? page : NULL);
    }
    world->last_arrived = message->order;
    if (there && !carries(world, page->profile, true)) return;
    if (world->server.service == NULL) {
        if (there && !message->stray) {
            answer_send(world, page, message->ref, 0, nothing,
                        tm_sim_net_latency(world, page));
        }
        return;
    }
    if (page->wrong_user_once && there && message->save) {
        page->wrong_user_once =
            false; // the token is another's; `user` says whose it was
        tm_sim_message *other = message_again(world, message);
        other->stray = false;
        other->account = message->account == 1 ? 0 : 1;
        tm_sim_strike(world, TM_SIM_WRONG_USER, page);
        tm_sim_server_request(world, other);
        free(other);
        return;
    }
    tm_sim_server_request(world, message);
}

static void frame_arrive(tm_world *world, const tm_sim_message *message) {
    tm_sim_conn *conn = tm_sim_net_conn(world, message->conn);
    if (conn == NULL || conn->cut || conn->up_dead || conn->conn == NULL) return;
    const tm_sim_page *page = &world->pages[message->page];
    if (page->alive && page->life == message->life && page->token_bad) {
        tm_sim_net_reset(world, conn); // 4401
        return;
    }
    tm_sim_server_frame(world, conn, (tm_span){message->bytes, message->len});
}

static void page_arrive(tm_world *world, tm_sim_page *page,
                        const tm_sim_message *message) {
    tm_span text = {message->bytes, message->len};
    uint64_t cursor;
    (void)tm_engine_confirmed(page->engine, &cursor);
    if (message->kind == TM_SIM_ANSWER) {
        bool save = message->ref == page->save_ref;
        if (!save && message->ref != page->pull_ref) return;
        *(save ? &page->save_ref : &page->pull_ref) = 0;
        page->heard++;
        tm_sim_tell(world, tm_sim_page_name(world, page), "<- %u %.*s",
                    message->http, (int)(text.len > 300 ? 300 : text.len),
                    (const char *)text.ptr);
        tm_engine_answer(page->engine, tm_sim_page_now(world, page), message->ref,
                         message->http, text);
    } else {
        const tm_sim_conn *conn = tm_sim_net_conn(world, message->conn);
        if (conn == NULL || conn->cut || page->conn != message->conn) return;
        page->heard++;
        tm_sim_tell(world, tm_sim_page_name(world, page), "<- %.*s",
                    (int)(text.len > 300 ? 300 : text.len), (const char *)text.ptr);
        tm_engine_feed(page->engine, tm_sim_page_now(world, page), text);
    }
    tm_sim_note_heard(world, page, text, cursor);
    tm_sim_page_settle(world, page);
    if (page->alive) tm_sim_look_page(world, page, false);
}

void tm_sim_net_arrive(tm_world *world, tm_sim_message *message) {
    tm_sim_page *page = &world->pages[message->page];
    bool to_page =
        message->kind == TM_SIM_ANSWER || message->kind == TM_SIM_DOWN_FRAME;
    bool there = page->alive && page->life == message->life;
    if (to_page && there && !tm_sim_page_awake(world, page)) {
        message_at(world, tm_sim_page_wakes(world, page), message);
        return;
    }
    if (to_page) {
        if (there && !page->taken) page_arrive(world, page, message);
    } else if (message->kind == TM_SIM_REQUEST) {
        request_arrive(world, message);
    } else {
        frame_arrive(world, message);
    }
    free(message);
}

uint64_t tm_sim_net_backlog(const tm_world *world) {
    uint64_t count = 0;
    for (size_t i = 0; i < world->heap_count; i++) {
        count += world->heap[i].message != NULL;
    }
    return count;
}

// ---- connections --------------------------------------------------------------------------

tm_sim_conn *tm_sim_net_conn(const tm_world *world, uint64_t number) {
    for (tm_sim_conn *conn = world->conns; conn != NULL; conn = conn->next) {
        if (conn->number == number && number != 0) return conn;
    }
    return NULL;
}

static tm_sim_event page_event(const tm_world *world, const tm_sim_page *page,
                               tm_sim_event_kind kind, uint64_t arg) {
    return (tm_sim_event){.kind = kind,
                          .who = (uint32_t)(page - world->pages),
                          .life = page->life,
                          .arg = arg};
}

void tm_sim_net_reconnect(tm_world *world, tm_sim_page *page, uint64_t in_ms) {
    if (page->connecting) return;
    page->connecting = true;
    tm_sim_at(world, world->now_ms + in_ms,
              page_event(world, page, TM_SIM_EVENT_CONNECT, 0));
}

static void connect_fail(tm_world *world, tm_sim_page *page) {
    page->connecting = false;
    page->failures++;
    // Where no connection comes about, requests may still do.
    if (page->channel == TM_CHANNEL_NONE) {
        tm_sim_page_channel(world, page,
                            tm_sim_below(&page->net, 2) == 0 ? TM_CHANNEL_POLL
                                                             : TM_CHANNEL_LONGPOLL);
    }
    uint64_t most = UINT64_C(500) << (page->failures < 6 ? page->failures : 6);
    tm_sim_net_reconnect(world, page, most / 2 + tm_sim_below(&page->net, most));
}

void tm_sim_net_connect(tm_world *world, tm_sim_page *page) {
    page->connecting = false;
    if (page->conn != 0 || page->stopped) return;
    uint32_t only = world->plan.channels;
    if (only == 1 || only == 2) {
        if (page->channel == TM_CHANNEL_NONE) {
            tm_sim_page_channel(world, page,
                                only == 1 ? TM_CHANNEL_POLL : TM_CHANNEL_LONGPOLL);
        }
        return;
    }
    bool up =
        carries(world, page->profile, true) && carries(world, page->profile, false);
    if (!up || world->server.service == NULL || world->server.draining ||
        page->token_bad) {
        page->token_bad = false; // the next one is a new one
        connect_fail(world, page);
        return;
    }
    page->connecting = true;
    tm_sim_at(world, world->now_ms + 2 * tm_sim_net_latency(world, page),
              page_event(world, page, TM_SIM_EVENT_LATCH, 0));
}

void tm_sim_net_latch(tm_world *world, tm_sim_page *page) {
    page->connecting = false;
    if (page->conn != 0) return;
    if (world->server.service == NULL) {
        connect_fail(world, page);
        return;
    }
    tm_sim_conn *conn = calloc(1, sizeof *conn);
    TM_ASSERT(conn != NULL);
    *conn = (tm_sim_conn){.next = world->conns,
                          .number = ++world->conn_number,
                          .page = (uint32_t)(page - world->pages),
                          .life = page->life,
                          .account = page->account};
    if (tm_service_connect(world->server.service, tm_sim_server_now(world),
                           world->accounts[page->account].key.user, conn,
                           &conn->conn) != TM_OK) {
        free(conn);
        connect_fail(world, page);
        return;
    }
    world->conns = conn;
    page->conn = conn->number;
    page->failures = 0;
    tm_sim_server_after(world);
    if (tm_sim_net_conn(world, page->conn) == conn && conn->conn != NULL)
        tm_sim_page_channel(world, page, TM_CHANNEL_PUSH);
}

// The server's end goes: nothing comes from there any more.
void tm_sim_net_gone(tm_world *world, tm_sim_conn *conn) {
    if (conn->conn != NULL) {
        if (world->server.service != NULL)
            tm_service_disconnect(world->server.service, conn->conn);
        conn->conn = NULL;
        if (world->server.service != NULL && !world->server.keeper.doomed)
            tm_sim_server_after(world);
    }
}

// Both ends learn of it, each in its time.
void tm_sim_net_reset(tm_world *world, tm_sim_conn *conn) {
    if (conn->cut) return;
    conn->cut = true;
    tm_sim_page *page = &world->pages[conn->page];
    tm_sim_at(world, world->now_ms + 1,
              (tm_sim_event){.kind = TM_SIM_EVENT_GONE, .arg = conn->number});
    if (!page->alive || page->life != conn->life) return;
    tm_sim_at(world, world->now_ms + tm_sim_net_latency(world, page),
              page_event(world, page, TM_SIM_EVENT_CLOSED, conn->number));
}

void tm_sim_net_closed(tm_world *world, tm_sim_page *page, uint64_t number) {
    if (page->conn != number) return;
    tm_sim_net_drop(world, page);
    tm_sim_page_channel(world, page, TM_CHANNEL_NONE);
    tm_sim_net_reconnect(world, page, 200 + tm_sim_below(&page->net, 2000));
}

// The page lets go. If the line is dead, the server learns of it much later.
void tm_sim_net_drop(tm_world *world, tm_sim_page *page) {
    tm_sim_conn *conn = tm_sim_net_conn(world, page->conn);
    page->conn = 0;
    if (conn == NULL) return;
    bool silent = conn->up_dead || !carries(world, page->profile, true);
    uint64_t ms = silent ? SERVER_SILENT : tm_sim_net_latency(world, page);
    conn->cut = true;
    tm_sim_at(world, world->now_ms + ms,
              (tm_sim_event){.kind = TM_SIM_EVENT_GONE, .arg = conn->number});
}

// All connections go with the process; requests are never answered.
void tm_sim_net_server_down(tm_world *world) {
    for (tm_sim_conn *conn = world->conns; conn != NULL; conn = conn->next) {
        if (conn->conn == NULL) continue;
        tm_service_disconnect(world->server.service, conn->conn);
        conn->conn = NULL;
        conn->cut = true;
        tm_sim_page *page = &world->pages[conn->page];
        if (!page->alive || page->life != conn->life || page->conn != conn->number)
            continue;
        if (conn->down_dead) continue; // it does not hear of it
        tm_sim_at(world, world->now_ms + tm_sim_net_latency(world, page),
                  page_event(world, page, TM_SIM_EVENT_CLOSED, conn->number));
    }
    for (tm_sim_call *call = world->server.calls; call != NULL; call = call->next) {
        tm_sim_page *page = &world->pages[call->page];
        if (call->stray || !page->alive || page->life != call->life) continue;
        answer_send(world, page, call->ref, 0, nothing,
                    tm_sim_net_latency(world, page));
    }
}

// Connections that neither end has any more.
void tm_sim_net_sweep(tm_world *world) {
    for (tm_sim_conn **at = &world->conns; *at != NULL;) {
        tm_sim_conn *conn = *at;
        const tm_sim_page *page = &world->pages[conn->page];
        bool held =
            page->alive && page->life == conn->life && page->conn == conn->number;
        if (conn->conn != NULL || held) {
            at = &conn->next;
            continue;
        }
        *at = conn->next;
        free(conn);
    }
}
