// lambda.c - see lambda.h: the course of an event.
#include "lambda/inside.h"

#include <string.h>

#include "lambda/thaw.h"

#define MARGIN_MS    1500u // of an event's time, for the answer's way
#define END_MS       300u  // of it, before which all must be over
#define EVENT_MIN_MS 500u
#define MEMORY_MAX   (64u << 20)
#define SNAPSHOT_OPS 256u // an instance may be gone before it is idle
#define FAILURES_MAX 3u

// ---- frames -------------------------------------------------------------------------

// Takes the frame. Without memory for the place it is dropped: who misses it, asks.
static void frames_add(tm_lambda *l, tm_frames *frames, tm_frame *frame) {
    if (frames->count == frames->cap) {
        size_t cap = frames->cap == 0 ? 16 : 2 * frames->cap;
        size_t size = sizeof frames->items[0];
        tm_frame **items = l->alloc->resize(l->alloc->context, frames->items,
                                            frames->cap * size, cap * size);
        if (items == NULL) {
            tm_frame_release(l->service, frame);
            return;
        }
        frames->items = items;
        frames->cap = cap;
    }
    frames->items[frames->count++] = frame;
}

void tm_frames_clear(tm_lambda *l, tm_frames *frames) {
    for (size_t i = 0; i < frames->count; i++) {
        tm_frame_release(l->service, frames->items[i]);
    }
    frames->count = 0;
}

static void frames_free(tm_lambda *l, tm_frames *frames) {
    tm_frames_clear(l, frames);
    tm_alloc_put(l->alloc, frames->items, frames->cap * sizeof frames->items[0]);
}

bool tm_frame_is(tm_span frame, const char *type) {
    static const tm_span head = TM_LIT("{\"type\":\"");
    tm_span word = tm_words(type);
    return frame.len > head.len + word.len &&
           memcmp(frame.ptr, head.ptr, head.len) == 0 &&
           memcmp(frame.ptr + head.len, word.ptr, word.len) == 0 &&
           frame.ptr[head.len + word.len] == '"';
}

// ---- what goes on -------------------------------------------------------------------

tm_now tm_lambda_now(tm_lambda *l) {
    return tm_http_now(l->http);
}

void tm_lambda_say(tm_lambda *l, bool bad, const char *event, const char *line) {
    if (l->config.say != NULL)
        l->config.say(l->config.say_context, bad, event, line);
}

static void effects_take(tm_lambda *l) {
    tm_effect effect;
    while (tm_service_effect(l->service, &effect)) {
        switch (effect.kind) {
        case TM_EFFECT_REPLY:
            if (effect.peer == l && !l->replied) {
                l->replied = true;
                l->reply = effect;
            } else {
                tm_frame_release(l->service, effect.frame);
            }
            break;
        case TM_EFFECT_SEND:
            frames_add(l, &l->frames, effect.frame);
            break;
        case TM_EFFECT_NEWS:
            frames_add(l, &l->news, effect.frame);
            break;
        case TM_EFFECT_CLOSE: // no memory for a frame; the client asks again
            break;
        }
    }
}

typedef struct alarm {
    tm_http_request request;
    tm_lambda *lambda;
} alarm;

static void on_alarm(tm_http_request *request) {
    alarm *one = request->context;
    tm_lambda *l = one->lambda;
    l->alarm_ms = UINT64_MAX; // one that is set for later only rings in vain
    tm_alloc_put(l->alloc, one, sizeof *one);
}

static bool alarm_set(tm_lambda *l, uint64_t at_ms, uint64_t now_ms) {
    if (l->alarm_ms <= at_ms) return true;
    alarm *one = tm_alloc_get(l->alloc, sizeof *one);
    if (one == NULL) return false;
    l->alarm_ms = at_ms;
    one->lambda = l;
    one->request =
        (tm_http_request){.delay_ms = at_ms > now_ms ? at_ms - now_ms : 0,
                          .done = on_alarm,
                          .context = one};
    tm_http_start(l->http, &one->request);
    return true;
}

// One step: takes in what has happened, and waits if nothing has.
static void step(tm_lambda *l, uint64_t until_ms) {
    tm_now now = tm_lambda_now(l);
    uint64_t at_ms = tm_service_deadline(l->service);
    if (at_ms <= now.mono_ms) return;
    if (at_ms > until_ms) at_ms = until_ms;
    if (!alarm_set(l, at_ms, now.mono_ms)) return; // then it is a busy wait
    (void)tm_http_wait(l->http);
}

bool tm_lambda_drive(tm_lambda *l, uint64_t until_ms, bool (*over)(tm_lambda *l)) {
    for (;;) {
        tm_service_tick(l->service, tm_lambda_now(l));
        while (tm_store_poll(l->store) > 0) {
        }
        effects_take(l);
        if (over(l)) return true;
        if (tm_lambda_now(l).mono_ms >= until_ms) return false;
        step(l, until_ms);
    }
}

bool tm_lambda_quiet(tm_lambda *l) {
    return tm_service_idle(l->service) &&
           tm_service_deadline(l->service) > tm_lambda_now(l).mono_ms;
}

// For the table of listeners, whose calls end by themselves.
static bool listeners_wait(void *context) {
    tm_lambda *l = context;
    tm_service_tick(l->service, tm_lambda_now(l));
    if (tm_store_poll(l->store) == 0) (void)tm_http_wait(l->http);
    (void)tm_store_poll(l->store);
    effects_take(l);
    return true;
}

// ---- what may be asked ----------------------------------------------------------------

// "a, b": is it one of them?
static bool named(const char *list, tm_span word) {
    while (*list != '\0') {
        while (*list == ' ' || *list == ',') {
            list++;
        }
        size_t len = strcspn(list, ", ");
        if (len > 0 && word.len == len && memcmp(list, word.ptr, len) == 0)
            return true;
        list += len;
    }
    return false;
}

bool tm_lambda_origin(const tm_lambda *l, const tm_event *event, bool needed) {
    static const tm_span secure = TM_LIT("https://");
    tm_span origin = event->fields[TM_FIELD_ORIGIN];
    tm_span host = event->fields[TM_FIELD_HOST];
    const char *allowed = l->config.origins;
    bool is_set = allowed != NULL && allowed[0] != '\0';
    if (origin.ptr == NULL) return !(needed && is_set);
    if (is_set) return named(allowed, origin);
    return host.len > 0 && origin.len == secure.len + host.len &&
           memcmp(origin.ptr, secure.ptr, secure.len) == 0 &&
           memcmp(origin.ptr + secure.len, host.ptr, host.len) == 0;
}

bool tm_lambda_list_valid(tm_span list) {
    for (size_t i = 0; i < list.len; i++) {
        uint8_t c = list.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
        if (!plain) return false;
    }
    return list.len >= 1 && list.len <= 64;
}

// ---- an event -----------------------------------------------------------------------

static void event_begin(tm_lambda *l, uint64_t deadline_ms) {
    uint64_t stopped_ms = tm_thaw_look(l->http);
    tm_now now = tm_lambda_now(l);
    uint64_t left = deadline_ms > now.wall_ms ? deadline_ms - now.wall_ms : 0;
    uint64_t answer =
        left > MARGIN_MS + EVENT_MIN_MS ? left - MARGIN_MS : EVENT_MIN_MS;
    l->answer_by_ms = now.mono_ms + answer;
    l->end_by_ms = now.mono_ms + (left > END_MS + answer ? left - END_MS : answer);
    l->replied = l->repeat = l->by_http = false;
    tm_arena_reset(&l->arena);
    l->list = (tm_span){NULL, 0};
    tm_buf_reset(&l->answer);
    if (stopped_ms > 0) tm_lambda_say(l, false, "thawed", "");
}

tm_status tm_lambda_event(tm_lambda *lambda, tm_span text, uint64_t deadline_ms,
                          tm_span *answer, const char **why) {
    tm_lambda *l = lambda;
    event_begin(l, deadline_ms);
    tm_status status = tm_event_read(text, &l->arena, &l->event, why);
    if (status != TM_OK) return status;
    if (l->event.what == TM_HAPPENED_HTTP) {
        tm_lambda_http(l);
    } else {
        tm_lambda_socket(l);
    }
    *why = "out of memory";
    *answer = tm_buf_span(&l->answer);
    return l->answer.status;
}

static bool store_is_well(tm_lambda *l) {
    tm_span why;
    bool well = tm_store_health(l->store, &why) == TM_OK;
    l->failures = well ? 0 : l->failures + 1;
    return l->failures < FAILURES_MAX;
}

bool tm_lambda_finish(tm_lambda *lambda) {
    tm_lambda *l = lambda;
    tm_tell_news(l); // of an append that came too late for its answer
    bool over = tm_lambda_drive(l, l->end_by_ms, tm_lambda_quiet);
    if (over) over = store_is_well(l);
    tm_frames_clear(l, &l->frames);
    tm_frames_clear(l, &l->news);
    if (l->replied) tm_frame_release(l->service, l->reply.frame);
    l->replied = false;
    tm_arena_reset(&l->arena);
    (void)tm_thaw_look(l->http);
    return over;
}

// ---- life ---------------------------------------------------------------------------

static void dice(void *context, uint8_t *bytes, size_t len) {
    tm_http_random(context, bytes, len);
}

static void on_table_say(void *context, bool bad, const char *line) {
    tm_lambda_say(context, bad, "listeners", line);
}

static tm_status parts_open(tm_lambda *l, char problem[256]) {
    const tm_lambda_config *config = &l->config;
    tm_service_config service = {.alloc = l->alloc,
                                 .store = l->store,
                                 .random = dice,
                                 .random_context = l->http,
                                 .snapshot_ops = SNAPSHOT_OPS,
                                 .memory_max = config->memory_max,
                                 .verify = true,
                                 .news = true};
    tm_status status = tm_service_new(&service, &l->service);
    if (status != TM_OK || config->connections == NULL ||
        config->connections[0] == '\0')
        return status;
    tm_gateway_config gateway = {.alloc = l->alloc,
                                 .http = l->http,
                                 .env = config->env,
                                 .env_context = config->env_context,
                                 .endpoint = config->connections};
    status = tm_gateway_open(&gateway, &l->gateway, problem);
    if (status != TM_OK) return status;
    tm_listeners_config listeners = {.client = {.alloc = l->alloc,
                                                .http = l->http,
                                                .env = config->env,
                                                .env_context = config->env_context,
                                                .endpoint = config->dynamodb,
                                                .patience_ms = 2000,
                                                .frozen_ms = 2000,
                                                .say = on_table_say,
                                                .say_context = l},
                                     .table = config->table,
                                     .wait = listeners_wait,
                                     .wait_context = l};
    return tm_listeners_open(&listeners, &l->listeners, problem);
}

tm_status tm_lambda_open(const tm_lambda_config *config, tm_lambda **lambda,
                         char problem[256]) {
    tm_lambda *l = tm_alloc_get(config->alloc, sizeof *l);
    tm_span said = TM_LIT("out of memory");
    memcpy(problem, said.ptr, said.len + 1);
    if (l == NULL) return TM_E_NOMEM;
    l->config = *config;
    l->alloc = l->arena.alloc = l->answer.alloc = config->alloc;
    l->http = config->http;
    l->store = config->store;
    l->alarm_ms = UINT64_MAX;
    if (l->config.frame_max == 0) l->config.frame_max = TM_LAMBDA_FRAME_MAX;
    if (l->config.memory_max == 0) l->config.memory_max = MEMORY_MAX;
    tm_status status = parts_open(l, problem);
    if (status == TM_OK) {
        *lambda = l;
    } else {
        tm_lambda_close(l);
    }
    return status;
}

void tm_lambda_close(tm_lambda *lambda) {
    tm_lambda *l = lambda;
    if (l == NULL) return;
    if (l->service != NULL) {
        frames_free(l, &l->frames);
        frames_free(l, &l->news);
        if (l->replied) tm_frame_release(l->service, l->reply.frame);
        if (tm_service_idle(l->service)) tm_service_free(l->service);
    }
    tm_listeners_close(l->listeners);
    tm_gateway_close(l->gateway);
    tm_arena_deinit(&l->arena);
    tm_buf_deinit(&l->answer);
    tm_alloc_put(l->alloc, l, sizeof *l);
}
