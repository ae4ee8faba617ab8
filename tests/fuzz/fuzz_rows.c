// A SQLite database whose rows somebody else has written: the input says which columns of
// which rows become what. Opening it is refused, or it is opened and then looked at by
// everybody who reads rows: `verify`, and the service, which answers 200 or 503; and if it
// still takes a save, what it took is there after a restart.
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/verify.h"
#include "fuzz.h"
#include "service/service.h"
#include "store/sqlite.h"

static char directory[64], original[80], path[80];
static tm_alloc alloc;
static uint64_t clock_us;

static tm_span text_of(const char *text) {
    return (tm_span){(const uint8_t *)text, strlen(text)};
}

static uint64_t time_us(void *context) {
    (void)context;
    return clock_us;
}

// ---- a service over it --------------------------------------------------------------

typedef struct world {
    tm_store *store;
    tm_service *service;
    tm_now now;
    uint64_t replies, status;
} world;

static void fill(void *context, uint8_t *bytes, size_t len) {
    (void)context;
    memset(bytes, 7, len);
}

static bool world_open(world *w, const char *file) {
    char problem[256] = "";
    tm_sqlite_options options = {.path = file, .now_us = time_us};
    *w = (world){.now = {1790000000000, 1000}};
    tm_status status = tm_sqlite_open(&options, &w->store, problem);
    if (status != TM_OK) {
        TM_ASSERT(problem[0] != '\0' && strlen(problem) < sizeof problem);
        return false;
    }
    tm_service_config config = {
        .alloc = &alloc, .store = w->store, .random = fill, .snapshot_ops = 3};
    TM_ASSERT(tm_service_new(&config, &w->service) == TM_OK);
    return true;
}

// All that is due now; with `later`, what the store has put off, too.
static void run(world *w, bool later) {
    tm_effect effect;
    for (int turns = 0;; turns++) {
        bool any = false;
        TM_ASSERT(turns < 100000);
        while (tm_service_effect(w->service, &effect)) {
            any = true;
            if (effect.kind == TM_EFFECT_REPLY) {
                w->replies++;
                w->status = effect.status;
            }
            if (effect.frame != NULL) tm_frame_release(w->service, effect.frame);
        }
        uint64_t due = tm_sqlite_due(w->store);
        if (later && due > clock_us && due != UINT64_MAX) {
            w->now.mono_ms += (due - clock_us) / 1000 + 1;
            w->now.wall_ms += (due - clock_us) / 1000 + 1;
            clock_us = due;
            tm_service_tick(w->service, w->now);
        }
        if (tm_store_poll(w->store) == 0 && !any && due > clock_us) return;
    }
}

static uint64_t ask(world *w, tm_method method, const char *to, const char *query,
                    const char *body) {
    uint64_t ticket, before = w->replies;
    tm_request request = {.method = method,
                          .path = text_of(to),
                          .query = text_of(query),
                          .body = text_of(body),
                          .user = text_of("ann"),
                          .peer = w};
    tm_service_request(w->service, w->now, &request, &ticket);
    run(w, false);
    TM_ASSERT(w->replies == before + 1);
    return w->status;
}

static void world_close(world *w) {
    run(w, true);
    TM_ASSERT(tm_service_idle(w->service));
    tm_service_free(w->service);
    tm_store_close(w->store);
}

// ---- the database -------------------------------------------------------------------

#define POST(n, type, rest)                                                        \
    "{\"user\":\"ann\",\"operations\":[{\"id\":\"o" n "\",\"type\":\"" type        \
    "\"," rest "\"timestamp\":" n ",\"browserId\":\"x\",\"version\":" n "}]}"
#define OPERATIONS "/v1/lists/l/operations"

static const char *const posts[] = {
    POST("1", "ADD", "\"instanceId\":\"i\",\"imageId\":\"m\","),
    POST("2", "SORT_CHANGE", "\"sort\":\"desc\","),
    POST("3", "ADD", "\"imageId\":\"m\","), // is rejected, and rides along
    POST("4", "UPDATE_METADATA",
         "\"instanceId\":\"i\",\"data\":{\"description\":\"d\"},"),
    POST("5", "PAINT", ""),
    POST("6", "DELETE", "\"instanceId\":\"j\","),
    POST("7", "DELETE", "\"instanceId\":\"k\","),
};

static void at_end(void) {
    char name[100];
    static const char *const ends[] = {"",         "-wal",  "-shm",
                                       "-journal", ".lock", "-lock"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", original, ends[i]);
        (void)unlink(name);
        (void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    (void)rmdir(directory);
}

static void original_make(void) {
    world w;
    bool shm = access("/dev/shm", W_OK) == 0; // nobody's disk is worn out by this
    (void)snprintf(directory, sizeof directory, "%s/tidemark-rows-XXXXXX",
                   shm ? "/dev/shm" : "/tmp");
    TM_ASSERT(mkdtemp(directory) != NULL);
    (void)snprintf(original, sizeof original, "%s/a.db", directory);
    (void)snprintf(path, sizeof path, "%s/b.db", directory);
    (void)atexit(at_end);
    alloc = fuzz_alloc();
    TM_ASSERT(world_open(&w, original));
    for (size_t i = 0; i < sizeof posts / sizeof posts[0]; i++) {
        TM_ASSERT(ask(&w, TM_POST, OPERATIONS, "", posts[i]) == 200);
        if (i == 3)
            run(&w, true); // some are filed by list, and there is a snapshot
    }
    world_close(&w);
}

static void copy(void) {
    static uint8_t bytes[1 << 20];
    static ssize_t len;
    if (len == 0) {
        int from = open(original, O_RDONLY);
        TM_ASSERT(from >= 0);
        len = read(from, bytes, sizeof bytes);
        TM_ASSERT(len > 0 && (size_t)len < sizeof bytes);
        (void)close(from);
    }
    char name[100];
    (void)snprintf(name, sizeof name, "%s-wal", path);
    (void)unlink(name);
    (void)snprintf(name, sizeof name, "%s-shm", path);
    (void)unlink(name);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    TM_ASSERT(to >= 0 && write(to, bytes, (size_t)len) == len);
    (void)close(to);
}

// ---- what somebody else did ---------------------------------------------------------

static const char *const updates[] = {
// ?1 = the value, ?2 = which row
// clang-format off
#define SET(table, key, column)                                                    \
    "UPDATE OR REPLACE " table " SET " column " = ?1 WHERE " key " = (SELECT "    \
    key " FROM " table " LIMIT 1 OFFSET ?2)"
    // clang-format on
    SET("lists", "id", "id"),
    SET("lists", "id", "user"),
    SET("lists", "id", "list"),
    SET("journal", "n", "n"),
    SET("journal", "n", "list_id"),
    SET("journal", "n", "first_seq"),
    SET("journal", "n", "last_seq"),
    SET("journal", "n", "accepted_ms"),
    SET("journal", "n", "before"),
    SET("journal", "n", "mark"),
    SET("journal", "n", "rejected"),
    SET("journal", "n", "operations"),
    SET("batches", "at", "at"),
    SET("batches", "at", "last_seq"),
    SET("batches", "at", "accepted_ms"),
    SET("batches", "at", "before"),
    SET("batches", "at", "mark"),
    SET("batches", "at", "rejected"),
    SET("batches", "at", "operations"),
    SET("snapshots", "list_id", "list_id"),
    SET("snapshots", "list_id", "seq"),
    SET("snapshots", "list_id", "first_part"),
    SET("snapshots", "list_id", "parts"),
    SET("snapshots", "list_id", "bytes"),
    SET("parts", "id", "id"),
    SET("parts", "id", "bytes"),
    "INSERT OR REPLACE INTO loose_parts VALUES (?1, ?2)",
    "DELETE FROM batches WHERE last_seq = ?2 OR last_seq = ?1",
    "DELETE FROM journal WHERE last_seq = ?2 OR last_seq = ?1",
    "DELETE FROM parts WHERE ?1 IS NOT NULL AND ?2 < 8",
    "UPDATE batches SET operations = replace(operations, 'x', ?1) WHERE ?2 < 8",
    "UPDATE parts SET bytes = CAST(replace(CAST(bytes AS TEXT), ?2, ?1) AS BLOB)",
#undef SET
};

static void value_bind(sqlite3_stmt *stmt, uint8_t kind, tm_span value) {
    int64_t number = 0;
    for (size_t i = 0; i < value.len && i < 8; i++) {
        number = (int64_t)((uint64_t)number << 8 | value.ptr[i]);
    }
    int rc = kind == 0   ? sqlite3_bind_null(stmt, 1)
             : kind == 1 ? sqlite3_bind_int64(stmt, 1, number)
             : kind == 2 ? sqlite3_bind_blob(stmt, 1, value.ptr, (int)value.len,
                                             SQLITE_TRANSIENT)
                         : sqlite3_bind_text(stmt, 1, (const char *)value.ptr,
                                             (int)value.len, SQLITE_TRANSIENT);
    TM_ASSERT(rc == SQLITE_OK);
}

// What SQLite asks for, itself: it is not what is tried here, makes tens of thousands of
// blocks an input, and the sanitizer's bookkeeping of those took most of the time.
typedef struct block {
    union {
        struct block *next; // while it is free
        size_t size;        // its class
        long double align;
    } head;
} block;

static block *free_blocks[32]; // by size, 2^n
static pthread_mutex_t blocks_lock =
    PTHREAD_MUTEX_INITIALIZER; // a store may have a thread

static unsigned class_of(size_t size) {
    unsigned n = 5;
    while (((size_t)1 << n) < size) {
        n++;
    }
    return n;
}

static void *block_get(int size) {
    unsigned n = class_of((size_t)size);
    (void)pthread_mutex_lock(&blocks_lock);
    block *one = free_blocks[n];
    if (one != NULL) free_blocks[n] = one->head.next;
    (void)pthread_mutex_unlock(&blocks_lock);
    if (one == NULL) one = malloc(sizeof *one + ((size_t)1 << n));
    if (one == NULL) return NULL;
    one->head.size = n;
    return one + 1;
}

static void block_put(void *ptr) {
    if (ptr == NULL) return;
    block *one = (block *)ptr - 1;
    size_t n = one->head.size;
    (void)pthread_mutex_lock(&blocks_lock);
    one->head.next = free_blocks[n];
    free_blocks[n] = one;
    (void)pthread_mutex_unlock(&blocks_lock);
}

static int block_size(void *ptr) {
    return ptr == NULL ? 0 : 1 << ((block *)ptr - 1)->head.size;
}

static void *block_resize(void *ptr, int size) {
    if (size <= block_size(ptr)) return ptr;
    void *larger = block_get(size);
    if (larger == NULL) return NULL;
    memcpy(larger, ptr, (size_t)block_size(ptr));
    block_put(ptr);
    return larger;
}

static int block_round(int size) {
    return 1 << class_of((size_t)size);
}

static int blocks_begin(void *context) {
    (void)context;
    return SQLITE_OK;
}

static void blocks_end(void *context) {
    (void)context;
}

static void sqlite_prepare(void) {
    static const sqlite3_mem_methods blocks = {
        block_get,   block_put,    block_resize, block_size,
        block_round, blocks_begin, blocks_end,   NULL};
    TM_ASSERT(sqlite3_config(SQLITE_CONFIG_MALLOC, &blocks) == SQLITE_OK);
    TM_ASSERT(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
}

// Each is a statement of its own; a longer list did the same to the same few rows.
#define UPDATES_MAX 12u

// Column, kind and row, a length, so many bytes: again and again. False: nothing changed.
static bool spoil(const uint8_t *data, size_t size) {
    size_t count = 0;
    sqlite3 *db = NULL;
    TM_ASSERT(sqlite3_open(path, &db) == SQLITE_OK);
    (void)sqlite3_exec(db, "PRAGMA journal_mode = OFF", NULL, NULL, NULL);
    for (size_t at = 0; at + 3 <= size && count < UPDATES_MAX; count++) {
        const char *update =
            updates[data[at] % (sizeof updates / sizeof updates[0])];
        uint8_t how = data[at + 1];
        size_t len = data[at + 2];
        at += 3;
        if (len == 255 && at < size) len += data[at++];
        if (len > size - at) len = size - at;
        sqlite3_stmt *stmt = NULL;
        if (sqlite3_prepare_v2(db, update, -1, &stmt, NULL) != SQLITE_OK) {
            fprintf(stderr, "%s: %s\n", update, sqlite3_errmsg(db));
            abort();
        }
        value_bind(stmt, how & 3, (tm_span){data + at, len});
        if (sqlite3_bind_parameter_count(stmt) > 1) {
            TM_ASSERT(sqlite3_bind_int(stmt, 2, how >> 2 & 15) == SQLITE_OK);
        }
        (void)sqlite3_step(stmt); // it may break a constraint: then nothing changed
        (void)sqlite3_finalize(stmt);
        at += len;
    }
    bool changed = sqlite3_total_changes(db) > 0;
    (void)sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    (void)sqlite3_close(db);
    return changed;
}

// ---- looking ------------------------------------------------------------------------

static tm_key keys[16];
static uint64_t heads[16];
static size_t key_count;

static void list_note(void *context, tm_key key, uint64_t head) {
    (void)context;
    if (key_count == 16) return;
    tm_span *parts[] = {&key.user, &key.list};
    for (size_t i = 0; i < 2; i++) {
        uint8_t *kept = malloc(parts[i]->len + 1);
        TM_ASSERT(kept != NULL);
        if (parts[i]->len > 0) memcpy(kept, parts[i]->ptr, parts[i]->len);
        parts[i]->ptr = kept;
    }
    heads[key_count] = head;
    keys[key_count++] = key;
}

static void row_note(void *context, const char *table, int64_t row,
                     const char *what) {
    (void)row;
    TM_ASSERT(table[0] != '\0' && what[0] != '\0');
    *(bool *)context = false;
}

// Whether nothing is wrong: what `tidemark verify` says.
// `verify` works with a store of its own, which waits instead of being polled.
static bool verified(void) {
    char problem[256] = "";
    tm_store *store;
    tm_sqlite_options options = {.path = path, .read_only = true};
    if (tm_sqlite_open(&options, &store, problem) != TM_OK) {
        return false;
    }
    static tm_verified found;
    bool good = true;
    key_count = 0;
    if (tm_sqlite_check(store, row_note, &good) != TM_OK) good = false;
    if (tm_store_lists(store, list_note, NULL) != TM_OK) good = false;
    for (size_t i = 0; i < key_count; i++) {
        tm_verify_list(store, keys[i], heads[i], &found, NULL, NULL);
        good = good && found.wrong_count == 0;
    }
    for (size_t i = 0; i < key_count; i++) {
        free((void *)(uintptr_t)keys[i].user.ptr);
        free((void *)(uintptr_t)keys[i].list.ptr);
    }
    tm_store_close(store);
    return good;
}

static void served(bool good) {
    static const char last[] =
        "{\"user\":\"ann\",\"operations\":[{\"id\":\"last\",\"type\":\"SORT_"
        "CHANGE\","
        "\"sort\":\"asc\",\"timestamp\":1,\"browserId\":\"y\",\"version\":1}]}";
    static const char *const queries[] = {"", "since=0", "since=2",
                                          "since=6&mark=00"};
    world w;
    if (!world_open(&w, path)) return;
    uint64_t status = 0;
    for (size_t i = 0; i < 4; i++) {
        status =
            ask(&w, TM_GET, i == 0 ? "/v1/lists/l" : OPERATIONS, queries[i], "");
        TM_ASSERT(status == 200 || status == 503);
    }
    TM_ASSERT(!good || status == 200);
    status = ask(&w, TM_GET, "/v1/lists/l", "at=3", "");
    TM_ASSERT(status == 200 || status == 503 || status == 404 || status == 400 ||
              status == 410);
    status = ask(&w, TM_GET, "/v1/lists/l/log", "", "");
    TM_ASSERT(status == 200 || status == 503);
    bool saved = ask(&w, TM_POST, OPERATIONS, "", last) == 200;
    world_close(&w);
    if (!saved || !good) return;
    TM_ASSERT(world_open(&w, path));
    TM_ASSERT(ask(&w, TM_POST, OPERATIONS, "", last) == 200);
    world_close(&w);
    TM_ASSERT(verified());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool looked; // at the original, once
    if (directory[0] == '\0') {
        sqlite_prepare();
        original_make();
    }
    copy();
    if (!spoil(data, size) && looked) return 0;
    looked = true;
    served(verified());
    return 0;
}
