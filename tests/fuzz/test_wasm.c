// The engine natively against the core.wasm that ships, run by node: the same calls through
// the same door (client/door.h), whose answers must be the same, byte for byte. What they
// are given are the inputs that fuzzing the client has found interesting, each as it is and
// damaged in a few places.
//
// A line of an input is a stored record, a frame, an answer of the server or an edit, all of
// them in turn. Only the words that say why something was refused may differ: in a browser
// all of them are one (core/json.h, TM_WHY).
#include <dirent.h>

#include "cmd/check_door.h"
#include "cmd/file.h"
#include "cmd/host.h"
#include "t.h"

#define CORPUS    "tests/fuzz/corpus"
#define SIZE_MAX_ 65536
#define LINES_MAX 24
#define DAMAGED   3 // times each

// ---- what was said ----------------------------------------------------------------------

typedef struct trace {
    uint64_t hash, calls;
    tm_buf text; // of the calls since the line began, for people
} trace;

static void note(trace *to, const char *call, int64_t result, tm_span out) {
    char head[64];
    int len =
        snprintf(head, sizeof head, "%s %" PRId64 " %zu ", call, result, out.len);
    tm_buf_put(&to->text, (tm_span){(const uint8_t *)head, (size_t)len});
    tm_buf_put(&to->text, out);
    tm_buf_byte(&to->text, '\n');
    tm_span parts[] = {{(const uint8_t *)head, (size_t)len}, out};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < parts[i].len; k++) { // FNV-1a
            to->hash = (to->hash ^ parts[i].ptr[k]) * UINT64_C(0x100000001b3);
        }
    }
    to->calls++;
}

// ---- one page behind one door -----------------------------------------------------------

typedef struct page {
    tm_check_door *door;
    trace trace;
    uint64_t engine, wall_ms, mono_ms, ref;
} page;

#define NAME(fn) #fn
#define CALL(p, fn, in, ...)                                                       \
    call(p, TM_FN_##fn, NAME(fn), in, (const uint64_t[]){(p)->engine, __VA_ARGS__})
#define NOW(p) (p)->wall_ms, (p)->mono_ms

static const tm_span none = {NULL, 0};

// A refusal's words are its browser's own.
static bool is_words(tm_check_fn fn, int64_t result) {
    return (fn == TM_FN_event &&
            (result == TM_EVENT_DAMAGE || result == TM_EVENT_PROBLEM)) ||
           (fn == TM_FN_edit && result < 0);
}

static int64_t call(page *p, tm_check_fn fn, const char *name, tm_span in,
                    const uint64_t *args) {
    int64_t result = 0;
    tm_span out = none;
    tm_status status = tm_check_call(p->door, fn, args, in, &result, &out);
    if (status != TM_OK) print_error("# %s: %s\n", name, tm_check_problem(p->door));
    T_OK(status);
    note(&p->trace, name, result, is_words(fn, result) ? none : out);
    return result;
}

static uint64_t ticket_of(tm_span out) {
    static const char name[] = "\"ticket\":";
    uint64_t number = 0;
    for (size_t i = 0; i + sizeof name - 1 < out.len; i++) {
        if (memcmp(out.ptr + i, name, sizeof name - 1) != 0) continue;
        for (i += sizeof name - 1; out.ptr[i] >= '0' && out.ptr[i] <= '9'; i++) {
            number = number * 10 + (uint64_t)(out.ptr[i] - '0');
        }
        break;
    }
    return number;
}

// A storage that keeps everything, and forgets it: nobody loads it again.
static void pump(page *p) {
    for (size_t i = 0;; i++) {
        uint8_t key[512];
        tm_span out = none;
        int64_t kind = 0;
        T_TRUE(i < 10000);
        T_OK(tm_check_call(p->door, TM_FN_event, &p->engine, none, &kind, &out));
        note(&p->trace, "event", kind, is_words(TM_FN_event, kind) ? none : out);
        if (kind == TM_EVENT_NONE) return;
        if (kind == TM_EVENT_KEEP) {
            T_TRUE(out.len >= 8);
            size_t len = out.ptr[0] | (size_t)out.ptr[1] << 8;
            T_TRUE(len <= sizeof key && 8 + len <= out.len);
            memcpy(key, out.ptr + 8, len); // `out` is gone with the next call
            CALL(p, kept, ((tm_span){key, len}), len, i % 5 != 4);
        } else if (kind == TM_EVENT_COMMIT) {
            uint64_t ticket = ticket_of(out);
            uint64_t cursor = (uint64_t)CALL(p, cursor, none, 0);
            CALL(p, committed, none, NOW(p), ticket,
                 i % 7 == 6 ? TM_COMMIT_FAILED : TM_COMMITTED, cursor);
        }
    }
}

static void start(page *p, bool manual) {
    uint8_t in[34] = {'u', 'l'};
    memset(in + 2, 7, 32);
    const uint64_t args[] = {1, 1, manual};
    int64_t engine = 0;
    T_OK(tm_check_call(p->door, TM_FN_new, args, (tm_span){in, sizeof in}, &engine,
                       NULL));
    T_TRUE(engine > 0);
    p->engine = (uint64_t)engine;
    p->wall_ms = UINT64_C(1700000000000);
    p->mono_ms = 5000;
    p->trace.hash = UINT64_C(0xcbf29ce484222325);
}

static void load(page *p, tm_span line) {
    size_t blank = 1;
    while (blank < line.len && line.ptr[blank] != ' ') {
        blank++;
    }
    if (blank >= line.len) return;
    uint8_t *in = malloc(line.len);
    T_TRUE(in != NULL);
    size_t key = blank - 1, value = line.len - blank - 1;
    memcpy(in, line.ptr + 1, key);
    memcpy(in + key, line.ptr + blank + 1, value);
    CALL(p, load, ((tm_span){in, key + value}), line.ptr[0] == 'l' ? 0 : 1, key,
         value);
    free(in);
}

static void look(page *p) {
    CALL(p, status, none, NOW(p));
    CALL(p, order, none, NOW(p));
    CALL(p, sort, none, NOW(p));
    CALL(p, item, t_str("x"), NOW(p), 1);
    CALL(p, confirmed, none, 0);
    CALL(p, cursor, none, 0);
    CALL(p, deadline, none, 0);
}

static void take(page *p) {
    CALL(p, take, none, NOW(p));
    p->ref = (uint64_t)CALL(p, ref, none, 0);
}

#define UPDATE                                                                     \
    "{\"type\":\"UPDATE_METADATA\",\"instanceId\":\"x\",\"data\":"                 \
    "{\"description\":\"d\",\"photoNumber\":null}}"

static void line_do(page *p, tm_span line, size_t number) {
    static const char *const edits[] = {
        "{\"type\":\"ADD\",\"instanceId\":\"x\",\"imageId\":\"i\"}", UPDATE,
        "{\"type\":\"SORT_CHANGE\",\"sort\":\"desc\"}",
        "{\"type\":\"DELETE\",\"instanceId\":\"y\"}"};
    tm_span edit = t_str(edits[number % 4]);
    p->wall_ms += 700 + number * 900;
    p->mono_ms += 700 + number * 900;
    CALL(p, tick, none, NOW(p));
    if (number % 3 == 0) CALL(p, edit, edit, NOW(p), edit.len);
    if (number % 4 == 1) CALL(p, edit, line, NOW(p), line.len);
    pump(p);
    CALL(p, ask, none, NOW(p), number % 2 == 0 ? TM_ASK_PUSH : TM_ASK_PULL);
    take(p);
    if (number % 2 == 0) {
        CALL(p, answer, line, NOW(p), p->ref, number % 8 == 6 ? 409 : 200,
             line.len);
    } else {
        CALL(p, feed, line, NOW(p), line.len);
    }
    pump(p);
    take(p);
    look(p);
}

// ---- both -------------------------------------------------------------------------------

static bool next_line(tm_span text, size_t *at, tm_span *line) {
    if (*at >= text.len) return false;
    size_t end = *at;
    while (end < text.len && text.ptr[end] != '\n') {
        end++;
    }
    *line = (tm_span){text.ptr + *at, end - *at};
    *at = end + 1;
    return true;
}

static void same(page pages[2], tm_span line) {
    const trace *a = &pages[0].trace, *b = &pages[1].trace;
    if (a->hash == b->hash && a->calls == b->calls) return;
    print_error("# after %.*s\n# native:\n%.*s\n# wasm:\n%.*s\n",
                (int)(line.len > 400 ? 400 : line.len), (const char *)line.ptr,
                (int)a->text.len, (const char *)a->text.ptr, (int)b->text.len,
                (const char *)b->text.ptr);
    T_EQ(a->hash, b->hash);
    T_EQ(a->calls, b->calls);
}

static void start_all(page pages[2], tm_span text, bool records) {
    for (size_t i = 0; i < 2; i++) {
        page *p = &pages[i];
        start(p, text.len > 0 && text.ptr[0] != '\n');
        tm_span line;
        for (size_t at = 0; records && next_line(text, &at, &line);) {
            load(p, line);
        }
        CALL(p, start, t_str("b-a"), NOW(p), 3, 1);
        pump(p);
        CALL(p, channel, none, NOW(p),
             text.len % 2 == 0 ? TM_CHANNEL_PUSH : TM_CHANNEL_POLL);
        look(p);
    }
    same(pages, text);
}

static uint64_t play(page pages[2], tm_span text, bool records) {
    tm_span line;
    start_all(pages, text, records);
    for (size_t at = 0, n = 0; n < LINES_MAX && next_line(text, &at, &line); n++) {
        for (size_t i = 0; i < 2; i++) {
            tm_buf_reset(&pages[i].trace.text);
            line_do(&pages[i], line, n);
        }
        same(pages, line);
    }
    uint64_t calls = pages[0].trace.calls;
    for (size_t i = 0; i < 2; i++) {
        T_OK(tm_check_call(pages[i].door, TM_FN_free, &pages[i].engine, none, NULL,
                           NULL));
        tm_buf_deinit(&pages[i].trace.text);
        pages[i].trace = (trace){.text = {.alloc = &tm_host_alloc}};
    }
    return calls;
}

static void damage(uint8_t *text, size_t len, uint64_t seed) {
    static const char letters[] = "\"{}[],:0123456789\n\\ex\xc3\xff";
    for (size_t i = 0; i < 1 + len / 200; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        text[(seed >> 33) % len] =
            (uint8_t)letters[(seed >> 20) % (sizeof letters - 1)];
    }
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void directory_play(page pages[2], const char *name, uint64_t *inputs,
                           uint64_t *calls) {
    struct dirent **files;
    char path[600];
    bool records = strcmp(name, "client_fuzz_record") == 0;
    (void)snprintf(path, sizeof path, CORPUS "/%s", name);
    int count = scandir(path, &files, visible, by_name);
    T_TRUE(count > 0);
    for (int i = 0; i < count; i++) {
        uint8_t *text;
        size_t len;
        (void)snprintf(path, sizeof path, CORPUS "/%s/%s", name, files[i]->d_name);
        t_row = path;
        T_TRUE(tm_file_read(path, SIZE_MAX_, &text, &len));
        for (uint64_t k = 0; k <= DAMAGED && len > 0; k++) {
            if (k > 0) damage(text, len, (uint64_t)i * 1000 + k);
            *calls += play(pages, (tm_span){text, len}, records);
            ++*inputs;
        }
        free(text);
        free(files[i]);
    }
    free(files);
}

static void test_same(void **state) {
    static const char *const names[] = {"client_fuzz_record", "client_fuzz_frame",
                                        "client_fuzz_answer"};
    char problem[256] = "";
    uint64_t inputs = 0, calls = 0;
    (void)state;
    page pages[2] = {{.trace = {.text = {.alloc = &tm_host_alloc}}},
                     {.trace = {.text = {.alloc = &tm_host_alloc}}}};
    T_OK(tm_check_native(&pages[0].door));
    tm_status status = tm_check_node(&pages[1].door, problem);
    if (status != TM_OK) print_error("# %s\n", problem);
    T_OK(status);
    for (size_t i = 0; i < COUNT(names); i++) {
        directory_play(pages, names[i], &inputs, &calls);
    }
    tm_check_door_close(pages[0].door);
    tm_check_door_close(pages[1].door);
    print_message("# %" PRIu64 " inputs, %" PRIu64 " calls, all answered alike\n",
                  inputs, calls);
    T_TRUE(inputs > 50 && calls > 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
