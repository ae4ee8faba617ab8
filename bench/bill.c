// bill.c - one user's day, request by request: the service and the store on DynamoDB in
// one process, beside the DynamoDB Local that TM_DYNAMODB names, in virtual time.
//
//     bench_bill DAYS|hour WAY...     an object a line; bench/bill.mjs makes a table of it
//
// The day is the seed's: 50 edits in 30 moments of work, 15 from 9:00 to 11:50 and 15 from
// 13:30 to 16:50, by two browsers that are open day and night. In a third of the moments
// there is one edit; in a third, two of one browser so close together that its queue sends
// them as one save; in a third, one of each browser at the same instant. Every night at
// four the server is restarted, so that each day pays for opening the list. `hour` is the
// one from nine to ten, on a server just started.
//
//     array      the whole array is asked for every 5 s; each edit is a save of its own
//     queue      the operations since the last ones are asked for every 10 s
//     push       a WebSocket; a heartbeat every 20 s
//     reconnect  the same, cut and opened anew every 10 minutes
//     alone      push, but the doorbell (Redis) is away all the time
//
// Other servers are reckoned with (`shared`), though there is none: with the doorbell there,
// which costs nothing here, but answers whoever asks it.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "service/doorbell.h"
#include "service/service.h"
#include "store/dynamodb.h"

#define USER     "ann"
#define LIST     "selected-images"
#define DAY_S    86400u
#define NIGHT_S  (4u * 3600)
#define MIDNIGHT UINT64_C(1790035200000) // ms; 2026-09-22
#define MOMENTS  30u
#define BEAT_S   20u
#define CLOSE_MS 40u // between two edits of one moment: less than the queue waits

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *format,
                                                                 ...) {
    va_list values;
    va_start(values, format);
    (void)vfprintf(stderr, format, values);
    va_end(values);
    (void)fputc('\n', stderr);
    exit(1);
}

static void *heap_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    (void)context;
    (void)old_size;
    if (new_size > 0) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static const tm_alloc heap = {heap_resize, NULL};

static const char *env(void *context, const char *name) {
    (void)context;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0) return "tests";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0) return "secret";
    return NULL;
}

static void random_fill(void *context, uint8_t *bytes, size_t len) {
    uint64_t *state = context;
    for (size_t i = 0; i < len; i++) {
        *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        bytes[i] = (uint8_t)(*state >> 56);
    }
}

static tm_span text(const char *from) {
    return (tm_span){(const uint8_t *)from, strlen(from)};
}

// ---- the way to the network, by our clock ---------------------------------------------

typedef struct door {
    tm_http base, *real;
    const tm_now *now;
} door;

static tm_http *real_of(tm_http *http) {
    return ((door *)(void *)http)->real;
}

static void door_start(tm_http *http, tm_http_request *request) {
    tm_http_start(real_of(http), request);
}

static size_t door_poll(tm_http *http) {
    return tm_http_poll(real_of(http));
}

static bool door_wait(tm_http *http) {
    return tm_http_wait(real_of(http));
}

static void door_wake(tm_http *http, void (*wake)(void *context), void *context) {
    tm_http_wake(real_of(http), wake, context);
}

static tm_now door_now(tm_http *http) {
    return *((door *)(void *)http)->now;
}

static void door_random(tm_http *http, uint8_t *bytes, size_t len) {
    tm_http_random(real_of(http), bytes, len);
}

static void door_close(tm_http *http) {
    tm_http_close(real_of(http));
    free(http);
}

static const tm_http_ops door_ops = {door_start, door_poll,   door_wait, door_wake,
                                     door_now,   door_random, door_close};

static tm_http *door_open(const tm_now *now) {
    door *d = calloc(1, sizeof *d);
    if (d == NULL || tm_http_open(&d->real) != TM_OK) fail("out of memory");
    d->base.ops = &door_ops;
    d->now = now;
    return &d->base;
}

// ---- the world ------------------------------------------------------------------------

typedef enum cause { BY_OPENING, BY_SAVE, BY_REST, BY_TIMER, CAUSES } cause;

static const char *const cause_words[CAUSES] = {"opening", "saves", "idle",
                                                "background"};

typedef struct way {
    const char *name;
    uint32_t poll_s, reconnect_s; // 0 = never
    bool array, push, doorbell;
} way;

static const way ways[] = {
    {"array", 5, 0, true, false, true},  {"queue", 10, 0, false, false, true},
    {"push", 0, 0, false, true, true},   {"reconnect", 0, 600, false, true, true},
    {"alone", 0, 0, false, true, false},
};

typedef struct browser {
    char name;
    tm_conn *conn;
    uint64_t version; // of its last operation
    uint64_t cursor;
    char mark[80];
} browser;

typedef struct world {
    const way *way;
    tm_now now;
    tm_store *store;
    tm_service *service;
    uint64_t random, calls;
    browser browsers[2];
    bool fresh; // nothing was asked since the start
    uint64_t edits, saves, moments, frames;
    uint64_t caused[CAUSES];
    // Of the stores that were closed.
    tm_store_cost costs[TM_STORE_COSTS_MAX];
    size_t costs_count;
    // The doorbell.
    uint64_t rung;
    bool asked;
} world;

static bool is_free(const tm_store_cost *cost) { // DescribeTable
    return strcmp(cost->kind, "tables") == 0;
}

static uint64_t requests_of(world *w) {
    tm_store_stats stats;
    uint64_t sum = 0;
    tm_store_stats_get(w->store, &stats);
    for (size_t i = 0; i < stats.costs_count; i++) {
        if (!is_free(&stats.costs[i])) sum += stats.costs[i].requests;
    }
    return sum;
}

static void on_ring(void *context, tm_key key, uint64_t head) {
    world *w = context;
    (void)key;
    if (head > w->rung) w->rung = head;
}

static void on_ask(void *context, tm_key key) {
    (void)key;
    ((world *)context)->asked = true;
}

// What an answer or a frame says of where its browser stands now.
static void cursor_take(browser *b, tm_span bytes) {
    tm_arena arena = {.alloc = &heap};
    tm_json in;
    tm_span key, mark = {NULL, 0}, type = mark;
    uint64_t version = 0;
    tm_json_init(&in, bytes, TM_JSON_DEPTH_MAX, &arena);
    tm_json_kept(tm_json_open(&in, TM_JSON_OBJECT));
    while (tm_json_member(&in, &key)) {
        if (tm_span_cmp(key, text("version")) == 0) {
            tm_json_kept(tm_json_u64(&in, &version));
        } else if (tm_span_cmp(key, text("mark")) == 0) {
            tm_json_kept(tm_json_string(&in, &mark));
        } else if (tm_span_cmp(key, text("type")) == 0) {
            tm_json_kept(tm_json_string(&in, &type));
        } else {
            tm_json_kept(tm_json_skip(&in, NULL));
        }
    }
    bool bad = tm_json_end(&in) != TM_OK || mark.len >= sizeof b->mark ||
               tm_span_cmp(type, text("ERROR")) == 0 ||
               tm_span_cmp(type, text("BEHIND")) == 0;
    if (bad) fail("an answer: %.*s", (int)bytes.len, (const char *)bytes.ptr);
    if (mark.len > 0) {
        b->cursor = version;
        (void)snprintf(b->mark, sizeof b->mark, "%.*s", (int)mark.len,
                       (const char *)mark.ptr);
    }
    tm_arena_deinit(&arena);
}

static void effect_take(world *w, const tm_effect *effect) {
    browser *b = effect->peer;
    tm_span bytes = {effect->frame->bytes, effect->frame->len};
    if (effect->kind == TM_EFFECT_CLOSE ||
        (effect->kind == TM_EFFECT_REPLY && effect->status != 200)) {
        fail("answered %u: %.*s", effect->status, (int)bytes.len,
             (const char *)bytes.ptr);
    }
    w->frames++;
    cursor_take(b, bytes);
    tm_frame_release(w->service, effect->frame);
}

// Until nothing is under way: DynamoDB takes no time of the day.
static void settle(world *w, cause why) {
    uint64_t before = requests_of(w);
    tm_effect effect;
    for (;;) {
        tm_service_decide(w->service, w->now);
        while (tm_service_effect(w->service, &effect)) {
            effect_take(w, &effect);
        }
        if (w->asked) {
            tm_key key = {text(USER), text(LIST)};
            w->asked = false;
            tm_service_rung(w->service, w->now, key, w->rung);
            continue;
        }
        if (tm_service_idle(w->service)) break;
        (void)tm_store_wait(w->store);
    }
    if (w->fresh && why != BY_TIMER) why = BY_OPENING;
    w->fresh = false;
    w->caused[why] += requests_of(w) - before;
}

// ---- what browsers do -----------------------------------------------------------------

static void get(world *w, browser *b) {
    char path[64], query[160] = "";
    uint64_t ticket;
    (void)snprintf(path, sizeof path, "/v1/lists/" LIST "%s",
                   w->way->array ? "" : "/operations");
    if (!w->way->array) {
        (void)snprintf(query, sizeof query, "since=%" PRIu64 "&mark=%s", b->cursor,
                       b->mark);
    }
    tm_request request = {.method = TM_GET,
                          .path = text(path),
                          .query = text(query),
                          .user = text(USER),
                          .peer = b};
    w->calls++;
    tm_service_request(w->service, w->now, &request, &ticket);
}

static void feed(world *w, browser *b, const char *frame) {
    w->calls++;
    tm_service_feed(w->service, w->now, b->conn, text(frame));
}

static void subscribe(world *w, browser *b) {
    char frame[256];
    if (tm_service_connect(w->service, w->now, text(USER), b, &b->conn) != TM_OK) {
        fail("out of memory");
    }
    (void)snprintf(frame, sizeof frame,
                   "{\"type\":\"SUBSCRIBE\",\"list\":\"" LIST "\",\"user\":\"" USER
                   "\",\"since\":%" PRIu64 ",\"mark\":\"%s\"}",
                   b->cursor, b->mark);
    feed(w, b, frame);
}

static void heartbeat(world *w, browser *b) {
    char frame[128];
    (void)snprintf(frame, sizeof frame,
                   "{\"type\":\"SEEN\",\"list\":\"" LIST "\",\"version\":%" PRIu64
                   "}",
                   b->cursor);
    feed(w, b, frame);
}

// An edit: every other one adds a photograph, the next one describes it.
static int edit_print(world *w, browser *b, char *to, size_t room) {
    uint64_t n = ++b->version, item = (n + 1) / 2;
    w->edits++;
    bool adds = n % 2 == 1;
    return snprintf(
        to, room,
        "{\"id\":\"%c%023" PRIu64 "\",\"type\":\"%s\","
        "\"instanceId\":\"%c-%014" PRIu64 "\",%s\"data\":{\"%s\":\"%s %" PRIu64
        "\"},\"timestamp\":%" PRIu64
        ",\"logical\":0,\"browserId\":\"chrome-%c\",\"version\":%" PRIu64 "}",
        b->name, n, adds ? "ADD" : "UPDATE_METADATA", b->name, item,
        adds ? "\"imageId\":\"img-00000001\"," : "",
        adds ? "photoNumber" : "description",
        adds ? "No." : "the north side of the house, no.", n, w->now.wall_ms,
        b->name, n);
}

static void save(world *w, browser *b, unsigned edits) {
    char body[2048];
    uint64_t ticket;
    size_t room = sizeof body;
    const char *mark = b->mark;
    int len = w->way->push ? snprintf(body, room,
                                      "{\"type\":\"SAVE\",\"list\":\"" LIST
                                      "\",\"user\":\"" USER "\",\"ref\":7,")
                           : snprintf(body, room,
                                      "{\"user\":\"" USER "\",\"since\":%" PRIu64
                                      ",\"mark\":\"%s\",",
                                      b->cursor, mark);
    len += snprintf(body + len, room - (size_t)len, "\"operations\":[");
    for (unsigned i = 0; i < edits; i++) {
        if (i > 0) body[len++] = ',';
        len += edit_print(w, b, body + len, room - (size_t)len);
    }
    len += snprintf(body + len, room - (size_t)len, "]}");
    w->saves++;
    if (w->way->push) {
        feed(w, b, body);
        return;
    }
    tm_request request = {.method = TM_POST,
                          .path = text("/v1/lists/" LIST "/operations"),
                          .body = text(body),
                          .user = text(USER),
                          .peer = b};
    w->calls++;
    tm_service_request(w->service, w->now, &request, &ticket);
}

static void moment(world *w, unsigned n) {
    browser *one = &w->browsers[n % 2], *other = &w->browsers[(n + 1) % 2];
    w->moments++;
    switch (n % 3) {
    case 0:
        save(w, one, 1);
        break;
    case 1:
        if (!w->way->array) {
            save(w, one, 2);
            break;
        }
        save(w, one, 1); // whole arrays have no queue
        settle(w, BY_SAVE);
        w->now.wall_ms += CLOSE_MS;
        w->now.mono_ms += CLOSE_MS;
        save(w, one, 1);
        break;
    default:
        save(w, one, 1);
        save(w, other, 1);
        break;
    }
    settle(w, BY_SAVE);
}

// ---- the server's life ----------------------------------------------------------------

static tm_dynamodb_options options_of(const way *of, char prefix[64]) {
    (void)snprintf(prefix, 64, "bill-%s-", of->name);
    return (tm_dynamodb_options){.alloc = &heap,
                                 .endpoint = getenv("TM_DYNAMODB"),
                                 .region = "eu-central-1",
                                 .prefix = prefix,
                                 .env = env};
}

static void server_start(world *w) {
    char prefix[64], problem[256] = "";
    tm_dynamodb_options options = options_of(w->way, prefix);
    options.http = door_open(&w->now);
    if (tm_dynamodb_open(&options, &w->store, problem) != TM_OK) {
        fail("%s", problem);
    }
    tm_service_config config = {.alloc = &heap,
                                .store = w->store,
                                .random = random_fill,
                                .random_context = &w->random,
                                .gather = true,
                                .shared = true};
    if (tm_service_new(&config, &w->service) != TM_OK) fail("out of memory");
    static tm_doorbell bell = {on_ring, on_ask, NULL};
    bell.context = w;
    if (w->way->doorbell) tm_service_doorbell(w->service, w->now, &bell);
    w->fresh = true;
    for (size_t i = 0; w->way->push && i < 2; i++) {
        subscribe(w, &w->browsers[i]);
        settle(w, BY_REST);
    }
}

static void costs_add(world *w) {
    tm_store_stats stats;
    tm_store_stats_get(w->store, &stats);
    w->costs_count = stats.costs_count;
    for (size_t i = 0; i < stats.costs_count; i++) {
        tm_store_cost *sum = &w->costs[i];
        sum->kind = stats.costs[i].kind;
        sum->writes = stats.costs[i].writes;
        sum->requests += stats.costs[i].requests;
        sum->retries += stats.costs[i].retries;
        sum->units_milli += stats.costs[i].units_milli;
    }
}

static void server_end(world *w) {
    for (size_t i = 0; i < 2; i++) {
        browser *b = &w->browsers[i];
        if (b->conn != NULL) tm_service_disconnect(w->service, b->conn);
        b->conn = NULL;
    }
    settle(w, BY_TIMER);
    tm_service_free(w->service);
    costs_add(w);
    tm_store_close(w->store);
}

// ---- the day --------------------------------------------------------------------------

static uint32_t moment_s(unsigned n) {
    uint32_t jitter = n * 37 % 60;
    return n < MOMENTS / 2
               ? 9 * 3600 + n * 12 * 60 + jitter
               : 13 * 3600 + 1800 + (n - MOMENTS / 2) * 14 * 60 + jitter;
}

static void rest(world *w, uint32_t s) { // what browsers do when nobody edits
    const way *of = w->way;
    for (size_t i = 0; i < 2; i++) {
        browser *b = &w->browsers[i];
        uint32_t at = s + (uint32_t)i; // not both in the same second
        if (of->poll_s > 0 && at % of->poll_s == 0) {
            get(w, b);
            settle(w, BY_REST);
        }
        if (of->reconnect_s > 0 && at % of->reconnect_s == 0) {
            tm_service_disconnect(w->service, b->conn);
            subscribe(w, b);
            settle(w, BY_REST);
        }
        if (of->push && at % BEAT_S == 0) {
            heartbeat(w, b);
            settle(w, BY_REST);
        }
    }
}

static void second(world *w, uint64_t day, uint32_t s) {
    uint64_t wall_ms = MIDNIGHT + (day * DAY_S + s) * 1000;
    w->now.mono_ms += wall_ms - w->now.wall_ms;
    w->now.wall_ms = wall_ms;
    if (tm_service_deadline(w->service) <= w->now.mono_ms) {
        tm_service_tick(w->service, w->now);
        settle(w, BY_TIMER);
    }
    rest(w, s);
    for (unsigned n = 0; n < MOMENTS; n++) {
        if (moment_s(n) == s) moment(w, n);
    }
}

static void play(world *w, uint64_t days, bool hour) {
    uint32_t from = hour ? 9 * 3600 : 0, to = hour ? 10 * 3600 : DAY_S;
    w->now = (tm_now){MIDNIGHT + from * UINT64_C(1000), 1000};
    server_start(w);
    for (uint64_t day = 0; day < days; day++) {
        for (uint32_t s = from; s < to; s++) {
            if (s == NIGHT_S) {
                server_end(w);
                server_start(w);
            }
            second(w, day, s);
        }
    }
    // Nothing was lost, or the day was not played: each edit has its number.
    for (size_t i = 0; i < 2 && !w->way->array; i++) {
        if (w->browsers[i].cursor == w->edits) continue;
        fail("%s: browser %c has %" PRIu64 " of %" PRIu64 " edits", w->way->name,
             w->browsers[i].name, w->browsers[i].cursor, w->edits);
    }
    if (w->rung != w->edits && w->way->doorbell) {
        fail("%s: %" PRIu64 " of %" PRIu64 " edits are stored", w->way->name,
             w->rung, w->edits);
    }
    server_end(w);
}

static void result_print(const world *w, uint64_t days) {
    printf("{\"way\":\"%s\",\"days\":%" PRIu64 ",\"edits\":%" PRIu64
           ",\"saves\":%" PRIu64 ",\"moments\":%" PRIu64 ",\"calls\":%" PRIu64
           ",\"causes\":{",
           w->way->name, days, w->edits, w->saves, w->moments, w->calls);
    for (size_t i = 0; i < CAUSES; i++) {
        printf("%s\"%s\":%" PRIu64, i > 0 ? "," : "", cause_words[i], w->caused[i]);
    }
    printf("},\"kinds\":{");
    bool first = true;
    for (size_t i = 0; i < w->costs_count; i++) {
        const tm_store_cost *cost = &w->costs[i];
        if (is_free(cost)) continue;
        printf("%s\"%s\":{\"requests\":%" PRIu64 ",\"retries\":%" PRIu64
               ",\"%s\":%.3f}",
               first ? "" : ",", cost->kind, cost->requests, cost->retries,
               cost->writes ? "writeUnits" : "readUnits",
               (double)cost->units_milli / 1000);
        first = false;
    }
    printf("}}\n");
    fflush(stdout);
}

static void way_play(const way *of, uint64_t days, bool hour) {
    char prefix[64], problem[256] = "";
    tm_dynamodb_table tables[TM_DYNAMODB_TABLES_MAX];
    tm_dynamodb_options options = options_of(of, prefix);
    if (tm_dynamodb_tables(&options, true, tables, problem) != TM_OK) {
        fail("%s", problem);
    }
    if (!tables[0].created || !tables[1].created) { // old edits would be known ones
        fail("%s is there already: it wants an empty DynamoDB Local",
             tables[0].name);
    }
    world w = {.way = of, .browsers = {{.name = 'a'}, {.name = 'b'}}};
    play(&w, days, hour);
    result_print(&w, days);
}

int main(int argc, char **argv) {
    if (argc < 3 || getenv("TM_DYNAMODB") == NULL) {
        fail("bench_bill DAYS|hour WAY...; beside tests/dynamodb/with-local.sh");
    }
    bool hour = strcmp(argv[1], "hour") == 0;
    uint64_t days = hour ? 1 : strtoull(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++) {
        const way *of = NULL;
        for (size_t at = 0; at < sizeof ways / sizeof ways[0]; at++) {
            if (strcmp(ways[at].name, argv[i]) == 0) of = &ways[at];
        }
        if (of == NULL || days == 0) fail("there is no such way, or no day");
        way_play(of, days, hour);
    }
    return 0;
}
