// backlog.c - see serve.h: what a new subscription has missed. SUBSCRIBED, then
// everything since, then what was held; or a snapshot in parts.
//
// It is sent no faster than the connection takes it: when more is unsent than should be,
// the call waits in `sending` until the connection has drained. One frame a turn beyond
// that bound is the most there is.
#include "service/serve.h"
#include "service/snapshot.h"

#include <string.h>

#define FRAME_ROOM 1024u // what a frame has beside its operations or data

static void next_step(tm_call *call);

// `version` is where the connection stands before what follows; its mark is said if it is
// known.
static void subscribed_send(tm_call *call, uint64_t version, const uint8_t *mark) {
    if (call->begun) return;
    call->begun = true;
    const tm_ledger *ledger = call->ledger;
    tm_buf *out = tm_answer_begin(call->service);
    tm_put_frame(out, "SUBSCRIBED", ledger->key.list);
    tm_put_text(out, "user", ledger->key.user);
    tm_put_number(out, "version", version);
    tm_put_mark(out, "mark", mark == NULL ? 0 : version, mark);
    tm_put_number(out, "head", ledger->head);
    tm_put_number(out, "serverTime", call->service->now.wall_ms);
    tm_buf_byte(out, '}');
    tm_answer_send(call->service, call->conn);
}

static void finish(tm_call *call) {
    tm_sub *sub = call->sub;
    tm_call_end(call);
    tm_hub_live(sub);
}

static void wait_for_conn(tm_call *call) {
    tm_calls_remove(call);
    tm_calls_add(&call->service->sending, call);
}

// ---- pages --------------------------------------------------------------------------

// Sends the page that was picked; the call's cursor is then at its end.
static void page_send(tm_call *call) {
    tm_service *service = call->service;
    const tm_page *page = &service->page;
    const uint8_t *mark = call->mark_kind == TM_MARK_GIVEN ? call->mark : NULL;
    subscribed_send(call, call->since, page->count == 0 ? page->mark : mark);
    tm_buf *out = tm_answer_begin(service);
    tm_put_frame(out, "OPERATIONS", call->ledger->key.list);
    tm_put_number(out, "from", call->since + 1);
    tm_put_cursor(out, call->ledger, page->version, page->mark);
    tm_put_key(out, "operations");
    tm_arena_reset(&service->arena);
    tm_status status = tm_page_write(page, NULL, 0, &service->arena, out);
    tm_buf_byte(out, '}');
    if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
        return;
    }
    if (page->count > 0) tm_answer_send(service, call->conn);
    call->since = page->version;
    call->mark_kind = page->version == 0 ? TM_MARK_EMPTY : TM_MARK_GIVEN;
    memcpy(call->mark, page->mark, TM_MARK_LEN);
    next_step(call);
}

static void pages_next(tm_call *call) {
    if (call->since == call->sub->from) {
        finish(call);
    } else if (tm_conn_slow(call->conn)) {
        wait_for_conn(call);
    } else {
        tm_serve_subscribe(call);
    }
}

// ---- a snapshot ---------------------------------------------------------------------

// How many bytes from `at` on fit into one part: escaped not more than `room`, and cut
// where a scalar value begins.
static size_t part_len(tm_span text, size_t at, size_t room) {
    size_t end = at, used = 0;
    while (end < text.len) {
        uint8_t byte = text.ptr[end];
        size_t cost = 1;
        if (byte == '"' || byte == '\\') cost = 2;
        if (byte < 0x20) cost = 6;
        if (used + cost > room) break;
        used += cost;
        end++;
    }
    while (end > at && end < text.len && (text.ptr[end] & 0xc0) == 0x80) {
        end--;
    }
    return end - at;
}

static size_t part_room(void) {
    return TM_PART_BYTES_MAX - FRAME_ROOM;
}

static void snapshot_begin(tm_call *call) {
    tm_service *service = call->service;
    const tm_ledger *ledger = call->ledger;
    if (!call->verified) {
        tm_hub_wait(call->sub);
        tm_ledger_verify(call->ledger, call);
        return;
    }
    tm_hub_hold(call->sub); // what came meanwhile is in the snapshot
    subscribed_send(call, 0, NULL);
    tm_buf_reset(&call->text);
    tm_snapshot_send(ledger, &call->text);
    if (call->text.status != TM_OK) {
        tm_call_fail(call, &tm_problem_memory);
        return;
    }
    call->version = call->since = ledger->head;
    call->mark_kind = TM_MARK_GIVEN;
    memcpy(call->mark, ledger->mark, TM_MARK_LEN);
    call->text_at = 0;
    call->part = call->parts = 0;
    tm_span text = tm_buf_span(&call->text);
    for (size_t at = 0; at < text.len; at += part_len(text, at, part_room())) {
        call->parts++;
    }
    service->counts.snapshots++;
    service->counts.snapshot_bytes += text.len;
    next_step(call);
}

static void part_send(tm_call *call) {
    tm_span text = tm_buf_span(&call->text);
    size_t len = part_len(text, call->text_at, part_room());
    tm_buf *out = tm_answer_begin(call->service);
    tm_put_frame(out, "SNAPSHOT", call->ledger->key.list);
    tm_put_number(out, "version", call->version);
    tm_put_mark(out, "mark", call->version, call->mark);
    tm_put_number(out, "part", ++call->part);
    tm_put_number(out, "parts", call->parts);
    tm_put_text(out, "data", (tm_span){text.ptr + call->text_at, len});
    tm_buf_byte(out, '}');
    call->text_at += len;
    tm_answer_send(call->service, call->conn);
}

static void parts_next(tm_call *call) {
    while (call->part < call->parts) {
        if (call->part > 0 && tm_conn_slow(call->conn)) {
            wait_for_conn(call);
            return;
        }
        part_send(call);
    }
    finish(call);
}

// -------------------------------------------------------------------------------------

static void next_step(tm_call *call) {
    if (call->conn->closing) { // for want of memory; nothing more will arrive there
        tm_sub *sub = call->sub;
        tm_call_end(call);
        tm_hub_leave(sub);
    } else if (call->parts > 0) {
        parts_next(call);
    } else {
        pages_next(call);
    }
}

static void backlog_read(tm_call *call, tm_status status, const tm_batch *batches,
                         size_t count, bool more) {
    (void)more;
    if (status != TM_OK) {
        tm_call_fail(call, tm_problem_of(status));
    } else if (call->ledger->state == TM_LEDGER_COLD) {
        tm_ledger_wait(call->ledger, call);
    } else if (tm_cursor_page(call, call->sub->from, TM_PAGE_BYTES_MAX - FRAME_ROOM,
                              batches, count)) {
        page_send(call);
    } else {
        snapshot_begin(call);
    }
}

void tm_serve_subscribe(tm_call *call) {
    if (call->sub->state == TM_SUB_WAITING) tm_hub_hold(call->sub);
    switch (
        tm_cursor_judge(call, call->sub->from, TM_PAGE_BYTES_MAX - FRAME_ROOM)) {
    case TM_SERVE_MEMORY:
        page_send(call);
        break;
    case TM_SERVE_STORE:
        tm_cursor_read(call, backlog_read);
        break;
    default:
        snapshot_begin(call);
        break;
    }
}

void tm_backlog_resume(tm_service *service) {
    tm_calls now = {NULL, NULL};
    tm_call *call;
    while ((call = service->sending.first) != NULL) {
        tm_calls_remove(call);
        tm_calls_add(&now, call);
    }
    while ((call = now.first) != NULL) {
        tm_ledger *ledger = call->ledger;
        tm_ledger_enter(ledger);
        if (tm_conn_slow(call->conn)) {
            wait_for_conn(call);
        } else {
            tm_calls_remove(call);
            next_step(call);
        }
        tm_ledger_leave(ledger);
    }
}

bool tm_backlog_ready(const tm_service *service) {
    for (const tm_call *call = service->sending.first; call != NULL;
         call = call->next) {
        if (!tm_conn_slow(call->conn)) return true;
    }
    return false;
}
