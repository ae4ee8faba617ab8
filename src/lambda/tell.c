// tell.c - see inside.h: messages to connections.
#include "lambda/inside.h"

#include <stdio.h>
#include <string.h>

#define AT_ONCE 32u

// ---- one ----------------------------------------------------------------------------

typedef struct telling {
    tm_lambda *lambda;
    size_t *left; // of those sent together
    tm_gateway_call call;
} telling;

static void on_told(tm_gateway_call *call) {
    telling *one = call->context;
    (*one->left)--;
}

static void telling_start(telling *one, tm_lambda *l, tm_span connection,
                          tm_span message, size_t *left) {
    one->lambda = l;
    one->left = left;
    one->call.connection = connection;
    one->call.message = message;
    one->call.done = on_told;
    one->call.context = one;
    (*left)++;
    tm_gateway_send(l->gateway, &one->call);
}

// They end by themselves, in a few seconds at most, and must not be left under way.
static void tellings_wait(tm_lambda *l, const size_t *left) {
    while (*left > 0) {
        tm_service_tick(l->service, tm_lambda_now(l));
        if (tm_store_poll(l->store) == 0 && *left > 0) (void)tm_http_wait(l->http);
    }
}

static void failed_say(tm_lambda *l, const telling *one) {
    if (one->call.fate == TM_GATEWAY_FAILED)
        tm_lambda_say(l, true, "push", one->call.why);
}

bool tm_tell_one(tm_lambda *l, tm_span connection, tm_span message) {
    telling one = {.lambda = l};
    size_t left = 0;
    telling_start(&one, l, connection, message, &left);
    tellings_wait(l, &left);
    failed_say(l, &one);
    tm_gateway_call_deinit(&one.call);
    return one.call.fate == TM_GATEWAY_SENT;
}

void tm_tell_cut(tm_lambda *l, tm_span connection) {
    (void)tm_tell_one(l, connection, (tm_span){NULL, 0});
}

// ---- all ----------------------------------------------------------------------------

// Those that are to be told, in the first `count` places.
static size_t pick(const tm_lambda *l, tm_listener *all, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool own =
            !l->by_http && tm_span_cmp(all[i].connection, l->event.connection) == 0;
        if (own || tm_span_cmp(all[i].list, l->list) != 0) continue;
        all[kept++] = all[i];
    }
    return kept;
}

// One message to some at once. Those that are gone are taken out of the table.
static void round_tell(tm_lambda *l, tm_listener *some, size_t count,
                       tm_span message) {
    telling tellings[AT_ONCE];
    size_t left = 0;
    memset(tellings, 0, sizeof tellings);
    for (size_t i = 0; i < count; i++) {
        telling_start(&tellings[i], l, some[i].connection, message, &left);
    }
    tellings_wait(l, &left);
    for (size_t i = 0; i < count; i++) {
        failed_say(l, &tellings[i]);
        if (tellings[i].call.fate == TM_GATEWAY_GONE) {
            // One that cannot be deleted now will be found gone again, or expire.
            tm_status status = tm_listeners_drop(l->listeners, l->event.user,
                                                 some[i].connection, some[i].list);
            if (status != TM_OK)
                tm_lambda_say(l, false, "listeners", "a row of one gone was left");
            some[i].connection.len = 0;
        }
        tm_gateway_call_deinit(&tellings[i].call);
    }
}

static void all_tell(tm_lambda *l, tm_listener *all, size_t count,
                     tm_span message) {
    for (size_t at = 0; at < count;) {
        tm_listener some[AT_ONCE];
        size_t picked = 0, place[AT_ONCE];
        for (; at < count && picked < AT_ONCE; at++) {
            if (all[at].connection.len == 0) continue;
            place[picked] = at;
            some[picked++] = all[at];
        }
        if (tm_lambda_now(l).mono_ms >= l->end_by_ms) {
            tm_lambda_say(l, true, "push",
                          "no time left: some hear it when they ask");
            return;
        }
        round_tell(l, some, picked, message);
        for (size_t i = 0; i < picked; i++) {
            all[place[i]].connection = some[i].connection;
        }
    }
}

void tm_tell_news(tm_lambda *l) {
    if (l->gateway == NULL || l->list.len == 0) return;
    if (l->news.count == 0 && !l->repeat) return;
    tm_listener *all;
    size_t count;
    tm_span nobody = {NULL, 0};
    tm_status status = tm_listeners_find(l->listeners, l->event.user, nobody,
                                         &l->arena, &all, &count);
    if (status != TM_OK) {
        tm_lambda_say(l, true, "listeners", tm_listeners_why(l->listeners));
        return;
    }
    count = pick(l, all, count);
    tm_buf behind = {.alloc = l->alloc};
    tm_buf_text(&behind, "{\"type\":\"BEHIND\",\"list\":");
    tm_buf_json(&behind, l->list);
    tm_buf_byte(&behind, '}');
    bool too_large = false;
    for (size_t i = 0; i < l->news.count; i++) {
        const tm_frame *frame = l->news.items[i];
        too_large = too_large || frame->len > l->config.frame_max;
        if (too_large) break; // what follows would leave a hole
        all_tell(l, all, count, (tm_span){frame->bytes, frame->len});
    }
    if ((too_large || l->repeat) && behind.status == TM_OK)
        all_tell(l, all, count, tm_buf_span(&behind));
    tm_buf_deinit(&behind);
    tm_frames_clear(l, &l->news);
    l->repeat = false;
}
