// conformance.c - see conformance.h.
#include "conformance.h"

#include "core/limits.h"
#include "drive.h"
#include "t.h"

#define ALL UINT64_MAX // no limit

static tm_store *fresh(void **state) {
    const conformance *subject = *state;
    if (t_row[0] == '\0') t_row = subject->name;
    subject->reset(subject->context);
    return subject->open(subject->context);
}

// ---- append and read ----------------------------------------------------------------

static void batches_come_back_in_order(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "selected-images");
    T_OK(drive_append(store, key, 7, 1, 1));
    T_OK(drive_append(store, key, 7, 2, 5));
    T_OK(drive_append(store, key, 7, 6, 6));
    drive_page page = drive_read(store, key, 0, ALL, ALL);
    T_OK(page.status);
    T_EQ(page.count, 3);
    T_TRUE(!page.more);
    static const uint64_t lasts[] = {1, 5, 6};
    for (size_t i = 0; i < COUNT(lasts); i++) {
        T_EQ(page.batches[i].last_seq, lasts[i]);
        drive_check(&page.batches[i], 7);
    }
    drive_page_free(&page);
    tm_store_close(store);
}

static const struct {
    const char *name;
    uint64_t head; // appended before, as one batch
    uint64_t first, last;
    tm_status status;
} appends[] = {
    {"first batch", 0, 1, 1, TM_OK},
    {"first batch of many", 0, 1, 256, TM_OK},
    {"a hole at the start", 0, 2, 2, TM_E_CONFLICT},
    {"continues", 4, 5, 5, TM_OK},
    {"the same again", 4, 1, 4, TM_E_CONFLICT},
    {"overlaps", 4, 4, 5, TM_E_CONFLICT},
    {"a hole", 4, 6, 6, TM_E_CONFLICT},
    {"far away", 4, UINT64_C(1) << 33, UINT64_C(1) << 33, TM_E_CONFLICT},
    {"beyond 32 bits", UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1,
     (UINT64_C(1) << 32) + 1, TM_OK},
    {"up to the largest number", 4, 5, TM_INT_MAX, TM_OK},
};

static void append_takes_head_plus_one_alone(void **state) {
    for (size_t i = 0; i < COUNT(appends); i++) {
        t_row = appends[i].name;
        tm_store *store = fresh(state);
        tm_key key = drive_key("ann", "list");
        drive_batch made = drive_make(1, 1, 1); // seqs are what is tried, not bytes
        uint64_t head = appends[i].head;
        if (head > 0) {
            made.batch.last_seq = head;
            T_OK(drive_append_batch(store, key, &made.batch));
        }
        made.batch.first_seq = appends[i].first;
        made.batch.last_seq = appends[i].last;
        T_STATUS(drive_append_batch(store, key, &made.batch), appends[i].status);
        if (appends[i].status == TM_OK) head = appends[i].last;

        drive_page page = drive_read(store, key, head, ALL, ALL);
        T_EQ(page.count, head > 0 ? 1 : 0);
        if (head > 0) T_EQ(page.batches[0].last_seq, head);
        drive_page_free(&page);
        drive_free(&made);
        tm_store_close(store);
    }
}

// Batches 1-1, 2-5, 6-6, 7-16; what a read from `since` begins with, and how many come.
static const struct {
    const char *name;
    uint64_t since, ops_max, bytes_max;
    uint64_t first;
    size_t count;
    bool more;
} reads[] = {
    {"from the beginning", 0, ALL, ALL, 1, 4, false},
    {"at the end of the first", 1, ALL, ALL, 1, 4, false},
    {"inside a batch: its start", 2, ALL, ALL, 2, 3, false},
    {"further inside", 4, ALL, ALL, 2, 3, false},
    {"at its end", 5, ALL, ALL, 2, 3, false},
    {"a batch of one", 6, ALL, ALL, 6, 2, false},
    {"inside the last", 7, ALL, ALL, 7, 1, false},
    {"at the head", 16, ALL, ALL, 7, 1, false},
    {"beyond the head", 17, ALL, ALL, 0, 0, false},
    {"far beyond the head", TM_INT_MAX, ALL, ALL, 0, 0, false},
    {"farthest", UINT64_MAX, ALL, ALL, 0, 0, false},
    {"one operation: one batch", 0, 1, ALL, 1, 1, true},
    {"two operations: two batches", 0, 2, ALL, 1, 2, true},
    {"five reached exactly", 0, 5, ALL, 1, 2, true},
    {"six reached exactly", 0, 6, ALL, 1, 3, true},
    {"seven: the batch that reaches it comes whole", 0, 7, ALL, 1, 4, false},
    {"none: still one batch", 0, 0, ALL, 1, 1, true},
    {"the last, with a limit: no more", 16, 1, ALL, 7, 1, false},
    {"what ends at since is not counted", 5, 1, ALL, 2, 2, true},
    {"nor are its bytes", 5, ALL, 1, 2, 2, true},
    {"nor if nothing is asked for: one beyond", 6, 0, ALL, 6, 2, false},
    {"no bytes: still one batch", 2, ALL, 0, 2, 1, true},
    {"one byte", 2, ALL, 1, 2, 1, true},
    {"some bytes: up to the batch that reaches them", 0, ALL, 100, 1, 2, true},
};

static void read_begins_and_ends_where_asked(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(store, key, 3, 1, 1));
    T_OK(drive_append(store, key, 3, 2, 5));
    T_OK(drive_append(store, key, 3, 6, 6));
    T_OK(drive_append(store, key, 3, 7, 16));
    for (size_t i = 0; i < COUNT(reads); i++) {
        t_row = reads[i].name;
        drive_page page = drive_read(store, key, reads[i].since, reads[i].ops_max,
                                     reads[i].bytes_max);
        T_OK(page.status);
        T_EQ(page.count, reads[i].count);
        T_EQ(page.more, reads[i].more);
        for (size_t j = 0; j < page.count; j++) {
            T_EQ(page.batches[j].first_seq,
                 j == 0 ? reads[i].first : page.batches[j - 1].last_seq + 1);
            drive_check(&page.batches[j], 3);
        }
        drive_page_free(&page);
    }
    tm_store_close(store);
}

static void a_list_never_heard_of_is_empty(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("nobody", "nothing");
    drive_page page = drive_read(store, key, 0, ALL, ALL);
    T_OK(page.status);
    T_EQ(page.count, 0);
    T_TRUE(!page.more);
    drive_page_free(&page);
    drive_snapshot snapshot = drive_load(store, key);
    T_OK(snapshot.status);
    T_EQ(snapshot.seq, 0);
    T_EQ(snapshot.len, 0);
    free(snapshot.bytes);
    uint64_t batches = 9;
    T_OK(drive_trim(store, key, 100, 100, &batches));
    T_EQ(batches, 0);
    tm_store_close(store);
}

// clang-format off
static const struct {
    const char *name;
    tm_span bytes;
} contents[] = {
    {"nothing at all", TM_LIT("")},
    {"an empty array", TM_LIT("[]")},
    {"a NUL at the start", TM_LIT("\0[]")},
    {"a NUL inside", TM_LIT("[\"a\0b\"]")},
    {"a NUL at the end", TM_LIT("[]\0")},
    {"quotes and comments", TM_LIT("[\"'';--/*\\\"\"]")},
    {"four bytes of UTF-8", TM_LIT("[\"\xf0\x9f\x93\xb7\"]")},
    {"not UTF-8", TM_LIT("[\"\xff\xfe\xc0\x80\xed\xa0\x80\"]")},
    {"a byte order mark", TM_LIT("\xef\xbb\xbf[]")},
    {"looks like a number", TM_LIT("1e3")},
    {"spaces kept", TM_LIT(" [ ]\r\n\t ")},
};
// clang-format on

static void bytes_are_kept_as_they_are(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list");
    for (size_t i = 0; i < COUNT(contents); i++) {
        t_row = contents[i].name;
        drive_batch made = drive_make(1, i + 1, i + 1);
        made.batch.operations = contents[i].bytes;
        made.batch.rejected = contents[COUNT(contents) - 1 - i].bytes;
        made.batch.accepted_ms = (uint64_t)1 << (i * 4);
        T_OK(drive_append_batch(store, key, &made.batch));
        drive_page page = drive_read(store, key, i + 1, ALL, ALL);
        T_EQ(page.count, 1);
        T_SPAN(page.batches[0].operations, made.batch.operations);
        T_SPAN(page.batches[0].rejected, made.batch.rejected);
        T_EQ(page.batches[0].accepted_ms, made.batch.accepted_ms);
        drive_page_free(&page);
        drive_free(&made);
    }
    tm_store_close(store);
}

static void the_largest_batches_fit(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list");
    enum { BATCHES = 9 };
    for (uint64_t seq = 1; seq <= BATCHES; seq++) {
        uint8_t *bytes = drive_bytes(seq, TM_BATCH_BYTES_MAX);
        tm_batch batch = {seq, seq, 0,
                          .operations = {bytes, TM_BATCH_BYTES_MAX - seq % 2}};
        T_OK(drive_append_batch(store, key, &batch));
        free(bytes);
    }
    drive_page page = drive_read(store, key, 0, ALL, TM_PAGE_BYTES_MAX);
    T_EQ(page.count, 4); // the fourth passes 1 MiB
    T_TRUE(page.more);
    drive_page_free(&page);
    page = drive_read(store, key, 0, ALL, ALL);
    T_EQ(page.count, BATCHES);
    for (uint64_t seq = 1; seq <= BATCHES; seq++) {
        uint8_t *bytes = drive_bytes(seq, TM_BATCH_BYTES_MAX);
        T_SPAN(page.batches[seq - 1].operations,
               ((tm_span){bytes, TM_BATCH_BYTES_MAX - seq % 2}));
        free(bytes);
    }
    drive_page_free(&page);
    tm_store_close(store);
}

// ---- many lists ---------------------------------------------------------------------

#define SIXTEEN(s) s s s s s s s s s s s s s s s s
static const struct {
    const char *name;
    tm_span user, list;
} keys[] = {
    {"plain", TM_LIT("ann"), TM_LIT("list")},
    {"the same, cut elsewhere", TM_LIT("annl"), TM_LIT("ist")},
    {"swapped", TM_LIT("list"), TM_LIT("ann")},
    {"longer by a NUL", TM_LIT("ann\0"), TM_LIT("list")},
    {"a NUL at the start", TM_LIT("\0ann"), TM_LIT("list")},
    {"only a NUL", TM_LIT("\0"), TM_LIT("\0")},
    {"two NULs", TM_LIT("\0\0"), TM_LIT("\0")},
    {"differs behind a NUL", TM_LIT("ann\0b"), TM_LIT("list")},
    {"differs behind a NUL, again", TM_LIT("ann\0c"), TM_LIT("list")},
    {"quotes", TM_LIT("a'n\"n`"), TM_LIT("li'st")},
    {"SQL", TM_LIT("'); DROP TABLE lists; --"), TM_LIT("x")},
    {"LIKE", TM_LIT("%"), TM_LIT("_")},
    {"upper case is another", TM_LIT("ANN"), TM_LIT("list")},
    {"a trailing space is another", TM_LIT("ann "), TM_LIT("list")},
    {"percent and hash", TM_LIT("a%23#b"), TM_LIT("l#%")},
    {"a number", TM_LIT("1"), TM_LIT("1")},
    {"the same number", TM_LIT("1.0"), TM_LIT("1")},
    {"128 bytes of UTF-8", TM_LIT(SIXTEEN("\xf0\x9f\x93\xb7\xc3\xa9\xc3\xa9")),
     TM_LIT(SIXTEEN("abcd"))},
    {"not UTF-8", TM_LIT("\xff\xfe"), TM_LIT("\xc0")},
    {"a path", TM_LIT("../../etc/passwd"), TM_LIT("..")},
};

static void each_list_is_its_own(void **state) {
    tm_store *store = fresh(state);
    for (uint64_t round = 1; round <= 3; round++) {
        for (size_t i = 0; i < COUNT(keys); i++) {
            t_row = keys[i].name;
            tm_key key = {keys[i].user, keys[i].list};
            T_OK(drive_append(store, key, i + 1, round, round));
            uint8_t bytes[] = {(uint8_t)i, (uint8_t)round};
            T_OK(drive_save(store, key, round, (tm_span){bytes, 2}));
        }
    }
    for (size_t i = 0; i < COUNT(keys); i++) {
        t_row = keys[i].name;
        tm_key key = {keys[i].user, keys[i].list};
        T_EQ(drive_all(store, key, i + 1, NULL), 3);
        drive_snapshot snapshot = drive_load(store, key);
        T_EQ(snapshot.seq, 3);
        uint8_t bytes[] = {(uint8_t)i, 3};
        T_SPAN(((tm_span){snapshot.bytes, snapshot.len}), ((tm_span){bytes, 2}));
        free(snapshot.bytes);
    }
    tm_store_close(store);
}

struct listed {
    size_t count;
    uint64_t heads[COUNT(keys)];
};

static void on_list(void *context, tm_key key, uint64_t head) {
    struct listed *listed = context;
    listed->count++;
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (tm_span_cmp(key.user, keys[i].user) != 0) continue;
        if (tm_span_cmp(key.list, keys[i].list) != 0) continue;
        T_EQ(listed->heads[i], 0); // named once
        listed->heads[i] = head;
    }
}

static void lists_names_each_with_its_head(void **state) {
    tm_store *store = fresh(state);
    struct listed listed = {0};
    T_OK(tm_store_lists(store, on_list, &listed));
    T_EQ(listed.count, 0);
    for (size_t i = 0; i < COUNT(keys); i++) {
        tm_key key = {keys[i].user, keys[i].list};
        T_OK(drive_append(store, key, i, 1, i + 1));
        if (i % 2 == 0) T_OK(drive_append(store, key, i, i + 2, i + 2));
    }
    T_OK(tm_store_lists(store, on_list, &listed));
    T_EQ(listed.count, COUNT(keys));
    for (size_t i = 0; i < COUNT(keys); i++) {
        t_row = keys[i].name;
        T_EQ(listed.heads[i], i % 2 == 0 ? i + 2 : i + 1);
    }
    tm_store_close(store);
}

// ---- order of completion ------------------------------------------------------------

// Requests of one list, all made before the first completes.
struct order {
    char told[64];
    size_t counts[4]; // batches each read saw
    size_t read;
};

static void tell(struct order *order, char what) {
    size_t len = strlen(order->told);
    T_TRUE(len + 1 < sizeof order->told);
    order->told[len] = what;
}

static void order_append(tm_store_append *request, tm_status status) {
    T_OK(status);
    tell(request->context, 'a');
}

static void order_read(tm_store_read *request, tm_status status,
                       const tm_batch *batches, size_t count, bool more) {
    (void)batches;
    T_OK(status);
    T_TRUE(!more);
    struct order *order = request->context;
    order->counts[order->read++] = count;
    tell(order, 'r');
}

static void order_load(tm_store_load *request, tm_status status, uint64_t seq,
                       tm_span bytes) {
    (void)seq;
    (void)bytes;
    T_OK(status);
    tell(request->context, 'l');
}

static void requests_of_a_list_complete_in_order(void **state) {
    static const char plan[] = "raarlarraaalr";
    tm_store *store = fresh(state);
    struct order order = {0};
    tm_store_append appended[8];
    tm_store_read read[8];
    tm_store_load loaded[8];
    drive_batch made[8];
    tm_key key = drive_key("ann", "list");
    size_t a = 0, r = 0, l = 0;
    for (const char *what = plan; *what != '\0'; what++) {
        if (*what == 'a') {
            made[a] = drive_make(1, a + 1, a + 1);
            appended[a] = (tm_store_append){key, made[a].batch, order_append,
                                            &order, .own = {0}};
            tm_store_append_start(store, &appended[a++]);
        } else if (*what == 'r') {
            read[r] =
                (tm_store_read){key, 0, ALL, ALL, order_read, &order, .own = {0}};
            tm_store_read_start(store, &read[r++]);
        } else {
            loaded[l] = (tm_store_load){key, order_load, &order, .own = {0}};
            tm_store_load_start(store, &loaded[l++]);
        }
        T_EQ(strlen(order.told), 0); // nothing completes before its call returned
        if (r == COUNT(order.counts)) break;
    }
    while (tm_store_wait(store) > 0) {
    }
    T_TEXT(t_str(order.told), "raarlarr");
    static const size_t seen[] = {0, 2, 3, 3}; // what was appended before each read
    for (size_t i = 0; i < COUNT(seen); i++) {
        T_EQ(order.counts[i], seen[i]);
    }
    for (size_t i = 0; i < a; i++) {
        drive_free(&made[i]);
    }
    tm_store_close(store);
}

// `done` frees its request and makes the next: a chain of appends, then a read.
struct chain {
    tm_store *store;
    uint64_t next, end;
    size_t read;
};

static void chain_next(struct chain *chain);

static void chain_append(tm_store_append *request, tm_status status) {
    T_OK(status);
    struct chain *chain = request->context;
    free((void *)(uintptr_t)request->batch.operations.ptr);
    memset(request, 0xee, sizeof *request);
    free(request);
    chain_next(chain);
}

static void chain_read(tm_store_read *request, tm_status status,
                       const tm_batch *batches, size_t count, bool more) {
    struct chain *chain = request->context;
    memset(request, 0xee, sizeof *request);
    free(request);
    T_OK(status);
    T_TRUE(!more);
    for (size_t i = 0; i < count; i++) { // lent until we return
        drive_check(&batches[i], 5);
    }
    chain->read = count;
}

static void chain_next(struct chain *chain) {
    tm_key key = drive_key("ann", "chain");
    if (chain->next > chain->end) {
        tm_store_read *read = malloc(sizeof *read);
        assert_non_null(read);
        *read = (tm_store_read){key, 0, ALL, ALL, chain_read, chain, .own = {0}};
        tm_store_read_start(chain->store, read);
        return;
    }
    tm_store_append *append = malloc(sizeof *append);
    assert_non_null(append);
    drive_batch made = drive_make(5, chain->next, chain->next);
    *append = (tm_store_append){key, made.batch, chain_append, chain, .own = {0}};
    chain->next++;
    tm_store_append_start(chain->store, append);
}

static void done_may_free_and_start_the_next(void **state) {
    tm_store *store = fresh(state);
    struct chain chain = {store, 1, 20, 0};
    chain_next(&chain);
    while (tm_store_wait(store) > 0) {
    }
    T_EQ(chain.read, 20);
    tm_store_close(store);
}

static void count_done(tm_store_append *request, tm_status status) {
    T_OK(status);
    ++*(size_t *)request->context;
}

enum { MANY_LISTS = 300, MANY_ROUNDS = 4, MANY = MANY_LISTS * MANY_ROUNDS };

// Several appends of one list under way at once, and of many lists; then `close`, or
// polls driven by `wake`.
static void start_many(tm_store *store, tm_store_append *requests,
                       drive_batch *made, size_t *done) {
    static char users[MANY_LISTS][16];
    for (size_t i = 0; i < MANY; i++) {
        size_t n = i % MANY_LISTS;
        uint64_t seq = i / MANY_LISTS + 1;
        snprintf(users[n], sizeof users[n], "u%zu", n);
        made[i] = drive_make(n + 1, seq, seq);
        requests[i] = (tm_store_append){drive_key(users[n], "list"), made[i].batch,
                                        count_done, done, .own = {0}};
        tm_store_append_start(store, &requests[i]);
    }
}

static void check_many(tm_store *store) {
    for (size_t n = 0; n < MANY_LISTS; n += 7) {
        char user[16];
        snprintf(user, sizeof user, "u%zu", n);
        T_EQ(drive_all(store, drive_key(user, "list"), n + 1, NULL), MANY_ROUNDS);
    }
}

static void woken(void *context) {
    __atomic_add_fetch((size_t *)context, 1, __ATOMIC_SEQ_CST);
}

static void many_at_once(void **state) {
    tm_store *store = fresh(state);
    size_t wakes = 0, done = 0;
    store->wake = woken;
    store->wake_context = &wakes;
    tm_store_append *requests = calloc(MANY, sizeof *requests);
    drive_batch *made = calloc(MANY, sizeof *made);
    assert_non_null(requests);
    assert_non_null(made);
    start_many(store, requests, made, &done);
    size_t told = 0;
    while (done <
           MANY) { // only ever when woken: a wake that is forgotten hangs here
        size_t now = __atomic_load_n(&wakes, __ATOMIC_SEQ_CST);
        if (now != told) {
            told = now;
            (void)tm_store_poll(store);
        }
    }
    T_EQ(tm_store_wait(store), 0);
    T_EQ(tm_store_poll(store), 0);
    check_many(store);
    tm_store_close(store);
    for (size_t i = 0; i < MANY; i++) {
        drive_free(&made[i]);
    }
    free(made);
    free(requests);
}

static void close_completes_what_is_outstanding(void **state) {
    const conformance *subject = *state;
    tm_store *store = fresh(state);
    size_t done = 0;
    tm_store_append *requests = calloc(MANY, sizeof *requests);
    drive_batch *made = calloc(MANY, sizeof *made);
    assert_non_null(requests);
    assert_non_null(made);
    start_many(store, requests, made, &done);
    tm_store_close(store);
    T_EQ(done, MANY);
    for (size_t i = 0; i < MANY; i++) {
        drive_free(&made[i]);
    }
    free(made);
    free(requests);
    if (!subject->durable) return;
    store = subject->open(subject->context);
    check_many(store);
    tm_store_close(store);
}

// ---- snapshots ----------------------------------------------------------------------

static const struct {
    const char *name;
    uint64_t seq;
    size_t len;
    uint64_t stored; // the seq that is stored afterwards
} saves[] = {
    {"the first", 5, 100, 5},
    {"older: kept out", 4, 50, 5},
    {"the same seq: kept out", 5, 50, 5},
    {"newer and shorter", 6, 10, 6},
    {"newer and large", 7, 3u << 20, 7},
    {"older, large", 3, 3u << 20, 7},
    {"large after large", 8, 2u << 20, 8},
    {"a byte less than 256 KiB", 9, (256u << 10) - 1, 9},
    {"256 KiB", 10, 256u << 10, 10},
    {"a byte more", 11, (256u << 10) + 1, 11},
    {"small again", 12, 1, 12},
    {"empty", 13, 0, 13},
    {"far ahead", TM_INT_MAX, 1000, TM_INT_MAX},
};

static void a_snapshot_is_replaced_by_a_newer_one_alone(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list"); // no batch was ever appended to it
    uint64_t stored = 0;
    size_t len = 0;
    for (size_t i = 0; i < COUNT(saves); i++) {
        t_row = saves[i].name;
        uint8_t *bytes = drive_bytes(saves[i].seq, saves[i].len);
        T_OK(drive_save(store, key, saves[i].seq, (tm_span){bytes, saves[i].len}));
        free(bytes);
        if (saves[i].stored != stored) len = saves[i].len;
        stored = saves[i].stored;

        drive_snapshot snapshot = drive_load(store, key);
        T_OK(snapshot.status);
        T_EQ(snapshot.seq, stored);
        T_EQ(snapshot.len, len);
        bytes = drive_bytes(stored, len);
        T_SPAN(((tm_span){snapshot.bytes, len}), ((tm_span){bytes, len}));
        free(bytes);
        free(snapshot.bytes);
    }
    T_EQ(drive_all(store, key, 1, NULL), 0);
    T_OK(drive_append(store, key, 1, 1, 1)); // its log begins like any other
    tm_store_close(store);
}

struct saved {
    size_t saves, appends;
};

static void on_saved(tm_store_save *request, tm_status status) {
    T_OK(status);
    ((struct saved *)request->context)->saves++;
}

static void on_appended(tm_store_append *request, tm_status status) {
    T_OK(status);
    ((struct saved *)request->context)->appends++;
}

static void saves_complete_in_order_beside_appends(void **state) {
    enum { COUNT_ = 6 };
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list");
    struct saved saved = {0};
    tm_store_save save[COUNT_];
    tm_store_append append[COUNT_];
    drive_batch made[COUNT_];
    uint8_t *bytes = drive_bytes(1, 1u << 20);
    for (size_t i = 0; i < COUNT_; i++) {
        save[i] = (tm_store_save){key,      i + 1,  {bytes + i, (1u << 20) - i},
                                  on_saved, &saved, .own = {0}};
        tm_store_save_start(store, &save[i]);
        made[i] = drive_make(1, i + 1, i + 1);
        append[i] =
            (tm_store_append){key, made[i].batch, on_appended, &saved, .own = {0}};
        tm_store_append_start(store, &append[i]);
    }
    while (tm_store_wait(store) > 0) {
    }
    T_EQ(saved.saves, COUNT_);
    T_EQ(saved.appends, COUNT_);
    drive_snapshot snapshot = drive_load(store, key);
    T_EQ(snapshot.seq, COUNT_);
    T_SPAN(((tm_span){snapshot.bytes, snapshot.len}), save[COUNT_ - 1].bytes);
    free(snapshot.bytes);
    T_EQ(drive_all(store, key, 1, NULL), COUNT_);
    for (size_t i = 0; i < COUNT_; i++) {
        drive_free(&made[i]);
    }
    free(bytes);
    tm_store_close(store);
}

// ---- trim ---------------------------------------------------------------------------

// Batches 1-2, 3-4, ... 19-20; each accepted at its last seq.
static const struct {
    const char *name;
    uint64_t below_seq, before_ms;
    uint64_t gone;
    uint64_t first; // what the log then begins with
} trims[] = {
    {"nothing", 0, ALL, 0, 1},
    {"inside the first batch: nothing", 1, ALL, 0, 1},
    {"the first batch", 2, ALL, 1, 3},
    {"the end of one and half the next", 5, ALL, 2, 5},
    {"nothing was accepted that early", 20, 2, 0, 1},
    {"accepted before, not at", 20, 4, 1, 3},
    {"by time alone", ALL, 9, 4, 9},
    {"all but the last", 18, ALL, 9, 19},
    {"all: the newest stays", 20, ALL, 9, 19},
    {"more than all", ALL, ALL, 9, 19},
};

static void trim_takes_a_prefix(void **state) {
    const conformance *subject = *state;
    for (size_t i = 0; i < COUNT(trims); i++) {
        t_row = trims[i].name;
        tm_store *store = fresh(state);
        tm_key key = drive_key("ann", "list"), other = drive_key("bob", "list");
        T_OK(drive_append(store, other, 9, 1, 2));
        for (uint64_t seq = 1; seq < 20; seq += 2) {
            T_OK(drive_append(store, key, 4, seq, seq + 1));
        }
        uint64_t gone = 99, first = 0;
        T_OK(drive_trim(store, key, trims[i].below_seq, trims[i].before_ms, &gone));
        T_EQ(gone, trims[i].gone);
        T_OK(drive_trim(store, key, trims[i].below_seq, trims[i].before_ms, &gone));
        T_EQ(gone, 0); // once is enough
        T_EQ(drive_all(store, key, 4, &first), 20);
        T_EQ(first, trims[i].first);
        drive_page page = drive_read(store, key, 1, ALL, ALL);
        T_EQ(page.batches[0].first_seq, trims[i].first); // below: from what is left
        drive_page_free(&page);
        T_STATUS(drive_append(store, key, 4, 1, 1), TM_E_CONFLICT);
        T_OK(drive_append(store, key, 4, 21, 21));
        if (subject->durable) {
            tm_store_close(store);
            store = subject->open(subject->context);
        }
        T_EQ(drive_all(store, key, 4, &first), 21);
        T_EQ(first, trims[i].first);
        T_EQ(drive_all(store, other, 9, &first), 2);
        T_EQ(first, 1);
        tm_store_close(store);
    }
}

static void trim_stops_at_the_first_that_stays(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list");
    static const uint64_t accepted[] = {10, 11, 50, 12, 13}; // a clock was set back
    for (size_t i = 0; i < COUNT(accepted); i++) {
        drive_batch made = drive_make(1, i + 1, i + 1);
        made.batch.accepted_ms = accepted[i];
        T_OK(drive_append_batch(store, key, &made.batch));
        drive_free(&made);
    }
    uint64_t gone = 0;
    T_OK(drive_trim(store, key, 5, 40, &gone));
    T_EQ(gone, 2);
    drive_page page = drive_read(store, key, 0, ALL, ALL);
    T_EQ(page.count, 3);
    T_EQ(page.batches[0].accepted_ms, 50);
    drive_page_free(&page);
    tm_store_close(store);
}

// ---- the whole store ----------------------------------------------------------------

static void stats_count(void **state) {
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(store, key, 2, 1, 3));
    T_OK(drive_append(store, key, 2, 4, 4));
    T_STATUS(drive_append(store, key, 2, 4, 4), TM_E_CONFLICT);
    T_EQ(drive_all(store, key, 2, NULL), 4);
    T_OK(drive_save(store, key, 4, (tm_span){(const uint8_t *)"x", 1}));
    free(drive_load(store, key).bytes);
    T_OK(drive_trim(store, key, 2, ALL, NULL));
    tm_store_stats stats = {0};
    tm_store_stats_get(store, &stats);
    drive_batch a = drive_make(2, 1, 3), b = drive_make(2, 4, 4);
    T_EQ(stats.appends, 2);
    T_EQ(stats.operations_bytes, a.batch.operations.len + b.batch.operations.len);
    T_TRUE(stats.commits >= 2);
    T_EQ(stats.reads, 1);
    T_EQ(stats.loads, 1);
    T_EQ(stats.saves, 1);
    T_EQ(stats.trims, 1);
    T_EQ(stats.failures, 0); // a conflict is none
    T_TRUE(stats.backlog <= 2);
    T_TRUE((stats.backlog == 0) == (stats.backlog_bytes == 0));
    drive_free(&a);
    drive_free(&b);
    tm_store_close(store);
}

static void a_good_store_is_healthy(void **state) {
    tm_store *store = fresh(state);
    tm_span why = {NULL, 1};
    T_OK(tm_store_health(store, &why));
    T_EQ(why.len, 0);
    tm_store_close(store);
}

static void content_survives_close(void **state) {
    const conformance *subject = *state;
    tm_store *store = fresh(state);
    tm_key key = drive_key("ann", "list"), other = drive_key("bob", "list");
    uint8_t *bytes = drive_bytes(1, 600000);
    for (uint64_t round = 0; round < 4; round++) {
        uint64_t head = round * 30;
        T_EQ(drive_all(store, key, 8, NULL), head);
        T_EQ(drive_all(store, other, 6, NULL), round);
        drive_snapshot snapshot = drive_load(store, key);
        T_OK(snapshot.status);
        T_EQ(snapshot.seq, head);
        T_EQ(snapshot.len, head * 5000);
        T_EQ(memcmp(snapshot.bytes, bytes, snapshot.len), 0);
        free(snapshot.bytes);
        for (uint64_t i = 1; i <= 30; i++) {
            T_OK(drive_append(store, key, 8, head + i, head + i));
        }
        T_OK(drive_append(store, other, 6, round + 1, round + 1));
        head += 30;
        T_OK(drive_save(store, key, head, (tm_span){bytes, head * 5000}));
        if (!subject->durable) break;
        tm_store_close(store);
        store = subject->open(subject->context);
    }
    free(bytes);
    tm_store_close(store);
}

// Random requests against a model that is three arrays.
enum { MODEL_LISTS = 12 };

static void as_a_model_says(void **state) {
    const conformance *subject = *state;
    tm_store *store = fresh(state);
    uint64_t random = 42, heads[MODEL_LISTS] = {0}, firsts[MODEL_LISTS] = {0},
             snapshots[MODEL_LISTS] = {0};
    for (int step = 0; step < 1500; step++) {
        size_t n = drive_random(&random) % MODEL_LISTS;
        tm_key key = drive_key_n(n);
        uint64_t what = drive_random(&random) % 100,
                 some = drive_random(&random) % 9;
        if (what < 60) { // appends, one in ten of them wrong
            uint64_t first = heads[n] + 1 + (what < 6 ? some : 0);
            tm_status want = first == heads[n] + 1 ? TM_OK : TM_E_CONFLICT;
            T_STATUS(drive_append(store, key, n, first, first + some), want);
            if (want == TM_OK) {
                heads[n] = first + some;
                if (firsts[n] == 0) firsts[n] = 1;
            }
        } else if (what < 85) {
            uint64_t from = 0;
            T_EQ(drive_all(store, key, n, &from), heads[n]);
            T_TRUE(from >= firsts[n]);
            T_TRUE(heads[n] == 0 || from <= heads[n]);
        } else if (what < 93) {
            uint64_t seq = snapshots[n] + some;
            uint8_t *bytes = drive_bytes(n * 1000 + seq, seq * 100);
            T_OK(drive_save(store, key, seq, (tm_span){bytes, seq * 100}));
            free(bytes);
            snapshots[n] = seq;
        } else if (what < 97) {
            uint64_t below = heads[n] > 20 ? heads[n] - 20 : 0, from = 0;
            T_OK(drive_trim(store, key, below, ALL, NULL));
            T_EQ(drive_all(store, key, n, &from), heads[n]);
            T_TRUE(from <= below + 1 || below == 0);
            T_TRUE(below < 9 || from + 8 >= below); // no batch is longer than nine
            firsts[n] = from;
        } else if (what < 99) {
            drive_snapshot snapshot = drive_load(store, key);
            T_EQ(snapshot.seq, snapshots[n]);
            uint8_t *bytes = drive_bytes(n * 1000 + snapshots[n], snapshot.len);
            T_EQ(snapshot.len, snapshots[n] * 100);
            T_EQ(memcmp(snapshot.bytes, bytes, snapshot.len), 0);
            free(bytes);
            free(snapshot.bytes);
        } else if (subject->durable) {
            tm_store_close(store);
            store = subject->open(subject->context);
        }
    }
    tm_store_close(store);
}

static int no_row(void **state) {
    (void)state;
    t_row = "";
    return 0;
}

int conformance_run(const conformance *subject) {
    void *state = (void *)(uintptr_t)subject;
#define CASE(f) cmocka_unit_test_prestate_setup_teardown(f, no_row, NULL, state)
    const struct CMUnitTest tests[] = {
        CASE(batches_come_back_in_order),
        CASE(append_takes_head_plus_one_alone),
        CASE(read_begins_and_ends_where_asked),
        CASE(a_list_never_heard_of_is_empty),
        CASE(bytes_are_kept_as_they_are),
        CASE(the_largest_batches_fit),
        CASE(each_list_is_its_own),
        CASE(lists_names_each_with_its_head),
        CASE(requests_of_a_list_complete_in_order),
        CASE(done_may_free_and_start_the_next),
        CASE(many_at_once),
        CASE(close_completes_what_is_outstanding),
        CASE(a_snapshot_is_replaced_by_a_newer_one_alone),
        CASE(saves_complete_in_order_beside_appends),
        CASE(trim_takes_a_prefix),
        CASE(trim_stops_at_the_first_that_stays),
        CASE(stats_count),
        CASE(a_good_store_is_healthy),
        CASE(content_survives_close),
        CASE(as_a_model_says),
    };
    return cmocka_run_group_tests_name(subject->name, tests, NULL, NULL);
}
