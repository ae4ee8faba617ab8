// sync.c - see inner.h. What is sent, and when. SEMANTICS 6; DESIGN 4.
//
// One save and one pull are out at most. By itself the engine pushes 50 ms after an edit
// (so that a burst is one request), pulls as its channel asks for, and backs off when
// nothing answers. In manual mode only what was asked for goes out.
#include "client/arrive.h"

#include <string.h>

#define FLUSH_MS        50u
#define SAVE_TIMEOUT_MS 20000u
#define PULL_TIMEOUT_MS 20000u
#define WAIT_S          25u // of a long poll: below what proxies cut
#define POLL_MS         4000u
#define POLL_HIDDEN_MS  30000u
#define POLL_MIN_MS     1000u // between waiting pulls that come back at once
#define BACK_OFF_MS     500u
#define BACK_OFF_MAX_MS 30000u
#define BEAT_MS         20000u // a heartbeat so often ...
#define BEAT_MIN_MS     1000u  // ... and at most so often when the cursor moved
#define BEAT_ANSWER_MS  10000u
#define SILENT_MS       30000u

// ---- back-off -----------------------------------------------------------------------

void tm_sync_fail(tm_engine *e) {
    tm_sync *sync = &e->sync;
    if (e->manual) return;
    uint64_t wait = BACK_OFF_MAX_MS;
    if (sync->failures < 6) wait = (uint64_t)BACK_OFF_MS << sync->failures;
    sync->failures++;
    sync->retry_ms = e->now.mono_ms + 1 + tm_engine_draw(e) % wait; // full jitter
    e->status_changed = true;
}

void tm_sync_good(tm_engine *e) {
    if (e->sync.failures > 0) e->status_changed = true;
    e->sync.failures = 0;
    e->sync.retry_ms = 0;
}

void tm_sync_flush(tm_engine *e) {
    tm_sync *sync = &e->sync;
    if (e->manual) return;
    if (e->queue.pending >= TM_PUSH_OPS_MAX) sync->push = true;
    if (sync->flushed) return;
    sync->flushed = true;
    sync->flush_ms = e->now.mono_ms + FLUSH_MS;
}

// ---- writing ------------------------------------------------------------------------

static tm_span mark_of(const tm_engine *e) {
    return e->sync.force ? TM_SPAN("none") : e->mark;
}

static void query_text(tm_buf *out, const char *name, tm_span text) {
    static const char hex[] = "0123456789ABCDEF";
    tm_buf_text(out, name);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool plain = (c >= '0' && c <= '9') ||
                     ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '.' ||
                     c == '_' || c == '~';
        if (!plain) tm_buf_byte(out, '%');
        tm_buf_byte(out, plain ? c : (uint8_t)hex[c >> 4]);
        if (!plain) tm_buf_byte(out, (uint8_t)hex[c & 15]);
    }
}

static void query_number(tm_buf *out, const char *name, uint64_t number) {
    tm_buf_text(out, name);
    tm_buf_u64(out, number);
}

static void cursor_write(tm_engine *e) {
    tm_out_number(&e->sent, TM_WORD_SINCE, e->cursor);
    tm_out_text(&e->sent, TM_WORD_MARK, mark_of(e));
}

static void acked_write(tm_engine *e) {
    uint64_t acked = tm_queue_acked(&e->queue);
    if (acked > 0) tm_out_number(&e->sent, TM_WORD_ACKED, acked);
}

static void frame_begin(tm_engine *e, tm_span type) {
    tm_buf_reset(&e->sent);
    tm_buf_byte(&e->sent, '{');
    tm_out_text(&e->sent, TM_WORD_TYPE, type);
    tm_out_text(&e->sent, TM_WORD_LIST, e->list);
}

// How the client is doing, for whoever runs the server.
static void client_write(tm_engine *e, const tm_own *oldest) {
    // A clock that was put right leaves an offset that reaches below 1970 until the next
    // answer: then now is long past, and nothing is old.
    int64_t now = (int64_t)(e->now.wall_ms + e->offset_ms);
    int64_t made = (int64_t)(oldest->op.at.time >> TM_LOGICAL_BITS);
    uint64_t age = now > made ? (uint64_t)(now - made) : 0;
    tm_out_open(&e->sent, TM_WORD_CLIENT, '{');
    tm_out_number(&e->sent, TM_WORD_QUEUED, e->queue.pending);
    tm_out_number(&e->sent, TM_WORD_OLDEST, age);
    tm_out_number(&e->sent, TM_WORD_FALLBACKS, e->sync.fallbacks);
    tm_buf_text(&e->sent, "}}");
}

// ---- saves --------------------------------------------------------------------------

// The first in line that may be sent. Not what a pull will bring, and not what is part of
// a batch that is being made.
static const tm_own *sendable(const tm_engine *e, const tm_own *own) {
    while (own != NULL && own->waits) {
        own = own->link[TM_LINE_QUEUE].next;
    }
    bool unfinished = own != NULL && e->batch != NULL && own->entry == e->batch;
    return unfinished ? NULL : own;
}

// The line that goes out next: the oldest writer's, then what is offered. NULL: nothing.
static const tm_own *save_line(tm_engine *e, tm_writer **writer) {
    for (tm_writer *w = e->queue.writers; w != NULL; w = w->next) {
        const tm_own *first = sendable(e, w->line.first);
        *writer = w;
        if (first != NULL && w->adopted != 0) return first;
    }
    *writer = NULL;
    if (e->sync.offering && tm_offer_make(e) != TM_OK) return NULL;
    if (tm_offer_number(e) != TM_OK) return NULL;
    return sendable(e, e->queue.offers.first);
}

// SEMANTICS 6: the oldest, at most 100 and 256 KiB; one at a time while a refusal is
// being looked for.
static void ops_write(tm_engine *e, const tm_own *own) {
    tm_sync *sync = &e->sync;
    tm_buf *out = &e->sent;
    size_t max = sync->single > 0 ? 1 : TM_PUSH_OPS_MAX, from = out->len;
    sync->save_count = 0;
    sync->save_id_len = (uint8_t)own->op.id.len;
    memcpy(sync->save_id, own->op.id.ptr, own->op.id.len);
    tm_out_open(out, TM_WORD_OPERATIONS, '[');
    for (; own != NULL && sync->save_count < max;
         own = sendable(e, own->link[TM_LINE_QUEUE].next)) {
        const tm_op *op = &own->op;
        size_t before = out->len;
        tm_out_comma(out);
        tm_op_pass(
            out, op,
            &(tm_op_change){0, &op->at.time, &op->at.browser, op->at.version});
        if (out->len - from > TM_PUSH_BYTES_MAX && sync->save_count > 0) {
            out->len = before;
            break;
        }
        sync->save_count++;
    }
    tm_buf_byte(out, ']');
}

static bool save_write(tm_engine *e) {
    tm_sync *sync = &e->sync;
    tm_writer *writer;
    const tm_own *first = save_line(e, &writer);
    bool push = sync->channel == TM_CHANNEL_PUSH;
    sync->push = sync->flushed = false;
    if (first == NULL) return false;
    if (push) {
        frame_begin(e, TM_SPAN("SAVE"));
        tm_out_number(&e->sent, TM_WORD_REF, sync->last_ref + 1);
    } else {
        tm_buf_reset(&e->sent);
        tm_buf_byte(&e->sent, '{');
    }
    tm_out_text(&e->sent, TM_WORD_USER, e->user);
    if (!push && !e->manual) cursor_write(e);
    acked_write(e);
    ops_write(e, first);
    client_write(e, first);
    sync->save_writer = writer;
    return true;
}

// ---- pulls --------------------------------------------------------------------------

static void pull_write(tm_engine *e) {
    tm_buf *out = &e->sent;
    tm_sync *sync = &e->sync;
    uint64_t acked = tm_queue_acked(&e->queue);
    if (sync->channel == TM_CHANNEL_PUSH) {
        frame_begin(e, TM_SPAN("SUBSCRIBE"));
        tm_out_text(out, TM_WORD_USER, e->user);
        cursor_write(e);
        acked_write(e);
        tm_buf_byte(out, '}');
        return;
    }
    tm_buf_reset(out);
    query_number(out, "since=", e->cursor);
    query_text(out, "&mark=", mark_of(e));
    if (acked > 0) query_number(out, "&acked=", acked);
    query_text(out, "&user=", e->user);
    if (!e->manual && sync->channel == TM_CHANNEL_LONGPOLL && sync->head_seen &&
        !sync->force) {
        query_number(out, "&wait=", WAIT_S);
    }
}

static tm_send sent(tm_engine *e, tm_send_kind kind, tm_request_out *out,
                    uint32_t timeout_ms) {
    tm_send none = {TM_SEND_NONE, 0, {NULL, 0}, 0};
    if (tm_buf_status(&e->sent) != TM_OK) { // no memory to say it
        tm_sync_fail(e);
        return none;
    }
    uint64_t ref = 0;
    if (out != NULL) {
        ref = ++e->sync.last_ref;
        *out = (tm_request_out){ref, e->now.mono_ms, tm_queue_acked(&e->queue),
                                e->generation, e->cursor};
        if (e->sync.channel == TM_CHANNEL_PUSH) e->sync.pull_out.acked = out->acked;
    }
    return (tm_send){kind, ref, tm_buf_span(&e->sent), timeout_ms};
}

static bool push_due(const tm_engine *e) {
    const tm_sync *sync = &e->sync;
    if (sync->save_out.ref != 0) return false;
    return sync->push || (sync->flushed && e->now.mono_ms >= sync->flush_ms);
}

static bool pull_due(const tm_engine *e) {
    const tm_sync *sync = &e->sync;
    if (sync->pull_out.ref != 0) return false;
    return sync->pull || (!e->manual && sync->channel != TM_CHANNEL_PUSH &&
                          e->now.mono_ms >= sync->poll_ms);
}

static uint64_t beat_due_ms(const tm_engine *e) {
    const tm_sync *sync = &e->sync;
    if (e->manual || sync->channel != TM_CHANNEL_PUSH || !sync->head_seen) {
        return TM_NEVER;
    }
    uint64_t wait = sync->told_version == e->cursor ? BEAT_MS : BEAT_MIN_MS;
    return sync->beat_ms + wait;
}

tm_send tm_engine_take(tm_engine *e, tm_now now) {
    tm_sync *sync = &e->sync;
    tm_send none = {TM_SEND_NONE, 0, {NULL, 0}, 0};
    e->now = now;
    if (!e->started || sync->channel == TM_CHANNEL_NONE || sync->stopped ||
        sync->waits || now.mono_ms < sync->retry_ms) {
        return none;
    }
    bool push = sync->channel == TM_CHANNEL_PUSH;
    if (push && pull_due(e)) { // first: what is saved behind it comes in order
        pull_write(e);
        sync->pull = false;
        sync->asked_cursor = e->cursor;
        return sent(e, TM_SEND_FRAME, &sync->pull_out, 0);
    }
    if (push_due(e) && save_write(e)) {
        return sent(e, TM_SEND_SAVE, &sync->save_out, SAVE_TIMEOUT_MS);
    }
    if (pull_due(e)) {
        pull_write(e);
        sync->pull = false;
        bool waits = sync->channel == TM_CHANNEL_LONGPOLL;
        return sent(e, TM_SEND_PULL, &sync->pull_out,
                    PULL_TIMEOUT_MS + (waits ? WAIT_S * 1000 : 0));
    }
    if (now.mono_ms >= beat_due_ms(e)) {
        frame_begin(e, TM_SPAN("SEEN"));
        tm_out_number(&e->sent, TM_WORD_VERSION, e->cursor);
        tm_buf_byte(&e->sent, '}');
        sync->beat_ms = now.mono_ms;
        sync->beat_owed = sync->told_version == e->cursor;
        sync->told_version = e->cursor;
        return sent(e, TM_SEND_FRAME, NULL, 0);
    }
    return none;
}

// ---- answers ------------------------------------------------------------------------

// What an answer leaves to be done. The arena is free again.
static void after(tm_engine *e) {
    tm_sync *sync = &e->sync;
    if (sync->offering && sync->save_out.ref == 0 && tm_offer_make(e) != TM_OK) {
        e->status_changed = true; // made when it is to be sent
    }
    if (e->manual) return;
    if (e->queue.pending > 0 || e->queue.offers.count > 0) sync->push = true;
}

static void problem(tm_engine *e, const tm_doc *doc, tm_span code) {
    if (doc->at[TM_WORD_CODE].text.ptr != NULL) code = doc->at[TM_WORD_CODE].text;
    tm_note_text(e, TM_EVENT_PROBLEM, code, doc->at[TM_WORD_DETAIL].text);
}

// 400 and 413: something in the request is refused by whoever reads it first. Alone it
// is a dead letter; among others it is looked for.
static void save_refused(tm_engine *e, const tm_doc *doc, tm_span code) {
    tm_sync *sync = &e->sync;
    tm_own *own =
        tm_queue_find(&e->queue, (tm_span){sync->save_id, sync->save_id_len});
    if (doc->at[TM_WORD_CODE].text.ptr != NULL) code = doc->at[TM_WORD_CODE].text;
    if (sync->save_count > 1) {
        sync->single = sync->save_count;
        return;
    }
    if (sync->single > 0) sync->single--;
    if (own != NULL && tm_arrive_reject(e, own, code) != TM_OK) tm_sync_fail(e);
}

static void refused(tm_engine *e, uint64_t http, const tm_doc *doc, bool ours,
                    bool save) {
    tm_sync *sync = &e->sync;
    if (http == 401) {
        sync->waits = true;
        e->status_changed = true;
        tm_note_text(e, TM_EVENT_AUTHORIZE, (tm_span){NULL, 0}, (tm_span){NULL, 0});
        return;
    }
    if (ours && http == 409 && tm_text_is(doc->at[TM_WORD_CODE].text, "user")) {
        sync->stopped = true;
        problem(e, doc, TM_SPAN("user"));
        return;
    }
    if (save && ((ours && http == 400) || http == 413)) {
        save_refused(e, doc, TM_SPAN("too-large"));
        return;
    }
    if (ours && http < 500 && http != 429) problem(e, doc, TM_SPAN("refused"));
    tm_sync_fail(e);
}

static void save_done(tm_engine *e, tm_status status) {
    tm_sync *sync = &e->sync;
    if (status == TM_OK && sync->single > 0) sync->single--;
}

static void pull_done(tm_engine *e, tm_status status, const tm_request_out *asked) {
    tm_sync *sync = &e->sync;
    uint64_t now = e->now.mono_ms, every = sync->hidden ? POLL_HIDDEN_MS : POLL_MS;
    bool behind = e->cursor < e->head;
    if (status == TM_OK && behind) sync->pull = true;
    if (sync->channel == TM_CHANNEL_LONGPOLL) {
        every = now - asked->sent_ms < POLL_MIN_MS ? POLL_MIN_MS : 0;
    }
    sync->poll_ms = now + every;
}

void tm_engine_answer(tm_engine *e, tm_now now, uint64_t ref, uint32_t http,
                      tm_span body) {
    tm_sync *sync = &e->sync;
    e->now = now;
    bool save = ref == sync->save_out.ref;
    if (ref == 0 || (!save && ref != sync->pull_out.ref)) return;
    tm_request_out asked = save ? sync->save_out : sync->pull_out;
    (save ? &sync->save_out : &sync->pull_out)->ref = 0;
    tm_arena_reset(&e->arena);
    tm_status status = TM_E_CORRUPT;
    uint64_t before = e->cursor;
    if (http == 200) {
        status = tm_arrive_http(e, &asked, save, body);
        if (status == TM_OK && !save && e->cursor < e->head &&
            e->cursor == before && asked.cursor == before) {
            status = TM_E_AGAIN; // it says there is more, and gives nothing
        }
        if (status == TM_OK) {
            tm_sync_good(e);
        } else {
            tm_sync_fail(e);
        }
    } else {
        tm_doc doc = {0};
        bool ours = http != 0 && tm_doc_parse(body, &e->arena, &doc) == TM_OK &&
                    doc.at[TM_WORD_CODE].text.ptr != NULL;
        refused(e, http, &doc, ours, save);
    }
    if (save) save_done(e, status);
    if (!save) pull_done(e, status, &asked);
    after(e);
}

void tm_engine_feed(tm_engine *e, tm_now now, tm_span frame) {
    tm_sync *sync = &e->sync;
    tm_doc doc;
    e->now = now;
    if (sync->channel != TM_CHANNEL_PUSH) return;
    sync->heard_ms = now.mono_ms;
    sync->beat_owed = false;
    tm_arena_reset(&e->arena);
    uint64_t save = sync->save_out.ref, before = e->cursor;
    tm_status status = tm_arrive_frame(e, frame, &doc);
    bool better =
        e->cursor != before || e->cursor >= e->head || save != sync->save_out.ref;
    if (status == TM_OK && better) tm_sync_good(e);
    if (status == TM_E_STATE) {
        uint64_t ref = doc.at[TM_WORD_REF].number,
                 http = doc.at[TM_WORD_STATUS].number;
        bool saved = ref != 0 && ref == sync->save_out.ref;
        if (saved) sync->save_out.ref = 0;
        if (!saved) sync->pull_out.ref = 0;
        refused(e, http, &doc, true, saved);
        if (!saved && !e->manual) sync->pull = true;
    } else if (status == TM_E_AGAIN) {
        tm_sync_fail(e);
    } else if (status == TM_E_NOMEM) { // part of it may be lost: begin again, later
        tm_sync_fail(e);
        sync->pull = sync->pull_out.ref == 0;
    }
    if (save != 0 && sync->save_out.ref == 0) save_done(e, status);
    after(e);
}

// ---- the host's words -----------------------------------------------------------------

void tm_engine_channel(tm_engine *e, tm_now now, tm_channel channel) {
    tm_sync *sync = &e->sync;
    e->now = now;
    if (sync->channel == TM_CHANNEL_PUSH && channel != TM_CHANNEL_PUSH &&
        channel != TM_CHANNEL_NONE) {
        sync->fallbacks++;
    }
    sync->channel = channel;
    sync->save_out.ref = sync->pull_out.ref = 0;
    sync->head_seen = sync->follows = false;
    sync->parts_next = 0;
    sync->asked_cursor = TM_NEVER;
    sync->heard_ms = sync->beat_ms = now.mono_ms;
    sync->beat_owed = false;
    sync->poll_ms = now.mono_ms;
    sync->retry_ms = 0;
    sync->push = sync->pull = !e->manual && channel != TM_CHANNEL_NONE;
    tm_buf_deinit(&sync->parts);
    e->status_changed = true;
}

void tm_engine_visible(tm_engine *e, tm_now now, bool visible) {
    e->now = now;
    e->sync.hidden = !visible;
    if (visible && !e->manual && e->sync.channel != TM_CHANNEL_PUSH) {
        e->sync.poll_ms = now.mono_ms;
    }
}

void tm_engine_ask(tm_engine *e, tm_now now, uint32_t asks) {
    tm_sync *sync = &e->sync;
    e->now = now;
    if (sync->channel == TM_CHANNEL_NONE) return;
    if ((asks & TM_ASK_PUSH) != 0) sync->push = true;
    if ((asks & TM_ASK_PULL) != 0) sync->pull = true;
    sync->retry_ms = 0;
}

void tm_engine_authorized(tm_engine *e, tm_now now) {
    tm_sync *sync = &e->sync;
    e->now = now;
    if (!sync->waits) return;
    sync->waits = false;
    if (!e->manual) sync->push = sync->pull = true;
    e->status_changed = true;
}

// ---- time ---------------------------------------------------------------------------

static uint64_t silent_ms(const tm_engine *e) {
    const tm_sync *sync = &e->sync;
    uint64_t at = TM_NEVER, since = sync->heard_ms;
    if (sync->channel != TM_CHANNEL_PUSH || e->manual) return TM_NEVER;
    if (sync->beat_owed) {
        at = sync->beat_ms + BEAT_ANSWER_MS;
    } else if (!sync->head_seen && !sync->pull && !sync->waits && !sync->stopped) {
        at = since +
             SILENT_MS; // no heartbeats yet, but what was subscribed to is owed
    }
    const tm_request_out *outs[2] = {&sync->save_out, &sync->pull_out};
    for (int i = 0; i < 2; i++) {
        if (outs[i]->ref == 0) continue;
        uint64_t from = outs[i]->sent_ms > since ? outs[i]->sent_ms : since;
        if (from + SILENT_MS < at) at = from + SILENT_MS;
    }
    return at;
}

static void earlier(uint64_t *at, uint64_t other) {
    if (other < *at) *at = other;
}

uint64_t tm_sync_deadline(const tm_engine *e) {
    const tm_sync *sync = &e->sync;
    uint64_t at = TM_NEVER;
    if (sync->channel == TM_CHANNEL_NONE || sync->stopped || sync->waits) return at;
    if (sync->flushed && sync->save_out.ref == 0) at = sync->flush_ms;
    if (sync->pull_out.ref == 0 && !e->manual && sync->channel != TM_CHANNEL_PUSH) {
        earlier(&at, sync->poll_ms);
    }
    bool wants = (sync->push && sync->save_out.ref == 0) ||
                 (sync->pull && sync->pull_out.ref == 0);
    if (wants) at = 0;
    earlier(&at, beat_due_ms(e));
    if (at < sync->retry_ms) at = sync->retry_ms;
    earlier(&at, silent_ms(e));
    return at;
}

// The line looks open and nobody is there. The host opens another.
void tm_sync_tick(tm_engine *e) {
    if (e->now.mono_ms < silent_ms(e)) return;
    tm_engine_channel(e, e->now, TM_CHANNEL_NONE);
    tm_note_text(e, TM_EVENT_PROBLEM, TM_SPAN("silent"), (tm_span){NULL, 0});
}
