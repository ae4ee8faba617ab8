// hub.c - see hub.h.
#include "service/hub.h"

#include "service/answer.h"

#include <string.h>

#define SEEN_MS  1000u // at most one SEEN a second to everybody
#define QUIET_MS 1000u // before a DIGEST

// ---- connections --------------------------------------------------------------------

tm_span tm_conn_user(const tm_conn *conn) {
    return (tm_span){conn->user, conn->user_len};
}

bool tm_conn_slow(const tm_conn *conn) {
    return conn->queued + conn->waiting > conn->service->config.queue_soft_max;
}

void tm_conn_shut(tm_conn *conn, uint32_t code) {
    if (conn->closing) return;
    conn->closing = true;
    conn->service->counts.closes++;
    tm_effect_slot slot = {
        .effect = {.kind = TM_EFFECT_CLOSE, .status = code, .peer = conn->peer},
        .conn = conn};
    tm_effects_owed(&conn->service->effects, &slot);
}

// Takes the frame. NULL: there was no memory for it, so this connection misses something.
void tm_conn_send(tm_conn *conn, tm_frame *frame) {
    tm_service *service = conn->service;
    if (conn->closing) {
        tm_frame_release(service, frame);
        return;
    }
    tm_effect_slot slot = {
        .effect = {.kind = TM_EFFECT_SEND, .peer = conn->peer, .frame = frame},
        .conn = conn};
    if (frame == NULL || tm_effects_send(&service->effects, &slot) != TM_OK) {
        tm_frame_release(service, frame);
        service->counts.no_memory++;
        tm_conn_shut(conn, 1013);
        return;
    }
    conn->waiting += frame->len;
    service->counts.frames++;
}

// ---- subscriptions ------------------------------------------------------------------

tm_sub *tm_hub_find(const tm_conn *conn, const tm_ledger *ledger) {
    tm_sub *sub = conn->subs;
    while (sub != NULL && sub->ledger != ledger) {
        sub = sub->conn_next;
    }
    return sub;
}

static void held_free(tm_sub *sub, tm_held *held) {
    const tm_service *service = sub->conn->service;
    tm_alloc_put(service->alloc, held, sizeof *held);
}

tm_sub *tm_hub_join(tm_conn *conn, tm_ledger *ledger) {
    tm_sub *sub = tm_hub_find(conn, ledger);
    if (sub != NULL) return sub;
    tm_service *service = conn->service;
    sub = tm_alloc_get(service->alloc, sizeof *sub);
    if (sub == NULL) return NULL;
    sub->conn = conn;
    sub->ledger = ledger;
    sub->conn_next = conn->subs;
    conn->subs = sub;
    conn->sub_count++;
    sub->next = ledger->subs;
    if (ledger->subs != NULL) ledger->subs->prev = sub;
    ledger->subs = sub;
    ledger->sub_count++;
    service->sub_count++;
    return sub;
}

static void seen_tell_all(tm_ledger *ledger);

void tm_hub_leave(tm_sub *sub) {
    tm_conn *conn = sub->conn;
    tm_ledger *ledger = sub->ledger;
    tm_service *service = conn->service;
    // What it has seen is still news to the others.
    if (ledger->seen_due) seen_tell_all(ledger);
    while (sub->held_first != NULL) {
        tm_held *held = sub->held_first;
        sub->held_first = held->next;
        tm_frame_release(service, held->frame);
        tm_frame_release(service, held->bare);
        held_free(sub, held);
    }
    if (sub->call != NULL) sub->call->sub = NULL;
    tm_sub **link = &conn->subs;
    while (*link != sub) {
        link = &(*link)->conn_next;
    }
    *link = sub->conn_next;
    conn->sub_count--;
    if (sub->prev != NULL) {
        sub->prev->next = sub->next;
    } else {
        ledger->subs = sub->next;
    }
    if (sub->next != NULL) sub->next->prev = sub->prev;
    ledger->sub_count--;
    service->sub_count--;
    tm_alloc_put(service->alloc, sub, sizeof *sub);
}

// ---- holding ------------------------------------------------------------------------

// Takes both frames.
static void hold(tm_sub *sub, tm_frame *frame, tm_frame *bare) {
    tm_service *service = sub->conn->service;
    tm_held *held = tm_alloc_get(service->alloc, sizeof *held);
    if (held == NULL || frame == NULL) {
        tm_frame_release(service, frame);
        tm_frame_release(service, bare);
        if (held != NULL) held_free(sub, held);
        tm_conn_send(sub->conn, NULL);
        return;
    }
    held->frame = frame;
    held->bare = bare;
    if (sub->held_last != NULL) {
        sub->held_last->next = held;
    } else {
        sub->held_first = held;
    }
    sub->held_last = held;
    sub->held_bytes += frame->len;
}

// Sends what was held: all of it, or the acks alone.
static void held_send(tm_sub *sub, bool bare) {
    tm_service *service = sub->conn->service;
    while (sub->held_first != NULL) {
        tm_held *held = sub->held_first;
        sub->held_first = held->next;
        tm_frame *sent = bare ? held->bare : held->frame;
        tm_frame *other = bare ? held->frame : held->bare;
        tm_frame_release(service, other);
        if (sent != NULL) tm_conn_send(sub->conn, sent);
        held_free(sub, held);
    }
    sub->held_last = NULL;
    sub->held_bytes = 0;
}

void tm_hub_wait(tm_sub *sub) {
    held_send(sub, true);
    sub->state = TM_SUB_WAITING;
}

void tm_hub_hold(tm_sub *sub) {
    held_send(sub, true);
    sub->state = TM_SUB_HOLDING;
    sub->from = sub->ledger->head;
}

void tm_hub_live(tm_sub *sub) {
    held_send(sub, false);
    sub->state = TM_SUB_LIVE;
    sub->call = NULL;
    if (sub->digested != sub->ledger->head) sub->ledger->digest_due = true;
}

void tm_hub_behind(tm_sub *sub) {
    if (sub->state == TM_SUB_BEHIND) return;
    tm_service *service = sub->conn->service;
    service->counts.behinds++;
    if (sub->call != NULL) { // nobody needs the rest of its backlog
        tm_call *call = sub->call;
        tm_call_leave(call);
    }
    sub->state = TM_SUB_BEHIND;
    tm_buf *out = tm_answer_begin(service);
    tm_put_frame(out, "BEHIND", sub->ledger->key.list);
    tm_buf_byte(out, '}');
    tm_answer_send(service, sub->conn);
    held_send(sub, true);
}

// ---- news ---------------------------------------------------------------------------

static tm_frame *batch_frame(tm_ledger *ledger, const tm_batch *batch) {
    tm_buf *out = tm_answer_begin(ledger->service);
    tm_put_frame(out, "OPERATIONS", ledger->key.list);
    tm_put_number(out, "from", batch->first_seq);
    tm_put_cursor(out, ledger, batch->last_seq, batch->mark);
    tm_put_key(out, "operations");
    tm_buf_put(out, batch->operations);
    tm_buf_byte(out, '}');
    return tm_answer_frame(ledger->service);
}

// For ears that the host alone knows.
static void news_put(tm_service *service, tm_frame *frame) {
    if (frame == NULL) return;
    tm_effect_slot slot = {
        .effect = {.kind = TM_EFFECT_NEWS, .frame = tm_frame_keep(frame)}};
    if (tm_effects_send(&service->effects, &slot) != TM_OK) {
        tm_frame_release(service, frame);
    }
}

void tm_hub_tell(tm_ledger *ledger, const tm_batch *batch) {
    tm_service *service = ledger->service;
    tm_frame *frame = NULL;
    // What was found by reading on, whoever appended it has told.
    bool tried = service->config.news && ledger->batch.first != NULL;
    if (tried) frame = batch_frame(ledger, batch);
    if (tried) news_put(service, frame);
    for (tm_sub *sub = ledger->subs, *next; sub != NULL; sub = next) {
        next = sub->next;
        bool hears = sub->state == TM_SUB_LIVE || sub->state == TM_SUB_HOLDING;
        if (!hears || sub->conn->last_save != NULL) continue;
        if (sub->state == TM_SUB_LIVE
                ? tm_conn_slow(sub->conn)
                : sub->held_bytes > service->config.queue_soft_max) {
            tm_hub_behind(sub);
            continue;
        }
        if (!tried) frame = batch_frame(ledger, batch); // once for all
        tried = true;
        tm_frame *one = frame == NULL ? NULL : tm_frame_keep(frame);
        if (sub->state == TM_SUB_LIVE) {
            tm_conn_send(sub->conn, one);
        } else {
            hold(sub, one, NULL);
        }
    }
    tm_frame_release(service, frame);
}

void tm_hub_saved(tm_sub *sub, tm_frame *frame, tm_frame *bare) {
    if (sub->state == TM_SUB_HOLDING) {
        hold(sub, frame, bare);
    } else {
        tm_frame_release(sub->conn->service, bare);
        tm_conn_send(sub->conn, frame);
    }
}

// ---- SEEN ---------------------------------------------------------------------------

// The highest cursor that any other connection has reported.
static uint64_t seen_by_others(const tm_ledger *ledger, const tm_conn *conn) {
    uint64_t seen = 0;
    for (const tm_sub *sub = ledger->subs; sub != NULL; sub = sub->next) {
        if (sub->conn != conn && sub->seen > seen) seen = sub->seen;
    }
    return seen;
}

static void seen_send(tm_conn *conn, tm_span list, uint64_t version) {
    tm_buf *out = tm_answer_begin(conn->service);
    tm_put_frame(out, "SEEN", list);
    tm_put_number(out, "version", version);
    tm_buf_byte(out, '}');
    tm_answer_send(conn->service, conn);
}

// The two highest: of the one who reported the first, the second is the others'.
static void seen_tell_all(tm_ledger *ledger) {
    const tm_sub *top = NULL;
    uint64_t first = 0, second = 0;
    for (const tm_sub *sub = ledger->subs; sub != NULL; sub = sub->next) {
        if (sub->seen > first) {
            second = first;
            first = sub->seen;
            top = sub;
        } else if (sub->seen > second) {
            second = sub->seen;
        }
    }
    for (tm_sub *sub = ledger->subs; sub != NULL; sub = sub->next) {
        uint64_t seen = sub == top ? second : first;
        if (seen <= sub->seen_told) continue;
        sub->seen_told = seen;
        seen_send(sub->conn, ledger->key.list, seen);
    }
    ledger->seen_due = false;
    ledger->seen_next_ms = ledger->service->now.mono_ms + SEEN_MS;
}

void tm_hub_seen(tm_conn *conn, tm_span list, tm_ledger *ledger, uint64_t version) {
    tm_sub *sub = ledger == NULL ? NULL : tm_hub_find(conn, ledger);
    uint64_t others = ledger == NULL ? 0 : seen_by_others(ledger, conn);
    seen_send(conn, list, others);
    if (sub == NULL) return;
    sub->seen_told = others;
    // Nobody has seen what there is not: a client of a log that was rolled back.
    if (version > ledger->head) version = ledger->head;
    if (version <= sub->seen) return;
    sub->seen = version;
    ledger->seen_due = true;
    if (ledger->service->now.mono_ms >= ledger->seen_next_ms) {
        seen_tell_all(ledger);
    }
}

// ---- DIGEST -------------------------------------------------------------------------

static tm_frame *digest_frame(const tm_ledger *ledger) {
    uint8_t hex[32];
    tm_digest_hex(tm_list_digest(ledger->list), hex);
    tm_buf *out = tm_answer_begin(ledger->service);
    tm_put_frame(out, "DIGEST", ledger->key.list);
    tm_put_number(out, "version", ledger->head);
    tm_put_number(out, "format", TM_STATE_FORMAT);
    tm_put_text(out, "digest", (tm_span){hex, sizeof hex});
    tm_buf_byte(out, '}');
    return tm_answer_frame(ledger->service);
}

static void digest_tell(tm_ledger *ledger) {
    tm_service *service = ledger->service;
    tm_frame *frame = NULL;
    ledger->digest_due = false;
    for (tm_sub *sub = ledger->subs; sub != NULL; sub = sub->next) {
        if (sub->state != TM_SUB_LIVE || sub->digested == ledger->head) continue;
        if (tm_conn_slow(sub->conn)) continue; // it has other worries
        if (frame == NULL) frame = digest_frame(ledger);
        if (frame == NULL) return; // the next change brings another
        sub->digested = ledger->head;
        service->counts.digests++;
        tm_conn_send(sub->conn, tm_frame_keep(frame));
    }
    tm_frame_release(service, frame);
}

uint64_t tm_hub_deadline(const tm_ledger *ledger) {
    uint64_t at = UINT64_MAX;
    if (ledger->subs == NULL) return at;
    if (ledger->digest_due) at = ledger->changed_ms + QUIET_MS;
    if (ledger->seen_due && ledger->seen_next_ms < at) at = ledger->seen_next_ms;
    return at;
}

void tm_hub_ring(tm_ledger *ledger) {
    uint64_t now_ms = ledger->service->now.mono_ms;
    if (ledger->seen_due && ledger->seen_next_ms <= now_ms) seen_tell_all(ledger);
    if (ledger->digest_due && ledger->changed_ms + QUIET_MS <= now_ms) {
        digest_tell(ledger);
    }
}
