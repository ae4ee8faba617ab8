// bell.c - see bell.h.
#include "net/bell.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/bell_talk.h"

#define BEAT_MS      2000u
#define SILENCE_MS   6000u
#define RETRY_MIN_MS 100u
#define RETRY_MAX_MS 10000u
#define SETTLED_MS   10000u // it was there so long: the next retry is soon again
#define UNSENT_MAX   (1u << 20)
#define PREFIX_MAX   64u
#define FIELD_MAX    (64u + 1u + 128u)
#define READ_BYTES   16384u

typedef struct line {
    uv_tcp_t tcp;
    uv_connect_t connect;
    tm_bell *bell;
    tm_bell_reader reader;
    uint32_t greeting; // replies to AUTH, SELECT, SUBSCRIBE that are to come
    bool open;         // the handle is
    bool ready;        // greeted
} line;

typedef enum state {
    STATE_AWAY,
    STATE_FINDING, // the host's address
    STATE_GREETING,
    STATE_HERE,
    STATE_CLOSED,
} state;

struct tm_bell {
    tm_bell_config config;
    tm_bell_url url;
    char prefix[PREFIX_MAX + 1];
    tm_doorbell door;
    state state;
    uv_timer_t timer;
    uv_getaddrinfo_t find;
    bool finding;
    line order, ear;
    tm_buf out;     // for `order`, not yet given to the socket
    size_t unsent;  // given, and not gone
    bool full;      // more than may wait
    bool said_away; // ... and nothing since
    uint64_t heard_ms, here_ms, retry_ms;
    char bytes[READ_BYTES];
};

typedef struct writing {
    uv_write_t request;
    tm_bell *bell;
    size_t len;
    uint8_t bytes[];
} writing;

static void attempt(uv_timer_t *timer);
static void beat(uv_timer_t *timer);

static uint64_t mono(const tm_bell *bell) {
    return uv_now(bell->config.loop);
}

__attribute__((format(printf, 2, 3))) static void say(tm_bell *bell,
                                                      const char *format, ...) {
    char line_text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line_text, sizeof line_text, format, arguments);
    va_end(arguments);
    if (bell->config.say != NULL) bell->config.say(bell->config.context, line_text);
}

// ---- away -----------------------------------------------------------------------------

static uint64_t jittered(const tm_bell *bell, uint64_t ms) {
    const tm_service_config *config = tm_service_tune(bell->config.service);
    uint8_t byte;
    config->random(config->random_context, &byte, 1);
    return ms / 2 + ms * byte / 512;
}

static void retry_arm(tm_bell *bell) {
    if (bell->state != STATE_AWAY || bell->order.open || bell->ear.open) return;
    uint64_t wait_ms = jittered(bell, bell->retry_ms);
    bell->retry_ms *= 2;
    if (bell->retry_ms > RETRY_MAX_MS) bell->retry_ms = RETRY_MAX_MS;
    (void)uv_timer_start(&bell->timer, attempt, wait_ms, 0);
}

static void on_line_closed(uv_handle_t *handle) {
    line *one = handle->data;
    one->open = one->ready = false;
    tm_bell_reader_stop(&one->reader);
    retry_arm(one->bell);
}

static void line_close(line *one) {
    uv_handle_t *handle = (uv_handle_t *)&one->tcp;
    if (one->open && !uv_is_closing(handle)) uv_close(handle, on_line_closed);
}

static void leave(tm_bell *bell, state to) {
    bool was_here = bell->state == STATE_HERE;
    bell->state = to;
    (void)uv_timer_stop(&bell->timer);
    tm_buf_reset(&bell->out);
    bell->full = false;
    line_close(&bell->order);
    line_close(&bell->ear);
    if (was_here) {
        if (mono(bell) - bell->here_ms >= SETTLED_MS) bell->retry_ms = RETRY_MIN_MS;
        tm_service_doorbell(bell->config.service,
                            bell->config.now(bell->config.context), NULL);
    }
}

// `why` may hold what the other side said: it is cut, and controls are not passed on.
static void lose(tm_bell *bell, const char *why, size_t len) {
    if (bell->state == STATE_AWAY || bell->state == STATE_CLOSED) return;
    leave(bell, STATE_AWAY);
    if (!bell->said_away) {
        char clean[96];
        size_t count = len < sizeof clean - 1 ? len : sizeof clean - 1;
        for (size_t i = 0; i < count; i++) {
            bool plain = why[i] >= ' ' && why[i] <= '~';
            clean[i] = plain ? why[i] : '?';
        }
        clean[count] = '\0';
        say(bell, "doorbell away: %s port %u: %s", bell->url.host, bell->url.port,
            clean);
    }
    bell->said_away = true;
    retry_arm(bell);
}

static void lose_for(tm_bell *bell, const char *why) {
    lose(bell, why, strlen(why));
}

// ---- what comes -----------------------------------------------------------------------

static tm_span item_span(const tm_bell_item *item) {
    return (tm_span){(const uint8_t *)item->text, item->len};
}

static bool item_is(const tm_bell_item *item, const char *text) {
    return item->kind == TM_BELL_TEXT && item->len == strlen(text) &&
           memcmp(item->text, text, item->len) == 0;
}

static void here(tm_bell *bell) {
    if (bell->state != STATE_GREETING) return;
    bell->state = STATE_HERE;
    bell->here_ms = mono(bell);
    bell->said_away = false;
    say(bell, "doorbell here: %s port %u", bell->url.host, bell->url.port);
    tm_service_doorbell(bell->config.service,
                        bell->config.now(bell->config.context), &bell->door);
}

static void head_heard(tm_bell *bell, tm_span text) {
    tm_key key;
    uint64_t head;
    if (!tm_bell_head_read(text, &key, &head)) return;
    if (key.list.ptr[0] == '.') { // a beat, of whomever
        bell->heard_ms = mono(bell);
        here(bell);
    } else if (bell->state == STATE_HERE) {
        tm_service_rung(bell->config.service,
                        bell->config.now(bell->config.context), key, head);
    }
}

static void ear_reply(tm_bell *bell, const tm_bell_reply *reply) {
    if (reply->root.kind != TM_BELL_ARRAY || reply->count != 3) return;
    if (item_is(&reply->items[0], "message") &&
        reply->items[2].kind == TM_BELL_TEXT) {
        head_heard(bell, item_span(&reply->items[2]));
    }
}

// [field, head]: the answer to `ask`; every other is of no interest.
static void order_reply(tm_bell *bell, const tm_bell_reply *reply) {
    const tm_bell_item *field = &reply->items[0], *head = &reply->items[1];
    if (reply->root.kind != TM_BELL_ARRAY || reply->count != 2) return;
    if (field->kind != TM_BELL_TEXT || head->kind != TM_BELL_TEXT) return;
    uint8_t text[2 * TM_BELL_TEXT_MAX + 1];
    memcpy(text, head->text, head->len);
    text[head->len] = ' ';
    memcpy(text + head->len + 1, field->text, field->len);
    head_heard(bell, (tm_span){text, head->len + 1 + field->len});
}

// false: the line is to be closed, and the reason was said.
static bool reply_take(line *one, const tm_bell_reply *reply) {
    tm_bell *bell = one->bell;
    if (reply->root.kind == TM_BELL_ERROR) {
        lose(bell, reply->root.text, reply->root.len);
        return false;
    }
    if (one->greeting > 0) {
        if (--one->greeting > 0) return true;
        one->ready = true;
        if (bell->order.ready && bell->ear.ready) beat(&bell->timer);
    } else if (one == &bell->ear) {
        ear_reply(bell, reply);
    } else {
        order_reply(bell, reply);
    }
    return true;
}

static void on_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    line *one = stream->data;
    tm_bell *bell = one->bell;
    if (count == 0) return;
    if (count < 0) {
        lose_for(bell, uv_strerror((int)count));
        return;
    }
    bool good = tm_bell_reader_feed(&one->reader, buffer->base, (size_t)count);
    const tm_bell_reply *reply;
    while (good && (reply = tm_bell_reader_next(&one->reader, &good)) != NULL) {
        if (!reply_take(one, reply)) return;
    }
    if (!good) lose_for(bell, "this is not how Redis speaks");
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer) {
    line *one = handle->data;
    (void)wanted;
    *buffer = uv_buf_init(one->bell->bytes, sizeof one->bell->bytes);
}

// ---- what goes ------------------------------------------------------------------------

static void on_written(uv_write_t *request, int status) {
    writing *w = (writing *)request;
    tm_bell *bell = w->bell;
    bell->unsent -= w->len;
    tm_alloc_put(bell->config.alloc, w, sizeof *w + w->len);
    if (status < 0 && status != UV_ECANCELED) lose_for(bell, uv_strerror(status));
}

static bool line_send(line *one, const tm_buf *out) {
    tm_bell *bell = one->bell;
    if (out->status != TM_OK) return false;
    if (out->len == 0) return true;
    writing *w = tm_alloc_get(bell->config.alloc, sizeof *w + out->len);
    if (w == NULL) return false;
    w->bell = bell;
    w->len = out->len;
    memcpy(w->bytes, out->ptr, out->len);
    uv_buf_t buffer = uv_buf_init((char *)w->bytes, (unsigned)out->len);
    bell->unsent += w->len;
    if (uv_write(&w->request, (uv_stream_t *)&one->tcp, &buffer, 1, on_written) ==
        0) {
        return true;
    }
    bell->unsent -= w->len;
    tm_alloc_put(bell->config.alloc, w, sizeof *w + w->len);
    return false;
}

void tm_bell_flush(tm_bell *bell) {
    if (bell == NULL || (bell->out.len == 0 && !bell->full)) return;
    if (!bell->order.ready || bell->state == STATE_AWAY) {
        tm_buf_reset(&bell->out);
        return;
    }
    bool sent = !bell->full && line_send(&bell->order, &bell->out);
    tm_buf_reset(&bell->out);
    if (!sent) lose_for(bell, "it takes nothing more");
}

static bool room(tm_bell *bell) {
    bell->full = bell->full || bell->out.status != TM_OK ||
                 bell->out.len + bell->unsent > UNSENT_MAX;
    return !bell->full;
}

static tm_span field_of(tm_key key, uint8_t field[FIELD_MAX]) {
    TM_ASSERT(key.list.len <= 64 && key.user.len <= 128);
    memcpy(field, key.list.ptr, key.list.len);
    field[key.list.len] = ' ';
    memcpy(field + key.list.len + 1, key.user.ptr, key.user.len);
    return (tm_span){field, key.list.len + 1 + key.user.len};
}

static void on_ring(void *context, tm_key key, uint64_t head) {
    tm_bell *bell = context;
    uint8_t field[FIELD_MAX];
    if (!room(bell)) return;
    tm_bell_put_ring(&bell->out, bell->prefix, field_of(key, field), head);
}

static void on_ask(void *context, tm_key key) {
    tm_bell *bell = context;
    uint8_t field[FIELD_MAX];
    if (!room(bell)) return;
    tm_bell_put_ask(&bell->out, bell->prefix, field_of(key, field));
}

// Also the watch over all that lasts too long.
static void beat(uv_timer_t *timer) {
    static const tm_span nobody = TM_LIT(". beat");
    tm_bell *bell = timer->data;
    if (mono(bell) - bell->heard_ms > SILENCE_MS) {
        lose_for(bell, "it does not answer");
        return;
    }
    if (!bell->order.ready || !bell->ear.ready || !room(bell)) return;
    tm_bell_put_ring(&bell->out, bell->prefix, nobody, 1);
    tm_bell_flush(bell);
}

// ---- connecting -----------------------------------------------------------------------

static void greet(line *one) {
    static const tm_span auth = TM_LIT("AUTH"), select = TM_LIT("SELECT"),
                         ping = TM_LIT("PING");
    tm_bell *bell = one->bell;
    tm_buf out = {.alloc = bell->config.alloc};
    const tm_bell_url *url = &bell->url;
    tm_span user = {(const uint8_t *)url->user, strlen(url->user)};
    tm_span password = {(const uint8_t *)url->password, strlen(url->password)};
    if (user.len > 0 && password.len > 0) {
        tm_bell_put(&out, 3, (tm_span[]){auth, user, password});
        one->greeting++;
    } else if (password.len > 0) {
        tm_bell_put(&out, 2, (tm_span[]){auth, password});
        one->greeting++;
    }
    if (url->database > 0) {
        char digits[12];
        int len = snprintf(digits, sizeof digits, "%u", url->database);
        tm_span number = {(const uint8_t *)digits, (size_t)len};
        tm_bell_put(&out, 2, (tm_span[]){select, number});
        one->greeting++;
    }
    if (one == &bell->ear) {
        tm_bell_put_subscribe(&out, bell->prefix);
    } else {
        tm_bell_put(&out, 1, &ping);
    }
    one->greeting++;
    bool sent = line_send(one, &out);
    tm_buf_deinit(&out);
    if (!sent) lose_for(bell, "out of memory");
}

static void on_connected(uv_connect_t *connect, int status) {
    line *one = connect->data;
    if (status == UV_ECANCELED || uv_is_closing((uv_handle_t *)&one->tcp)) return;
    if (status == 0) {
        status = uv_read_start((uv_stream_t *)&one->tcp, on_room, on_bytes);
    }
    if (status != 0) {
        lose_for(one->bell, uv_strerror(status));
        return;
    }
    (void)uv_tcp_nodelay(&one->tcp, 1);
    greet(one);
}

static bool line_open(tm_bell *bell, line *one, const struct sockaddr *address) {
    one->bell = bell;
    one->greeting = 0;
    if (uv_tcp_init(bell->config.loop, &one->tcp) != 0) return false;
    one->open = true;
    one->tcp.data = one->connect.data = one;
    return tm_bell_reader_start(&one->reader) &&
           uv_tcp_connect(&one->connect, &one->tcp, address, on_connected) == 0;
}

static void on_found(uv_getaddrinfo_t *find, int status, struct addrinfo *found) {
    tm_bell *bell = find->data;
    bell->finding = false;
    if (bell->state != STATE_FINDING) {
        uv_freeaddrinfo(found);
        return;
    }
    if (status != 0) {
        lose_for(bell, uv_strerror(status));
    } else {
        bell->state = STATE_GREETING;
        bell->heard_ms = mono(bell);
        (void)uv_timer_start(&bell->timer, beat, BEAT_MS, BEAT_MS);
        if (!line_open(bell, &bell->order, found->ai_addr) ||
            !line_open(bell, &bell->ear, found->ai_addr)) {
            lose_for(bell, "no socket for it");
        }
    }
    uv_freeaddrinfo(found);
}

static void attempt(uv_timer_t *timer) {
    tm_bell *bell = timer->data;
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (bell->finding) { // still, of the time before
        (void)uv_timer_start(&bell->timer, attempt, RETRY_MAX_MS, 0);
        return;
    }
    (void)snprintf(port, sizeof port, "%u", bell->url.port);
    bell->state = STATE_FINDING;
    bell->finding = true;
    bell->find.data = bell;
    if (uv_getaddrinfo(bell->config.loop, &bell->find, on_found, bell->url.host,
                       port, &hints) != 0) {
        bell->finding = false;
        lose_for(bell, "its name cannot be looked up");
    }
}

// ---- life -----------------------------------------------------------------------------

static void password_take(tm_bell *bell) {
    const char *given = bell->config.password;
    char *password = bell->url.password;
    if (given == NULL || password[0] != '\0') return;
    size_t len = strlen(given);
    if (len < sizeof bell->url.password) memcpy(password, given, len + 1);
}

tm_status tm_bell_new(const tm_bell_config *config, tm_bell **bell,
                      char problem[256]) {
    tm_bell *fresh = tm_alloc_get(config->alloc, sizeof *fresh);
    if (fresh == NULL) {
        (void)snprintf(problem, 256, "out of memory");
        return TM_E_NOMEM;
    }
    fresh->config = *config;
    fresh->door = (tm_doorbell){on_ring, on_ask, fresh};
    fresh->out.alloc = config->alloc;
    fresh->retry_ms = RETRY_MIN_MS;
    fresh->order.bell = fresh->ear.bell = fresh;
    size_t len = strlen(config->prefix);
    tm_status status = TM_E_RANGE;
    if (len <= PREFIX_MAX && tm_bell_url_read(config->url, &fresh->url, problem)) {
        memcpy(fresh->prefix, config->prefix, len + 1);
        password_take(fresh);
        status = uv_timer_init(config->loop, &fresh->timer) == 0 ? TM_OK : TM_E_IO;
    }
    if (status != TM_OK) {
        tm_alloc_put(config->alloc, fresh, sizeof *fresh);
        return status;
    }
    fresh->timer.data = fresh;
    (void)uv_timer_start(&fresh->timer, attempt, 0, 0);
    *bell = fresh;
    return TM_OK;
}

void tm_bell_close(tm_bell *bell) {
    if (bell == NULL || bell->state == STATE_CLOSED) return;
    tm_bell_flush(bell); // the last rings go out, if they go at once
    leave(bell, STATE_CLOSED);
    if (bell->finding) (void)uv_cancel((uv_req_t *)&bell->find);
    uv_close((uv_handle_t *)&bell->timer, NULL);
}

void tm_bell_free(tm_bell *bell) {
    if (bell == NULL) return;
    tm_bell_reader_stop(&bell->order.reader);
    tm_bell_reader_stop(&bell->ear.reader);
    tm_buf_deinit(&bell->out);
    tm_alloc_put(bell->config.alloc, bell, sizeof *bell);
}
