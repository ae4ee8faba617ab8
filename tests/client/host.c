// host.c - see host.h.
#include "client/host.h"

page *pages[PAGES_MAX];

// ---- storage ------------------------------------------------------------------------

static char *text_copy(tm_span text) {
    char *copy = malloc(text.len + 1);
    assert_non_null(copy);
    if (text.len > 0) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

static record *find(const place *p, const char *key) {
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->at[i].key, key) == 0) return &p->at[i];
    }
    return NULL;
}

const char *storage_get(const place *p, const char *key) {
    const record *r = find(p, key);
    return r != NULL ? r->value : NULL;
}

void storage_del(place *p, const char *key) {
    record *r = find(p, key);
    if (r == NULL) return;
    free(r->key);
    free(r->value);
    *r = p->at[--p->count];
}

static void put(place *p, const char *key, tm_span value) {
    record *r = find(p, key);
    if (r == NULL) {
        p->at = realloc(p->at, (p->count + 1) * sizeof *p->at);
        r = &p->at[p->count++];
        r->key = text_copy(t_str(key));
    } else {
        free(r->value);
    }
    r->value = text_copy(value);
    r->len = value.len;
}

void storage_put(place *p, const char *key, const char *value) {
    put(p, key, t_str(value));
}

static void place_free(place *p) {
    while (p->count > 0) {
        storage_del(p, p->at[0].key);
    }
    free(p->at);
    *p = (place){0};
}

void storage_free(storage *s) {
    place_free(&s->local);
    place_free(&s->disk);
    *s = (storage){0};
}

static void place_copy(place *to, const place *from) {
    for (size_t i = 0; i < from->count; i++) {
        put(to, from->at[i].key,
            (tm_span){(uint8_t *)from->at[i].value, from->at[i].len});
    }
}

void storage_copy(storage *to, const storage *from) {
    place_copy(&to->local, &from->local);
    place_copy(&to->disk, &from->disk);
}

static bool cut(storage *s) {
    s->calls++;
    return s->cut_at != 0 && s->calls >= s->cut_at;
}

// ---- transactions ---------------------------------------------------------------------

static uint64_t member(const char *text, const char *name) {
    char key[32];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = text != NULL ? strstr(text, key) : NULL;
    return at != NULL ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void clear(place *p, const char *prefix) {
    for (size_t i = 0; i < p->count;) {
        if (strncmp(p->at[i].key, prefix, strlen(prefix)) == 0) {
            storage_del(p, p->at[i].key);
        } else {
            i++;
        }
    }
}

static void write_run(place *p, tm_json *in, bool run) {
    tm_span word, key, value = {NULL, 0};
    T_OK(tm_json_open(in, TM_JSON_ARRAY));
    T_TRUE(tm_json_element(in));
    T_OK(tm_json_string(in, &word));
    T_TRUE(tm_json_element(in));
    T_OK(tm_json_string(in, &key));
    bool is_put = word.ptr[0] == 'p';
    if (is_put) {
        T_TRUE(tm_json_element(in));
        T_OK(tm_json_string(in, &value));
    }
    T_TRUE(!tm_json_element(in));
    if (!run) return;
    char *name = text_copy(key);
    if (is_put) put(p, name, value);
    if (word.ptr[0] == 'd') storage_del(p, name);
    if (word.ptr[0] == 'c') clear(p, name);
    free(name);
}

static void writes_run(place *p, tm_json *in, bool run) {
    T_OK(tm_json_open(in, TM_JSON_ARRAY));
    while (tm_json_element(in)) {
        write_run(p, in, run);
    }
    T_OK(in->status);
}

// The record `state`; one that cannot be read is none.
static const char *state_of(const place *disk) {
    const char *state = storage_get(disk, "state");
    if (state == NULL || strstr(state, "\"cursor\":") == NULL) return NULL;
    return state[strlen(state) - 1] == '}' ? state : NULL;
}

static bool mark_is(const char *state, tm_span mark) {
    char text[200];
    (void)snprintf(text, sizeof text, "\"mark\":\"%.*s\"", (int)mark.len,
                   (const char *)mark.ptr);
    return strstr(state, text) != NULL;
}

// What engine.h says a disk does with a transaction.
static tm_committed transaction(storage *s, const char *text, uint64_t *cursor) {
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_arena arena = {.alloc = &alloc};
    tm_json in;
    tm_span key;
    place *disk = &s->disk;
    const char *state = state_of(disk);
    uint64_t generation = member(state, "generation");
    uint64_t g = 0, c = 0;
    bool run = false, asked = false;
    *cursor = member(state, "cursor");
    if (s->disk_fails || cut(s)) return TM_COMMIT_FAILED;
    tm_json_init(&in, t_str(text), 8, &arena);
    T_OK(tm_json_open(&in, TM_JSON_OBJECT));
    T_TRUE(tm_json_member(&in, &key));
    T_TEXT(key, "guard");
    if (tm_json_peek(&in) == TM_JSON_NULL) {
        T_OK(tm_json_null(&in));
    } else {
        asked = true;
        T_OK(tm_json_open(&in, TM_JSON_ARRAY));
        T_TRUE(tm_json_element(&in));
        T_OK(tm_json_u64(&in, &g));
        T_TRUE(tm_json_element(&in));
        T_OK(tm_json_u64(&in, &c));
        T_TRUE(tm_json_element(&in));
        tm_span mark;
        T_OK(tm_json_string(&in, &mark));
        T_TRUE(!tm_json_element(&in));
        bool above = g > generation || (g == generation && c > *cursor);
        run = state == NULL || (above && mark_is(state, mark));
    }
    T_TRUE(tm_json_member(&in, &key));
    T_TEXT(key, "guarded");
    writes_run(disk, &in, run);
    T_TRUE(tm_json_member(&in, &key));
    T_TEXT(key, "always");
    writes_run(disk, &in, true);
    T_TRUE(!tm_json_member(&in, &key));
    T_OK(tm_json_end(&in));
    tm_arena_deinit(&arena);
    if (!asked) return TM_COMMITTED;
    if (run) {
        *cursor = c;
        return TM_COMMITTED;
    }
    return generation != g ? TM_COMMIT_SUPERSEDED : TM_COMMIT_REFUSED;
}

// ---- pages --------------------------------------------------------------------------

static bool held(const char *browser) {
    for (size_t i = 0; i < PAGES_MAX; i++) {
        for (size_t k = 0; pages[i] != NULL && k < pages[i]->lock_count; k++) {
            if (strcmp(pages[i]->locks[k], browser) == 0) return true;
        }
    }
    return false;
}

static void hold(page *p, const char *browser) {
    T_TRUE(p->lock_count < COUNT(p->locks) && strlen(browser) < sizeof p->locks[0]);
    memcpy(p->locks[p->lock_count++], browser, strlen(browser) + 1);
}

static void adopt(page *p, const place *from) {
    for (size_t i = 0; i < from->count; i++) {
        const char *key = from->at[i].key;
        if (strncmp(key, "writer/", 7) != 0 || held(key + 7)) continue;
        hold(p, key + 7);
        T_OK(tm_engine_adopt(p->engine, p->now, t_str(key + 7)));
    }
}

static tm_span span_of(const record *r) {
    return (tm_span){(uint8_t *)r->value, r->len};
}

static void load(page *p, tm_place which, const place *from) {
    for (size_t i = 0; i < from->count; i++) {
        T_OK(tm_engine_load(p->engine, which, t_str(from->at[i].key),
                            span_of(&from->at[i])));
    }
}

void page_start(page *p, storage *s, model *m, const char *name) {
    tm_engine_config config = {.user = t_str("u"), .list = t_str("l")};
    p->name = name;
    p->storage = s;
    p->server = m;
    if (p->alloc.resize == NULL) p->alloc = t_alloc(&p->memory);
    config.alloc = &p->alloc;
    config.manual = p->manual;
    p->seed += 7; // another one at each start
    for (const char *c = name; *c != '\0'; c++) {
        p->seed = p->seed * 1099511628211u + (uint8_t)*c;
    }
    for (size_t i = 0; i < sizeof config.seed; i++) {
        config.seed[i] = (uint8_t)(p->seed >> (i % 8 * 8)) ^ (uint8_t)(i * 29);
    }
    if (p->now.wall_ms == 0) p->now = (tm_now){m->wall_ms, 5000};
    p->lock_count = 0;
    p->commit = NULL;
    T_OK(tm_engine_new(&config, &p->engine));
    for (size_t i = 0; i <= PAGES_MAX; i++) {
        T_TRUE(i < PAGES_MAX);
        if (pages[i] != NULL) continue;
        pages[i] = p;
        p->conn = i;
        break;
    }
    if (!s->no_local) load(p, TM_PLACE_LOCAL, &s->local);
    if (!s->no_disk) load(p, TM_PLACE_DISK, &s->disk);
    if (!s->no_disk) adopt(p, &s->disk);
    if (!s->no_local) adopt(p, &s->local);
    // Another page may have taken over who was called so.
    tm_span fresh = t_str(held(name) ? "" : name);
    uint32_t flags =
        (s->no_disk ? 0 : TM_START_DISK) | (s->no_local ? TM_START_NO_LOCAL : 0);
    T_OK(tm_engine_start(p->engine, p->now, fresh, flags));
    page_pump(p);
    if (p->manual && !p->offline) {
        tm_engine_channel(p->engine, p->now, TM_CHANNEL_POLL);
        page_pump(p);
    }
}

void page_stop(page *p) {
    for (size_t i = 0; i < PAGES_MAX; i++) {
        if (pages[i] == p) pages[i] = NULL;
    }
    free(p->commit);
    p->commit = NULL;
    p->lock_count = 0;
    if (p->server != NULL) model_close(p->server, p->conn);
    tm_engine_free(p->engine);
    p->engine = NULL;
    T_EQ(p->memory.live, 0);
}

void page_release(page *p) {
    if (p->commit == NULL) return;
    uint64_t cursor;
    char *text = p->commit;
    p->commit = NULL;
    tm_committed outcome = transaction(p->storage, text, &cursor);
    free(text);
    tm_engine_committed(p->engine, p->now, p->ticket, outcome, cursor);
}

static void word_take(char *to, size_t size, tm_span from) {
    if (from.ptr == NULL) from = t_str("null");
    size_t len = from.len < size - 1 ? from.len : size - 1;
    memcpy(to, from.ptr, len);
    to[len] = '\0';
}

static void keep(page *p, const tm_event *event) {
    storage *s = p->storage;
    char *key = text_copy(event->key);
    bool kept = !s->quota && !s->no_local && !cut(s);
    if (kept) put(&s->local, key, event->value);
    tm_engine_kept(p->engine, event->key, kept);
    free(key);
}

static void handle(page *p, const tm_event *event) {
    storage *s = p->storage;
    char key[160];
    word_take(key, sizeof key, event->key);
    switch (event->kind) {
    case TM_EVENT_KEEP:
        keep(p, event);
        break;
    case TM_EVENT_FORGET:
        if (!cut(s) && !s->no_local) storage_del(&s->local, key);
        break;
    case TM_EVENT_COMMIT:
        T_TRUE(p->commit == NULL);
        p->commit = text_copy(event->value);
        p->ticket = event->ticket;
        if (!s->held) page_release(p);
        break;
    case TM_EVENT_WRITER:
        hold(p, key);
        break;
    case TM_EVENT_RELOAD:
        p->reloads++;
        T_EQ(tm_engine_adopt(p->engine, p->now, t_str("b-later")), TM_E_AGAIN);
        load(p, TM_PLACE_DISK, &s->disk);
        T_OK(tm_engine_reloaded(p->engine, p->now));
        break;
    case TM_EVENT_SHOW:
        p->shows++;
        break;
    case TM_EVENT_RECEIPT:
        p->receipts[event->receipt]++;
        break;
    case TM_EVENT_SUPERSEDED:
        p->superseded++;
        word_take(p->last_field, sizeof p->last_field, event->field);
        word_take(p->last_mine, sizeof p->last_mine, event->mine);
        word_take(p->last_winner, sizeof p->last_winner, event->winner);
        break;
    case TM_EVENT_DEAD:
        p->dead++;
        break;
    case TM_EVENT_AUTHORIZE:
        p->authorize++;
        break;
    case TM_EVENT_DAMAGE:
        p->damage++;
        break;
    case TM_EVENT_DIVERGED:
        p->diverged++;
        break;
    case TM_EVENT_PROBLEM:
        p->problems++;
        word_take(p->last_problem, sizeof p->last_problem, event->value);
        word_take(p->last_problem_code, sizeof p->last_problem_code, event->key);
        break;
    case TM_EVENT_STATUS:
    case TM_EVENT_NONE:
        break;
    }
}

void page_pump(page *p) {
    tm_event event;
    for (size_t i = 0; tm_engine_event(p->engine, &event); i++) {
        T_TRUE(i < 100000); // it never ends otherwise
        handle(p, &event);
    }
}

void page_advance(page *p, uint64_t ms) {
    p->now.wall_ms += ms;
    p->now.mono_ms += ms;
    tm_engine_tick(p->engine, p->now);
    page_pump(p);
}

tm_status page_edit(page *p, const char *edit) {
    tm_status status = tm_engine_edit(p->engine, p->now, t_str(edit), NULL);
    page_pump(p);
    return status;
}

tm_written page_written(page *p, const char *edit) {
    tm_status status = page_edit(p, edit);
    if (status != TM_E_GONE) T_OK(status);
    return tm_engine_written(p->engine);
}

// ---- the network ----------------------------------------------------------------------

bool page_exchange(page *p, fault way) {
    tm_send send = tm_engine_take(p->engine, p->now);
    if (send.kind == TM_SEND_NONE) return false;
    bool lost = p->offline || way == FAULT_REQUEST;
    bool push = send.timeout_ms == 0 || send.kind == TM_SEND_FRAME ||
                p->server->conns[p->conn].open;
    if (push) {
        if (!lost) model_frame(p->server, p->conn, send.bytes);
        page_pump(p);
        return true;
    }
    uint32_t http = 0;
    char *body = NULL;
    if (!lost && send.kind == TM_SEND_SAVE) {
        body = model_post(p->server, send.bytes, &http);
    } else if (!lost) {
        body = model_pull(p->server, send.bytes, &http);
    }
    if (lost || way == FAULT_RESPONSE) http = 0;
    tm_span answer = http == 0 ? (tm_span){NULL, 0} : t_str(body);
    tm_engine_answer(p->engine, p->now, send.ref, http, answer);
    free(body);
    page_pump(p);
    return true;
}

void page_frames(page *p) {
    for (char *frame; (frame = model_next(p->server, p->conn)) != NULL;) {
        tm_engine_feed(p->engine, p->now, t_str(frame));
        free(frame);
        page_pump(p);
    }
}

void page_push(page *p, fault way) {
    for (size_t i = 0;; i++) {
        T_TRUE(i < 500);
        uint64_t pending = page_status(p, "pending") + page_status(p, "offered");
        if (pending == 0) return;
        tm_engine_ask(p->engine, p->now, TM_ASK_PUSH);
        page_pump(p);
        if (!page_exchange(p, way) || way != FAULT_NONE || p->offline) return;
        page_frames(p);
        uint64_t after = page_status(p, "pending") + page_status(p, "offered");
        if (after >= pending) return; // a stop
    }
}

void page_pull(page *p) {
    tm_engine_ask(p->engine, p->now, TM_ASK_PULL);
    for (size_t i = 0; page_exchange(p, FAULT_NONE); i++) {
        T_TRUE(i < 100);
        page_frames(p);
    }
}

// Time passes in the steps that the engines ask for; every page of the world takes part.
void page_settle(page *p, uint64_t ms) {
    uint64_t end = p->now.mono_ms + ms;
    while (p->now.mono_ms < end) {
        uint64_t step = end - p->now.mono_ms;
        for (size_t i = 0; i < PAGES_MAX; i++) {
            page *one = pages[i];
            if (one == NULL) continue;
            for (size_t k = 0; page_exchange(one, FAULT_NONE); k++) {
                T_TRUE(k < 100);
            }
            page_frames(one);
            page_pump(one);
            uint64_t at = tm_engine_deadline(one->engine);
            uint64_t wait = at > one->now.mono_ms ? at - one->now.mono_ms : 1;
            if (wait < step) step = wait;
        }
        p->server->wall_ms += step;
        for (size_t i = 0; i < PAGES_MAX; i++) {
            if (pages[i] != NULL) page_advance(pages[i], step);
        }
    }
}

// ---- looking ------------------------------------------------------------------------

// The JSON of an item without its quotes: short enough to compare in a test.
static size_t item_print(page *p, tm_span id, char *out, size_t size) {
    tm_span json;
    T_OK(tm_engine_item(p->engine, p->now, id, &json));
    T_TRUE(json.len > 0);
    size_t len = 0;
    for (size_t i = 0; i < json.len; i++) {
        if (json.ptr[i] != '"' && len + 1 < size) out[len++] = (char)json.ptr[i];
    }
    return len;
}

const char *page_view(page *p) {
    static char view[65536];
    char *order;
    tm_span json;
    tm_span sort = tm_engine_sort(p->engine, p->now);
    size_t len = sort.len;
    memcpy(view, sort.ptr, sort.len);
    T_OK(tm_engine_order(p->engine, p->now, &json));
    order = text_copy(json);
    for (char *at = strchr(order, '"'); at != NULL; at = strchr(at, '"')) {
        char *end = strchr(at + 1, '"');
        view[len++] = ' ';
        len += item_print(p, (tm_span){(uint8_t *)at + 1, (size_t)(end - at) - 1},
                          view + len, sizeof view - len - 2);
        at = end + 1;
    }
    view[len] = '\0';
    free(order);
    return view;
}

// Looking never fails for want of memory, and counts no requests for it.
static tm_span status_of(page *p) {
    tm_span json;
    t_memory before = p->memory;
    p->memory.fail_at = 0;
    T_OK(tm_engine_status(p->engine, p->now, &json));
    p->memory.fail_at = before.fail_at;
    p->memory.requests = before.requests;
    return json;
}

uint64_t page_status(page *p, const char *name) {
    char *text = text_copy(status_of(p));
    uint64_t number = member(text, name);
    free(text);
    return number;
}

bool page_phase(page *p, const char *phase) {
    char want[32];
    char *text = text_copy(status_of(p));
    (void)snprintf(want, sizeof want, "\"phase\":\"%s\"", phase);
    bool is = strstr(text, want) != NULL;
    free(text);
    return is;
}

bool page_equals_server(page *p) {
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    tm_buf a = {.alloc = &alloc}, b = {.alloc = &alloc};
    uint64_t cursor;
    tm_list *list = model_list(p->server);
    tm_list_write(list, &a);
    tm_list_write(tm_engine_confirmed(p->engine, &cursor), &b);
    bool same = tm_span_cmp(tm_buf_span(&a), tm_buf_span(&b)) == 0 &&
                cursor == p->server->now.op_count;
    if (!same) {
        print_error("# %s at %" PRIu64 " of %zu\n#  server %.*s\n#  page   %.*s\n",
                    p->name, cursor, p->server->now.op_count, (int)a.len,
                    (char *)a.ptr, (int)b.len, (char *)b.ptr);
    }
    tm_buf_deinit(&a);
    tm_buf_deinit(&b);
    tm_list_free(list);
    return same;
}
