// bell_talk.c - see bell_talk.h.
#include "net/bell_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/op.h"

#define PORT      6379u
#define NAME_MAX_ 160u // "tidemark:{PREFIX}:heads"

static tm_span text_of(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

// ---- where it is ----------------------------------------------------------------------

static bool take(char *to, size_t size, const char *from, size_t len) {
    if (len >= size) return false;
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

// Decimal, at most `max`. The whole of [from, end).
static bool number(const char *from, const char *end, uint32_t max,
                   uint32_t *value) {
    uint32_t sum = 0;
    if (from == end || end - from > 5) return false;
    for (; from < end; from++) {
        if (*from < '0' || *from > '9') return false;
        sum = sum * 10 + (uint32_t)(*from - '0');
    }
    *value = sum;
    return sum <= max;
}

static bool host_read(const char *from, const char *end, tm_bell_url *url) {
    const char *colon = NULL;
    uint32_t port = PORT;
    if (from < end && *from == '[') { // an IPv6 address
        const char *close = memchr(from, ']', (size_t)(end - from));
        if (close == NULL) return false;
        if (close + 1 < end) colon = close + 1;
        if (colon != NULL && *colon != ':') return false;
        from++;
        if (colon != NULL && !number(colon + 1, end, 65535, &port)) return false;
        end = close;
    } else {
        colon = memchr(from, ':', (size_t)(end - from));
        if (colon != NULL && !number(colon + 1, end, 65535, &port)) return false;
        if (colon != NULL) end = colon;
    }
    url->port = (uint16_t)port;
    return from < end && port > 0 &&
           take(url->host, sizeof url->host, from, (size_t)(end - from));
}

static bool who_read(const char *from, const char *end, tm_bell_url *url) {
    const char *colon = memchr(from, ':', (size_t)(end - from));
    const char *user_end = colon == NULL ? end : colon;
    if (!take(url->user, sizeof url->user, from, (size_t)(user_end - from))) {
        return false;
    }
    return colon == NULL || take(url->password, sizeof url->password, colon + 1,
                                 (size_t)(end - colon - 1));
}

bool tm_bell_url_read(const char *text, tm_bell_url *url, char problem[256]) {
    *url = (tm_bell_url){.port = PORT};
    const char *from = strstr(text, "://");
    size_t scheme = from == NULL ? 0 : (size_t)(from - text);
    bool fine = (scheme == 5 && memcmp(text, "redis", 5) == 0) ||
                (scheme == 6 && memcmp(text, "valkey", 6) == 0);
    if (scheme == 6 && memcmp(text, "rediss", 6) == 0) {
        (void)snprintf(problem, 256,
                       "rediss:// is TLS, which this build's hiredis has not: put "
                       "a TLS proxy such as stunnel beside the server");
        return false;
    }
    if (fine) {
        from += 3;
        const char *end = strchr(from, '/'), *at = NULL;
        if (end == NULL) end = from + strlen(from);
        for (const char *c = from; c < end; c++) {
            if (*c == '@') at = c;
        }
        fine = (at == NULL || who_read(from, at, url)) &&
               host_read(at == NULL ? from : at + 1, end, url);
        const char *base = *end == '/' ? end + 1 : end;
        if (fine && *base != '\0') {
            fine = number(base, base + strlen(base), 99999, &url->database);
        }
    }
    if (!fine) {
        (void)snprintf(problem, 256,
                       "--redis wants redis://[[USER]:PASSWORD@]HOST[:PORT][/N]");
    }
    return fine;
}

// ---- replies --------------------------------------------------------------------------

// The place of what is being read; NULL: there is none for it.
static tm_bell_item *place(const redisReadTask *task) {
    tm_bell_reply *reply = &((tm_bell_reader *)task->privdata)->reply;
    if (task->parent == NULL) {
        reply->count = 0;
        return &reply->root;
    }
    if (task->parent->parent != NULL || task->idx < 0 ||
        task->idx >= (int)TM_BELL_ITEMS_MAX) {
        return NULL;
    }
    reply->count = (uint32_t)task->idx + 1;
    return &reply->items[task->idx];
}

static void *item_make(const redisReadTask *task, tm_bell_kind kind,
                       const char *text, size_t len) {
    tm_bell_item *item = place(task);
    // hiredis takes NULL as "out of memory", and ends.
    bool error = kind == TM_BELL_ERROR;
    if (item != NULL && error && len > TM_BELL_TEXT_MAX) len = TM_BELL_TEXT_MAX;
    if (item == NULL || len > TM_BELL_TEXT_MAX) return NULL;
    item->kind = kind;
    item->len = len;
    if (len > 0) memcpy(item->text, text, len);
    return item;
}

static void *on_string(const redisReadTask *task, char *text, size_t len) {
    bool error = task->type == REDIS_REPLY_ERROR;
    return item_make(task, error ? TM_BELL_ERROR : TM_BELL_TEXT, text, len);
}

static void *on_array(const redisReadTask *task, int count) {
    if (count < 0 || count > (int)TM_BELL_ITEMS_MAX || task->parent != NULL) {
        return NULL;
    }
    return item_make(task, TM_BELL_ARRAY, "", 0);
}

static void *on_integer(const redisReadTask *task, long long value) {
    (void)value;
    return item_make(task, TM_BELL_INTEGER, "", 0);
}

static void *on_nil(const redisReadTask *task) {
    return item_make(task, TM_BELL_NIL, "", 0);
}

static void on_free(void *reply) {
    (void)reply; // it is the reader's own
}

static redisReplyObjectFunctions functions = {on_string, on_array, on_integer,
                                              on_nil, on_free};

bool tm_bell_reader_start(tm_bell_reader *reader) {
    reader->reader = redisReaderCreateWithFunctions(&functions);
    if (reader->reader == NULL) return false;
    reader->reader->privdata = reader;
    return true;
}

void tm_bell_reader_stop(tm_bell_reader *reader) {
    if (reader->reader != NULL) redisReaderFree(reader->reader);
    reader->reader = NULL;
}

bool tm_bell_reader_feed(tm_bell_reader *reader, const char *bytes, size_t len) {
    const redisReader *r = reader->reader;
    if (r->err != 0 || r->len - r->pos + len > TM_BELL_READ_MAX) return false;
    return redisReaderFeed(reader->reader, bytes, len) == REDIS_OK;
}

const tm_bell_reply *tm_bell_reader_next(tm_bell_reader *reader, bool *good) {
    void *reply = NULL;
    if (redisReaderGetReply(reader->reader, &reply) != REDIS_OK) {
        *good = false;
        return NULL;
    }
    return reply == NULL ? NULL : &reader->reply;
}

bool tm_bell_head_read(tm_span text, tm_key *key, uint64_t *head) {
    size_t at = 0;
    uint64_t sum = 0;
    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        if (at == 16) return false; // beyond TM_INT_MAX in any case
        sum = sum * 10 + (uint64_t)(text.ptr[at] - '0');
    }
    if (at == 0 || at == text.len || text.ptr[at] != ' ' || sum > TM_INT_MAX) {
        return false;
    }
    size_t list = ++at;
    while (at < text.len && text.ptr[at] != ' ')
        at++;
    if (at == text.len) return false;
    key->list = (tm_span){text.ptr + list, at - list};
    key->user = (tm_span){text.ptr + at + 1, text.len - at - 1};
    *head = sum;
    return key->list.len > 0 && key->user.len > 0;
}

// ---- commands -------------------------------------------------------------------------

void tm_bell_put(tm_buf *out, uint32_t count, const tm_span *words) {
    const char *argv[8];
    size_t lens[8];
    TM_ASSERT(count <= 8);
    for (uint32_t i = 0; i < count; i++) {
        argv[i] = (const char *)words[i].ptr;
        lens[i] = words[i].len;
    }
    char *bytes = NULL;
    int len = redisFormatCommandArgv(&bytes, (int)count, argv, lens);
    if (len < 0) {
        out->status = TM_E_NOMEM;
        return;
    }
    tm_buf_put(out, (tm_span){(const uint8_t *)bytes, (size_t)len});
    redisFreeCommand(bytes);
}

// The braces keep both on one node of a cluster.
static tm_span name_of(char name[NAME_MAX_], const char *prefix, const char *what) {
    (void)snprintf(name, NAME_MAX_, "tidemark:{%s}:%s", prefix, what);
    return text_of(name);
}

void tm_bell_put_ring(tm_buf *out, const char *prefix, tm_span field,
                      uint64_t head) {
    // It is told in any case: what stands in the hash may be wrong. What is no head of
    // ours there is written over.
    static const tm_span eval = TM_LIT("EVAL"), two = TM_LIT("2");
    static const tm_span script =
        TM_LIT("redis.call('PUBLISH',KEYS[2],ARGV[2]..' '..ARGV[1]) "
               "local h=tonumber(redis.call('HGET',KEYS[1],ARGV[1])) "
               "if not h or h~=h or h>9007199254740991 or h<tonumber(ARGV[2]) then "
               "redis.call('HSET',KEYS[1],ARGV[1],ARGV[2]) end");
    char heads[NAME_MAX_], rings[NAME_MAX_], digits[24];
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)head);
    tm_span words[] = {eval,
                       script,
                       two,
                       name_of(heads, prefix, "heads"),
                       name_of(rings, prefix, "rings"),
                       field,
                       text_of(digits)};
    tm_bell_put(out, 7, words);
}

void tm_bell_put_ask(tm_buf *out, const char *prefix, tm_span field) {
    static const tm_span eval = TM_LIT("EVAL"), one = TM_LIT("1");
    static const tm_span script =
        TM_LIT("return {ARGV[1],redis.call('HGET',KEYS[1],ARGV[1]) or ''}");
    char heads[NAME_MAX_];
    tm_span words[] = {eval, script, one, name_of(heads, prefix, "heads"), field};
    tm_bell_put(out, 5, words);
}

void tm_bell_put_subscribe(tm_buf *out, const char *prefix) {
    static const tm_span subscribe = TM_LIT("SUBSCRIBE");
    char rings[NAME_MAX_];
    tm_span words[] = {subscribe, name_of(rings, prefix, "rings")};
    tm_bell_put(out, 2, words);
}
