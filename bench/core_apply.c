// core_apply.c - how fast the core applies operations, and how much memory a list takes.
//
//     core_apply                 a table on stdout, times in ns per operation
//     core_apply --json          results as bench/kit/kit.h has them
//
// Each operation is read from its JSON bytes as it would come from the network (in
// batches of 100, one reader per batch) and applied, digest and sizes included. 30 % ADD
// with two fields, 60 % UPDATE_METADATA of one field, 10 % DELETE.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/list.h"

#define BATCH 100u

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

static size_t bytes_live;

static void *heap_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    (void)context;
    bytes_live += new_size - old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

static const tm_alloc heap = {heap_resize, NULL};

// The processor's time: others may be using the machine.
static double now_s(void) {
    struct timespec time;
#ifdef __wasm__
    clock_gettime(CLOCK_MONOTONIC, &time);
#else
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
#endif
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void check(tm_status status) {
    if (status == TM_OK) return;
    fprintf(stderr, "status %d\n", (int)status);
    exit(1);
}

// One operation: of `item` of `items`, the n-th of all.
static int op_print(char *to, size_t room, uint64_t *random, size_t n, size_t item,
                    int kind) {
    uint64_t time = 1790000000000 + n, noise = random_next(random);
    char head[160], tail[160];
    snprintf(head, sizeof head, "{\"id\":\"%016" PRIx64 "%08zx\",\"type\":\"%s\",",
             noise, n,
             kind == 0   ? "ADD"
             : kind == 1 ? "UPDATE_METADATA"
                         : "DELETE");
    snprintf(tail, sizeof tail,
             "\"timestamp\":%" PRIu64
             ",\"logical\":%d,\"browserId\":\"chrome-abc%d\","
             "\"version\":%zu}",
             time, (int)(noise % 3), (int)(n / BATCH % 3), n + 1);
    if (kind == 0) {
        return snprintf(
            to, room,
            "%s\"instanceId\":\"i-%014zu\",\"imageId\":\"img-%08zu\","
            "\"data\":{\"photoNumber\":\"%d\",\"description\":\"no %d\"},%s",
            head, item, item, (int)(noise % 1000), (int)(noise % 10000), tail);
    }
    if (kind == 1) {
        return snprintf(
            to, room,
            "%s\"instanceId\":\"i-%014zu\",\"data\":{\"%s\":\"text %d\"},%s", head,
            item, noise & 1 ? "description" : "photoNumber", (int)(noise % 1000),
            tail);
    }
    return snprintf(to, room, "%s\"instanceId\":\"i-%014zu\",%s", head, item, tail);
}

// Arrays of BATCH operations each, one behind the other.
typedef struct bench_work {
    char *text;
    size_t *ends;
    size_t batches, ops;
} bench_work;

static bench_work work_make(size_t items, size_t ops) {
    bench_work made = {.batches = ops / BATCH, .ops = ops};
    made.text = malloc(ops * 420);
    made.ends = malloc(made.batches * sizeof *made.ends);
    size_t len = 0, fresh = items; // ids get used up by deletions
    uint64_t random = 1;
    for (size_t n = 0; n < ops; n++) {
        uint64_t dice = random_next(&random) % 10;
        int kind = dice < 3 ? 0 : dice < 9 ? 1 : 2;
        size_t item = random_next(&random) % items + (fresh - items);
        if (kind == 2) fresh += random_next(&random) % 2; // the window moves on
        made.text[len++] = n % BATCH == 0 ? '[' : ',';
        len += (size_t)op_print(made.text + len, 400, &random, n, item, kind);
        if (n % BATCH == BATCH - 1) {
            made.text[len++] = ']';
            made.ends[n / BATCH] = len;
        }
    }
    return made;
}

static void batch_apply(tm_list *list, tm_arena *arena, tm_span text) {
    static tm_op op;
    tm_json in;
    tm_json_init(&in, text, TM_DEPTH_MAX, arena);
    check(tm_json_open(&in, TM_JSON_ARRAY));
    while (tm_json_element(&in)) {
        check(tm_op_read(&in, &op));
        if (list != NULL) check(tm_list_apply(list, &op, NULL));
    }
    check(tm_json_end(&in));
    tm_arena_reset(arena);
}

static double work_run(const bench_work *work, tm_list *list) {
    tm_arena arena = {.alloc = &heap};
    double start = now_s();
    size_t from = 0;
    for (size_t i = 0; i < work->batches; i++) {
        batch_apply(list, &arena,
                    (tm_span){(uint8_t *)work->text + from, work->ends[i] - from});
        from = work->ends[i];
    }
    double took = now_s() - start;
    tm_arena_deinit(&arena);
    return took;
}

static void result(double value, const char *unit, const char *name, size_t n) {
    printf("{\"name\":\"%s.%zu\",\"value\":%.6g,\"unit\":\"%s\"}\n", name, n, value,
           unit);
}

static void speed_show(size_t items, bool json) {
    bench_work work = work_make(items, 400000);
    double read = 1e9, all = 1e9;
    size_t live = 0;
    for (int round = 0; round < 5; round++) {
        double took = work_run(&work, NULL);
        if (took < read) read = took;
        tm_list *list = NULL;
        check(tm_list_new(&heap, (tm_seed){1, 2}, &list));
        took = work_run(&work, list);
        if (took < all) all = took;
        live = tm_list_live(list);
        tm_list_free(list);
    }
    double ops = (double)work.ops;
    if (json)
        result(ops / all, "1/s", "apply.native", items);
    else
        printf("%6zu items (%zu live at the end)  read %4.0f ns  read + apply "
               "%4.0f ns  "
               "%.2f million/s\n",
               items, live, read / ops * 1e9, all / ops * 1e9, ops / all * 1e-6);
    free(work.text);
    free(work.ends);
}

// Of ADDs with two short fields, nothing else.
static tm_list *list_of(size_t items, uint64_t seed) {
    tm_list *list = NULL;
    check(tm_list_new(&heap, (tm_seed){1, seed}, &list));
    for (size_t i = 0; i < items; i++) {
        char id[32], image[32], number[16], text[32];
        static tm_op op;
        snprintf(id, sizeof id, "i-%014zu", i);
        snprintf(image, sizeof image, "img-%08zu", i);
        snprintf(number, sizeof number, "%zu", i % 1000);
        snprintf(text, sizeof text, "no %zu", i);
        op = (tm_op){.type = TM_OP_ADD, .field_count = 2};
        op.instance_id = (tm_span){(uint8_t *)id, strlen(id)};
        op.image_id = (tm_span){(uint8_t *)image, strlen(image)};
        op.at.time = (1000 + i) << TM_LOGICAL_BITS;
        op.at.version = i + 1;
        op.at.browser = (tm_span){(const uint8_t *)"chrome-abc123", 13};
        op.fields[0].name = (tm_span){(const uint8_t *)"photoNumber", 11};
        op.fields[0].value = (tm_span){(uint8_t *)number, strlen(number)};
        op.fields[1].name = (tm_span){(const uint8_t *)"description", 11};
        op.fields[1].value = (tm_span){(uint8_t *)text, strlen(text)};
        check(tm_list_apply(list, &op, NULL));
    }
    return list;
}

static void memory_show(size_t lists, size_t items) {
    tm_list **all = malloc(lists * sizeof *all);
    size_t before = bytes_live;
    for (size_t l = 0; l < lists; l++) {
        all[l] = list_of(items, l);
    }
    double bytes = (double)(bytes_live - before);
    printf("%6zu lists of %5zu items: %6.2f MB, %.0f bytes an item\n", lists, items,
           bytes * 1e-6, bytes / (double)(lists * items));
    for (size_t l = 0; l < lists; l++) {
        tm_list_free(all[l]);
    }
    free(all);
}

// A snapshot's state read into an empty list.
static void load_show(size_t items) {
    tm_list *list = list_of(items, 1);
    tm_buf text = {.alloc = &heap};
    tm_list_write(list, &text);
    check(text.status);
    tm_list_free(list);
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        tm_arena arena = {.alloc = &heap};
        double start = now_s();
        check(tm_list_new(&heap, (tm_seed){1, 2}, &list));
        tm_json in;
        tm_json_init(&in, tm_buf_span(&text), TM_JSON_DEPTH_MAX, &arena);
        check(tm_list_read(list, &in));
        double took = now_s() - start;
        if (took < best) best = took;
        tm_list_free(list);
        tm_arena_deinit(&arena);
    }
    tm_buf_deinit(&text);
    result(best * 1e3, "ms", "load.native", items);
}

int main(int argc, char **argv) {
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    speed_show(1000, json);
    speed_show(10000, json);
    if (json) {
        load_show(10000);
    } else {
        memory_show(1000, 100);
        memory_show(1, 10000);
    }
    return bytes_live != 0;
}
