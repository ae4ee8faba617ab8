// The store on DynamoDB, on a DynamoDB that does what it is told: what every store
// promises, and every fault that our calls can meet.
#include "conformance.h"
#include "core/limits.h"
#include "drive.h"
#include "dynamodb_fake.h"
#include "store/dynamodb.h"
#include "t.h"

#define OPERATIONS "mvp-labeler-operations"
#define STATES     "mvp-labeler-selected-images-state"
#define HOUR_MS    3600000u
#define ALL        UINT64_MAX

static t_memory memory;
static tm_alloc alloc;
static fake_world *world;
static char said[1024]; // the last line of the log

static const char *env(void *context, const char *name) {
    (void)context;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0) return "AKIDEXAMPLE";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0) return "secret";
    if (strcmp(name, "AWS_REGION") == 0) return "eu-central-1";
    return NULL;
}

static void on_say(void *context, bool bad, const char *line) {
    (void)context;
    (void)bad;
    snprintf(said, sizeof said, "%s", line);
}

static tm_dynamodb_options options_of(const tm_alloc *from) {
    return (tm_dynamodb_options){
        .alloc = from, .env = env, .say = on_say, .http = fake_door(world)};
}

static tm_store *store_open(void *context) {
    (void)context;
    tm_store *store = NULL;
    char problem[256] = "";
    tm_dynamodb_options options = options_of(&alloc);
    T_OK(tm_dynamodb_open(&options, &store, problem));
    return store;
}

static void tables_make(void) {
    tm_dynamodb_table tables[TM_DYNAMODB_TABLES_MAX];
    char problem[256];
    tm_dynamodb_options options = options_of(&alloc);
    T_OK(tm_dynamodb_tables(&options, true, tables, problem));
    T_TRUE(tables[0].created && tables[0].ok && tables[0].on_demand);
    T_TRUE(tables[1].created && tables[1].ok && tables[1].on_demand);
}

static void reset(void *context) {
    (void)context;
    T_EQ(memory.live, 0);
    if (world != NULL) fake_free(world);
    world = fake_new();
    tables_make();
}

static tm_store *fresh(void) {
    reset(NULL);
    tm_store *store = store_open(NULL);
    (void)fake_asked(world, NULL);
    said[0] = '\0';
    return store;
}

// ---- faults of a put ----------------------------------------------------------------

#define TYPE(name, message)                                                        \
    "{\"__type\":\"com.amazonaws.dynamodb.v20120810#" name                         \
    "\",\"message\":\"" message "\"}"
#define THROTTLED                                                                  \
    TYPE("ProvisionedThroughputExceededException",                                 \
         "The level of configured provisioned throughput for the table was "       \
         "exceeded. Consider increasing your provisioning level with the "         \
         "UpdateTable API.")
#define INTERNAL                                                                   \
    "{\"__type\":\"com.amazonaws.dynamodb.v20120810#InternalServerError\","        \
    "\"message\":\"The request processing has failed because of an unknown "       \
    "error\"}"
#define CORAL(name, message)                                                       \
    "{\"__type\":\"com.amazon.coral.service#" name "\",\"message\":\"" message "\"}"
#define FAILED_CONDITION                                                           \
    TYPE("ConditionalCheckFailedException", "The conditional request failed")

// The second batch of a list meets these; `head` is what the table then has.
static const struct {
    const char *name;
    fake_fault faults[3];
    size_t count;
    tm_status status;
    uint64_t head;
    const char *why; // a part of what health or the log says
} put_faults[] = {
    {"nothing", {{0}}, 0, TM_OK, 2, NULL},
    {"throttled, once",
     {{"PutItem", FAKE_ERROR, 1, 400, THROTTLED, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"throttled by the account",
     {{"PutItem", FAKE_ERROR, 3, 400,
       CORAL("ThrottlingException",
             "Rate of requests exceeds the allowed throughput."),
       0}},
     1,
     TM_OK,
     2,
     NULL},
    {"throttled for ever",
     {{"PutItem", FAKE_ERROR, 100, 400, THROTTLED, 0}},
     1,
     TM_E_AGAIN,
     1,
     "ProvisionedThroughputExceededException"},
    {"in a transaction of somebody's",
     {{"PutItem", FAKE_ERROR, 2, 400,
       TYPE("TransactionConflictException", "Transaction is ongoing for the item"),
       0}},
     1,
     TM_OK,
     2,
     NULL},
    {"500, and not done",
     {{"PutItem", FAKE_ERROR, 1, 500, INTERNAL, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"500, but done",
     {{"PutItem", FAKE_STORED, 1, 500, INTERNAL, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"503 without a body",
     {{"PutItem", FAKE_STORED, 1, 503, "", 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"502 of a proxy, but done",
     {{"PutItem", FAKE_STORED, 2, 502, "<html><h1>502 Bad Gateway</h1></html>", 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"500 for ever, but done",
     {{"PutItem", FAKE_STORED, 1, 500, INTERNAL, 0},
      {"PutItem", FAKE_ERROR, 1000, 500, INTERNAL, 0}},
     2,
     TM_E_UNSURE,
     2,
     "500"},
    {"a time-out, not done",
     {{"PutItem", FAKE_LOST, 1, 0, NULL, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"a time-out, but done",
     {{"PutItem", FAKE_UNHEARD, 1, 0, NULL, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"time-outs for ever, not done",
     {{"PutItem", FAKE_LOST, 1000, 0, NULL, 0}},
     1,
     TM_E_UNSURE,
     1,
     "timed out"},
    {"a time-out, done, then throttled",
     {{"PutItem", FAKE_UNHEARD, 1, 0, NULL, 0},
      {"PutItem", FAKE_ERROR, 3, 400, THROTTLED, 0}},
     2,
     TM_OK,
     2,
     NULL},
    {"a time-out, done, then no right to it any more",
     {{"PutItem", FAKE_UNHEARD, 1, 0, NULL, 0},
      {"PutItem", FAKE_ERROR, 1000, 400, CORAL("AccessDeniedException", "no"), 0}},
     2,
     TM_E_UNSURE,
     2,
     "AccessDenied"},
    {"no connection, once",
     {{"PutItem", FAKE_UNSENT, 1, 0, NULL, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"no connection for ever",
     {{"PutItem", FAKE_UNSENT, 1000, 0, NULL, 0}},
     1,
     TM_E_AGAIN,
     1,
     "is the endpoint right, and up?"},
    {"the answer is cut",
     {{"PutItem", FAKE_CUT, 1, 0, NULL, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"the answer's sum is wrong",
     {{"PutItem", FAKE_SUM, 2, 0, NULL, 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"200 of a captive portal",
     {{"PutItem", FAKE_ERROR, 1, 200, "<html>Please log in</html>", 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"200 with nothing in it, and done",
     {{"PutItem", FAKE_STORED, 1, 200, "", 0}},
     1,
     TM_OK,
     2,
     NULL},
    {"a failed condition, though nothing is there",
     {{"PutItem", FAKE_ERROR, 1, 400, FAILED_CONDITION, 0}},
     1,
     TM_E_CONFLICT,
     1,
     NULL},
    {"a failed condition, and we cannot look whose it is",
     {{"PutItem", FAKE_STORED, 1, 400, FAILED_CONDITION, 0},
      {"GetItem", FAKE_ERROR, 1000, 500, INTERNAL, 0}},
     2,
     TM_E_UNSURE,
     2,
     "500"},
    {"too large",
     {{"PutItem", FAKE_ERROR, 1, 400,
       "{\"__type\":\"com.amazon.coral.validate#ValidationException\",\"message\":"
       "\"Item size has exceeded the maximum allowed size\"}",
       0}},
     1,
     TM_E_RANGE,
     1,
     NULL},
    {"413", {{"PutItem", FAKE_ERROR, 1, 413, "", 0}}, 1, TM_E_RANGE, 1, NULL},
    {"no table",
     {{"PutItem", FAKE_ERROR, 1, 400,
       TYPE("ResourceNotFoundException", "Requested resource not found"), 0}},
     1,
     TM_E_AGAIN,
     1,
     "tidemark tables create"},
    {"no right to it",
     {{"PutItem", FAKE_ERROR, 1, 400,
       CORAL("AccessDeniedException",
             "User is not authorized to perform: dynamodb:PutItem"),
       0}},
     1,
     TM_E_AGAIN,
     1,
     "check the role's policy"},
    {"wrong keys",
     {{"PutItem", FAKE_ERROR, 9, 400,
       CORAL("UnrecognizedClientException",
             "The security token included in the request "
             "is invalid."),
       0}},
     1,
     TM_E_AGAIN,
     1,
     "AWS_ACCESS_KEY_ID"},
    {"expired keys",
     {{"PutItem", FAKE_ERROR, 9, 400,
       CORAL("ExpiredTokenException",
             "The security token included in the request is expired"),
       0}},
     1,
     TM_E_AGAIN,
     1,
     "AWS_PROFILE"},
    {"too many requests for the account",
     {{"PutItem", FAKE_ERROR, 2, 400,
       TYPE("RequestLimitExceeded",
            "Throughput exceeds the current throughput limit for your account."),
       0}},
     1,
     TM_OK,
     2,
     NULL},
    {"an item collection too large",
     {{"PutItem", FAKE_ERROR, 1, 400,
       TYPE("ItemCollectionSizeLimitExceededException",
            "Collection size exceeded."),
       0}},
     1,
     TM_E_RANGE,
     1,
     NULL},
    {"a wrong clock, as the answer's own date is not",
     {{"PutItem", FAKE_ERROR, 9, 400,
       CORAL("InvalidSignatureException",
             "Signature expired: 20261123T200000Z is now "
             "earlier than 20261123T201000Z (20261123T201500Z - 5 min.)"),
       0}},
     1,
     TM_E_AGAIN,
     1,
     "clock is wrong"},
    {"a wrong schema",
     {{"PutItem", FAKE_ERROR, 1, 400,
       "{\"__type\":\"com.amazon.coral.validate#ValidationException\",\"message\":"
       "\"One or "
       "more parameter values were invalid: Missing the key id in the item\"}",
       0}},
     1,
     TM_E_AGAIN,
     1,
     "tables check"},
    {"not DynamoDB at all",
     {{"PutItem", FAKE_ERROR, 1, 404, "not found", 0}},
     1,
     TM_E_AGAIN,
     1,
     "is this endpoint DynamoDB?"},
};

static uint64_t head_of(tm_store *store, tm_key key) {
    tm_store *other = store_open(NULL); // which remembers nothing
    uint64_t head = drive_all(other, key, 1, NULL);
    tm_store_close(other);
    (void)store;
    return head;
}

static void every_fault_of_a_put(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(put_faults); i++) {
        t_row = put_faults[i].name;
        tm_store *store = fresh();
        tm_key key = drive_key("ann", "list");
        T_OK(drive_append(store, key, 1, 1, 1));
        fake_script(world, put_faults[i].faults, put_faults[i].count);
        T_STATUS(drive_append(store, key, 1, 2, 2), put_faults[i].status);
        tm_span why = {NULL, 0};
        tm_status health = tm_store_health(store, &why);
        bool bad = put_faults[i].status == TM_E_AGAIN ||
                   put_faults[i].status == TM_E_UNSURE;
        T_TRUE((health != TM_OK) == bad);
        if (put_faults[i].why != NULL) {
            if (strstr(said, put_faults[i].why) == NULL)
                print_error("# said: %s\n", said);
            T_TRUE(strstr(said, put_faults[i].why) != NULL);
            T_TRUE(strstr((const char *)why.ptr, put_faults[i].why) != NULL);
        }
        fake_script(world, NULL, 0); // it is over
        uint64_t head = head_of(store, key);
        T_EQ(head, put_faults[i].head);
        T_TRUE(fake_span_ms(world) < HOUR_MS);
        if (head == 2) T_STATUS(drive_append(store, key, 1, 2, 2), TM_E_CONFLICT);
        T_OK(drive_append(store, key, 1, head + 1, head + 1)); // and it goes on
        T_EQ(drive_all(store, key, 1, NULL), head + 1);
        T_OK(tm_store_health(store, &why));
        T_EQ(why.len, 0);
        tm_store_close(store);
    }
}

// ---- a wrong clock ------------------------------------------------------------------

static const struct {
    const char *name;
    int64_t ahead_ms;
    size_t tries; // of the first put
    const char *said;
} clocks[] = {
    {"right", 0, 1, ""},
    {"ten minutes ahead, which is let pass", 600000, 1, ""},
    {"an hour ahead", HOUR_MS, 2, "3600 s ahead of"},
    {"an hour behind", -(int64_t)HOUR_MS, 2, "3600 s behind"},
    {"ten years behind", INT64_C(-315576000000), 2, "315576000 s behind"},
};

static void a_wrong_clock_is_learned(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(clocks); i++) {
        t_row = clocks[i].name;
        reset(NULL);
        said[0] = '\0';
        fake_clock(world, clocks[i].ahead_ms);
        (void)fake_asked(world, NULL);
        tm_store *store = store_open(NULL); // which looks at the tables
        tm_key key = drive_key("ann", "list");
        tm_span why;
        T_OK(tm_store_health(store, &why));
        T_TRUE(strstr(said, clocks[i].said) != NULL);
        T_EQ(fake_asked(world, "DescribeTable"), 2 + clocks[i].tries - 1);
        T_OK(drive_append(store, key, 1, 1, 1));
        T_EQ(fake_asked(world, "PutItem"), 1);
        // Somebody sets it right: that, too, is learned, once.
        fake_clock(world, 0);
        T_OK(drive_append(store, key, 1, 2, 2));
        T_EQ(fake_asked(world, "PutItem"), clocks[i].tries);
        T_OK(drive_append(store, key, 1, 3, 3));
        T_EQ(fake_asked(world, "PutItem"), 1);
        T_EQ(drive_all(store, key, 1, NULL), 3);
        tm_store_close(store);
    }
}

// ---- faults of reads ----------------------------------------------------------------

static const struct {
    const char *name;
    fake_fault fault;
    tm_status status;
} read_faults[] = {
    {"throttled", {"Query", FAKE_ERROR, 2, 400, THROTTLED, 0}, TM_OK},
    {"throttled for ever",
     {"Query", FAKE_ERROR, 1000, 400, THROTTLED, 0},
     TM_E_AGAIN},
    {"500", {"Query", FAKE_ERROR, 1, 500, INTERNAL, 0}, TM_OK},
    {"a time-out", {"Query", FAKE_LOST, 1, 0, NULL, 0}, TM_OK},
    {"time-outs", {"Query", FAKE_LOST, 1000, 0, NULL, 0}, TM_E_AGAIN},
    {"no connection", {"Query", FAKE_UNSENT, 1000, 0, NULL, 0}, TM_E_AGAIN},
    {"cut", {"Query", FAKE_CUT, 1, 0, NULL, 0}, TM_OK},
    {"a wrong sum", {"Query", FAKE_SUM, 1, 0, NULL, 0}, TM_OK},
    {"always cut", {"Query", FAKE_CUT, 1000, 0, NULL, 0}, TM_E_AGAIN},
    {"garbage", {"Query", FAKE_ERROR, 1, 200, "{\"Items\":[{\"a\":1}]}", 0}, TM_OK},
    {"no table",
     {"Query", FAKE_ERROR, 1, 400, TYPE("ResourceNotFoundException", "no"), 0},
     TM_E_AGAIN},
};

static void every_fault_of_a_read(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(read_faults); i++) {
        t_row = read_faults[i].name;
        tm_store *store = fresh();
        tm_key key = drive_key("ann", "list");
        for (uint64_t seq = 1; seq <= 5; seq++) {
            T_OK(drive_append(store, key, 1, seq, seq));
        }
        (void)fake_asked(world, NULL);
        fake_script(world, &read_faults[i].fault, 1);
        drive_page page = drive_read(store, key, 0, ALL, ALL);
        T_STATUS(page.status, read_faults[i].status);
        T_EQ(page.count, read_faults[i].status == TM_OK ? 5 : 0);
        bool sent =
            read_faults[i].fault.kind != FAKE_UNSENT; // and noticed each time
        if (sent && page.status == TM_OK) {
            T_EQ(fake_asked(world, "Query"), read_faults[i].fault.times + 1);
        }
        drive_page_free(&page);
        fake_script(world, NULL, 0);
        T_EQ(drive_all(store, key, 1, NULL), 5);
        tm_store_close(store);
    }
}

static void pages_are_followed(void **state) {
    (void)state;
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "list");
    for (uint64_t seq = 1; seq <= 600; seq += 2) {
        T_OK(drive_append(store, key, 1, seq, seq + 1));
    }
    static const size_t bytes[] = {1, 500, 5000, 1u << 20};
    for (size_t i = 0; i < COUNT(bytes); i++) {
        fake_page(world, bytes[i]);
        T_EQ(drive_all(store, key, 1, NULL), 600);
        drive_page page = drive_read(store, key, 300, 7, ALL);
        T_EQ(page.batches[0].last_seq, 300); // the batch that ends there
        T_EQ(page.count, 1 + 4);
        T_TRUE(page.more);
        drive_page_free(&page);
        page = drive_read(store, key, 592, 8, ALL);
        T_EQ(page.count, 1 + 4);
        T_TRUE(!page.more); // though DynamoDB says there might be
        drive_page_free(&page);
    }
    tm_store_close(store);
}

// One query backwards finds the batch that `since` lies in, however far below it begins.
static void a_batch_far_below_is_found(void **state) {
    (void)state;
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(store, key, 1, 1, 2));
    drive_batch made = drive_make(1, 3, 3);
    made.batch.last_seq = 5000;
    T_OK(drive_append_batch(store, key, &made.batch));
    drive_free(&made);
    static const struct {
        uint64_t since;
        size_t count;
    } rows[] = {{4000, 1}, {5000, 1}, {5001, 0}, {UINT64_MAX, 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        tm_store_close(store);
        store = store_open(NULL); // which remembers nothing
        (void)fake_asked(world, NULL);
        drive_page page = drive_read(store, key, rows[i].since, ALL, ALL);
        T_EQ(page.count, rows[i].count);
        if (page.count > 0) T_EQ(page.batches[0].first_seq, 3);
        drive_page_free(&page);
        T_EQ(fake_asked(world, "Query"), 2);
    }
    T_OK(
        drive_append(store, key, 1, 5001, 5001)); // the read told where the head is
    T_EQ(fake_asked(world, NULL), 1);
    tm_store_close(store);
}

static void nothing_is_handed_out_behind_a_hole(void **state) {
    (void)state;
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "selected-images");
    for (uint64_t seq = 1; seq <= 9; seq++) {
        T_OK(drive_append(store, key, 1, seq, seq));
    }
    fake_drop(world, OPERATIONS, "ann", "0000000000000005");
    drive_page page = drive_read(store, key, 0, ALL, ALL);
    T_OK(page.status);
    T_EQ(page.count, 4);
    drive_page_free(&page);
    T_TRUE(strstr(said, "after 4 comes 6") != NULL);
    T_STATUS(drive_append(store, key, 1, 5, 5), TM_E_AGAIN); // a person must look
    T_STATUS(drive_append(store, key, 1, 10, 10), TM_E_AGAIN);
    tm_store_close(store);
}

// ---- what it costs ------------------------------------------------------------------

static void few_calls(void **state) {
    (void)state;
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "list");
    // A cold list: one GetItem, one Query.
    free(drive_load(store, key).bytes);
    drive_page page = drive_read(store, key, 0, 4096, 2u << 20);
    drive_page_free(&page);
    T_EQ(fake_asked(world, "GetItem"), 1);
    T_EQ(fake_asked(world, "Query"), 1);
    // From then on a put each.
    for (uint64_t seq = 1; seq <= 300; seq++) {
        T_OK(drive_append(store, key, 1, seq, seq));
    }
    T_EQ(fake_asked(world, NULL), 300);
    // A snapshot is one put; what opens from it reads the batch it ends with, no more.
    T_OK(drive_save(store, key, 300, t_str("{\"a\":1}")));
    T_EQ(fake_asked(world, NULL), 1);
    tm_store_close(store);
    store = store_open(NULL);
    (void)fake_asked(world, NULL);
    drive_snapshot snapshot = drive_load(store, key);
    T_EQ(snapshot.seq, 300);
    free(snapshot.bytes);
    page = drive_read(store, key, 300, 4096, 2u << 20);
    T_EQ(page.count, 1);
    drive_page_free(&page);
    T_EQ(fake_asked(world, NULL), 2);
    tm_store_stats stats;
    tm_store_stats_get(store, &stats);
    const tm_store_cost *costs = stats.costs;
    uint64_t units = 0, requests = 0;
    for (size_t i = 0; i < stats.costs_count; i++) {
        if (strcmp(costs[i].kind, "load") == 0) T_EQ(costs[i].units_milli, 1000);
        if (strcmp(costs[i].kind, "read") == 0) T_EQ(costs[i].units_milli, 1000);
        units += costs[i].units_milli;
        requests += costs[i].requests;
    }
    T_EQ(units, 2000);
    T_EQ(requests, 4); // and two DescribeTable, which cost nothing
    tm_store_close(store);
}

static void a_tail_is_good_for_an_hour(void **state) {
    (void)state;
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(store, key, 1, 1, 1));
    (void)fake_asked(world, NULL);
    fake_advance(world, HOUR_MS - 1000);
    T_OK(drive_append(store, key, 1, 2, 2));
    T_EQ(fake_asked(world, "Query"), 0);
    fake_advance(world, HOUR_MS);
    T_OK(drive_append(store, key, 1, 3, 3));
    T_EQ(fake_asked(world, "Query"), 1);
    tm_store_close(store);
}

// ---- several servers ----------------------------------------------------------------

static void two_servers_never_overlap(void **state) {
    (void)state;
    tm_store *a = fresh(), *b = store_open(NULL);
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(a, key, 1, 1, 1));
    T_OK(drive_append(b, key, 1, 2, 4));
    T_STATUS(drive_append(a, key, 1, 2, 2), TM_E_CONFLICT);
    T_STATUS(drive_append(a, key, 1, 3, 3), TM_E_CONFLICT);
    T_OK(drive_append(a, key, 1, 5, 5)); // it asked for the tail meanwhile
    T_STATUS(drive_append(b, key, 1, 5, 5), TM_E_CONFLICT);
    T_EQ(drive_all(b, key, 1, NULL), 5);
    tm_store_close(a);
    tm_store_close(b);
}

static void of_two_snapshots_the_newer_stays(void **state) {
    (void)state;
    tm_store *a = fresh(), *b = store_open(NULL);
    tm_key key = drive_key("ann", "list");
    T_OK(drive_save(a, key, 5, t_str("five")));
    T_OK(drive_save(b, key, 4, t_str("four")));
    T_OK(drive_save(b, key, 5, t_str("FIVE")));
    drive_snapshot back = drive_load(b, key);
    T_EQ(back.seq, 5);
    T_TEXT(((tm_span){back.bytes, back.len}), "five");
    free(back.bytes);
    tm_store_close(a);
    tm_store_close(b);
}

// A put that a time-out hid arrives after we gave up and somebody else went on.
static void a_late_put_changes_nothing(void **state) {
    (void)state;
    static const fake_fault faults[] = {{"PutItem", FAKE_LATE, 1, 0, NULL, 70000},
                                        {"PutItem", FAKE_LOST, 1000, 0, NULL, 0}};
    tm_store *a = fresh(), *b = store_open(NULL);
    tm_key key = drive_key("ann", "list");
    T_OK(drive_append(a, key, 1, 1, 1));
    fake_script(world, faults, COUNT(faults));
    T_STATUS(drive_append(a, key, 1, 2, 9), TM_E_UNSURE);
    fake_script(world, NULL, 0);
    T_OK(drive_append(b, key, 1, 2, 3));
    fake_advance(world, 100000);
    T_EQ(drive_all(a, key, 1, NULL), 3);
    T_EQ(fake_count(world, OPERATIONS), 2);
    tm_store_close(a);
    tm_store_close(b);
}

// Nothing younger than an hour is trimmed: else such a put would come back to life.
static void trim_leaves_the_last_hour(void **state) {
    (void)state;
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "list");
    for (uint64_t seq = 1; seq <= 4; seq++) {
        drive_batch made = drive_make(1, seq, seq);
        made.batch.accepted_ms = fake_wall_ms(world);
        T_OK(drive_append_batch(store, key, &made.batch));
        drive_free(&made);
        fake_advance(world, HOUR_MS / 2 - 1000);
    }
    uint64_t gone = 9;
    T_OK(drive_trim(store, key, 4, ALL, &gone));
    T_EQ(gone, 2);
    tm_store_close(store);
}

// ---- snapshots ----------------------------------------------------------------------

static void a_snapshot_is_a_row_a_person_can_read(void **state) {
    (void)state;
    static const char snapshot[] =
        "{\"format\":1,\"seq\":7,\"mark\":\"ab\",\"state\":{\"items\":[]},"
        "\"writers\":[[\"b\",1,2,3,[]]],\"sum\":\"cd\"}";
    tm_store *store = fresh();
    tm_key key = drive_key("a%n#n", "selected-images");
    T_OK(drive_save(store, key, 7, t_str(snapshot)));
    char *item = fake_item(world, STATES, "a%25n%23n", "current");
    static const char *const parts[] = {
        "\"selectedImages\":{\"S\":\"{\\\"items\\\":[]}\"}",
        "\"operationVersion\":{\"N\":\"7\"}",
        "\"vector\":{\"S\":\"[[\\\"b\\\",1,2,3,[]]]\"}",
        "\"mark\":{\"S\":\"\\\"ab\\\"\"}",
        "\"lastSynced\":{\"N\":\"",
        "\"members\":{\"S\":\"format,seq,mark,state,writers,sum\"}"};
    for (size_t i = 0; i < COUNT(parts); i++) {
        t_row = parts[i];
        T_TRUE(strstr(item, parts[i]) != NULL);
    }
    free(item);
    drive_snapshot back = drive_load(store, key);
    T_TEXT(((tm_span){back.bytes, back.len}), snapshot);
    free(back.bytes);
    tm_store_close(store);
}

static void chunks_die_a_day_later(void **state) {
    (void)state;
    enum { LEN = 1000000 }; // three chunks
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "list");
    uint8_t *bytes = drive_bytes(1, LEN);
    static const size_t rows[] = {1 + 3, 1 + 6, 1 + 9};
    for (uint64_t round = 0; round < 3; round++) {
        T_OK(drive_save(store, key, round + 1, (tm_span){bytes, LEN}));
        T_EQ(fake_count(world, STATES), rows[round]);
        tm_store_close(store); // it is the table that remembers
        store = store_open(NULL);
        drive_snapshot back = drive_load(store, key);
        T_EQ(back.seq, round + 1);
        T_SPAN(((tm_span){back.bytes, back.len}), ((tm_span){bytes, LEN}));
        free(back.bytes);
        fake_advance(world, 3 * HOUR_MS);
    }
    fake_advance(world, 22 * HOUR_MS);
    T_OK(drive_save(store, key, 4, (tm_span){bytes, LEN}));
    T_EQ(fake_count(world, STATES),
         1 + 3 + 3); // the new ones, and those just replaced
    fake_advance(world, 25 * HOUR_MS);
    T_OK(drive_save(store, key, 5, t_str("small")));
    T_EQ(fake_count(world, STATES), 1 + 3);
    drive_snapshot back = drive_load(store, key);
    T_TEXT(((tm_span){back.bytes, back.len}), "small");
    free(back.bytes);
    free(bytes);
    tm_store_close(store);
}

// What a server left that died before its manifest, and what two that took turns forgot.
static void chunks_without_a_row_die_too(void **state) {
    (void)state;
    enum { LEN = 1000000 }; // three chunks
    static const fake_fault no_manifest[] = {
        {"PutItem", FAKE_WELL, 3, 0, NULL, 0},
        {"PutItem", FAKE_UNSENT, 1000, 0, NULL, 0}};
    tm_store *a = fresh();
    tm_key key = drive_key("ann", "list");
    uint8_t *bytes = drive_bytes(1, LEN);
    tm_span large = {bytes, LEN};
    T_OK(drive_save(a, key, 1, large));
    fake_script(world, no_manifest, COUNT(no_manifest));
    T_STATUS(drive_save(a, key, 2, large), TM_E_AGAIN);
    fake_script(world, NULL, 0);
    tm_store_close(a);
    T_EQ(fake_count(world, STATES), 1 + 3 + 3);
    a = store_open(NULL);
    tm_store *b = store_open(NULL);
    free(drive_load(a, key).bytes);
    free(drive_load(b, key).bytes);
    fake_page(world, 64u << 20); // one for all
    (void)fake_asked(world, NULL);
    T_OK(drive_save(a, key, 3, large)); // which finds the lost ones
    T_EQ(fake_asked(world, "Query"), 1);
    T_OK(drive_save(b, key, 4, large)); // which knows nothing of a's but by looking
    T_EQ(fake_asked(world, "Query"), 1);
    T_OK(drive_save(b, key, 5, large));
    T_EQ(fake_asked(world, "Query"), 0); // once a day
    T_EQ(fake_count(world, STATES), 1 + 3 * 5);
    fake_page(world, 1); // a page for each
    fake_advance(world, 25 * HOUR_MS);
    T_OK(drive_save(b, key, 6, large));
    T_EQ(fake_count(world, STATES), 1 + 3 + 3); // and 5's, for a day
    fake_advance(world, 25 * HOUR_MS);
    T_OK(drive_save(b, key, 7, t_str("small")));
    T_EQ(fake_count(world, STATES), 1 + 3);
    drive_snapshot back = drive_load(b, key);
    T_EQ(back.seq, 7);
    free(back.bytes);
    free(bytes);
    tm_store_close(a);
    tm_store_close(b);
}

static void a_snapshot_that_fails_changes_nothing(void **state) {
    (void)state;
    enum { LEN = 1000000 };
    tm_store *store = fresh();
    tm_key key = drive_key("ann", "list");
    uint8_t *bytes = drive_bytes(1, LEN);
    T_OK(drive_save(store, key, 1, t_str("one")));
    for (size_t before = 0; before < 4;
         before++) { // the fourth put is the manifest
        fake_fault faults[] = {{"PutItem", FAKE_WELL, (uint32_t)before, 0, NULL, 0},
                               {"PutItem", FAKE_UNSENT, 1000, 0, NULL, 0}};
        fake_script(world, before == 0 ? faults + 1 : faults, before == 0 ? 1 : 2);
        T_STATUS(drive_save(store, key, 2, (tm_span){bytes, LEN}), TM_E_AGAIN);
        fake_script(world, NULL, 0);
        drive_snapshot back = drive_load(store, key);
        T_EQ(back.seq, 1);
        T_TEXT(((tm_span){back.bytes, back.len}), "one");
        free(back.bytes);
    }
    T_OK(drive_save(store, key, 2, (tm_span){bytes, LEN}));
    free(bytes);
    tm_store_close(store);
}

// ---- health -------------------------------------------------------------------------

static void health_says_what_to_do_and_recovers(void **state) {
    (void)state;
    reset(NULL);
    fake_free(world);
    world = fake_new(); // without tables
    tm_store *store = store_open(NULL);
    tm_span why = {NULL, 0};
    T_TRUE(tm_store_health(store, &why) != TM_OK);
    T_TRUE(strstr((const char *)why.ptr, "tidemark tables create") != NULL);
    T_STATUS(drive_append(store, drive_key("ann", "list"), 1, 1, 1), TM_E_AGAIN);
    tables_make();
    fake_advance(world, 10000);
    T_TRUE(tm_store_health(store, &why) != TM_OK); // asks, in the background
    for (int i = 0; i < 10; i++) {
        (void)tm_store_poll(store);
    }
    T_OK(tm_store_health(store, &why));
    T_EQ(why.len, 0);
    T_OK(drive_append(store, drive_key("ann", "list"), 1, 1, 1));
    tm_store_close(store);
}

static const struct {
    const char *name, *endpoint, *prefix, *problem;
} bad_options[] = {
    {"no scheme", "localhost:8000", NULL, "endpoint"},
    {"a path", "http://localhost:8000/x", NULL, "endpoint"},
    {"a user", "http://u:p@localhost", NULL, "endpoint"},
    {"nothing", "http://", NULL, "endpoint"},
    {"a space in the prefix", NULL, "a b", "prefix"},
    {"a long prefix", NULL,
     "12345678901234567890123456789012345678901234567890123456789012345", "prefix"},
};

static void bad_options_are_refused(void **state) {
    (void)state;
    reset(NULL);
    for (size_t i = 0; i < COUNT(bad_options); i++) {
        t_row = bad_options[i].name;
        tm_dynamodb_options options = options_of(&alloc);
        options.endpoint = bad_options[i].endpoint;
        options.prefix = bad_options[i].prefix;
        tm_store *store = NULL;
        char problem[256] = "";
        T_STATUS(tm_dynamodb_open(&options, &store, problem), TM_E_RANGE);
        T_TRUE(strstr(problem, bad_options[i].problem) != NULL);
        T_EQ(memory.live, 0);
    }
}

// The same few requests with the k-th allocation refused, for every k.
static void refused_memory_is_told(void **state) {
    (void)state;
    bool refused = true;
    for (size_t k = 1; refused; k++) {
        reset(NULL);
        t_memory small = {.fail_at = k};
        tm_alloc from = t_alloc(&small);
        tm_dynamodb_options options = options_of(&from);
        tm_store *store = NULL;
        char problem[256];
        tm_status status = tm_dynamodb_open(&options, &store, problem);
        if (status != TM_OK) {
            T_STATUS(status, TM_E_NOMEM);
            T_EQ(small.live, 0);
            continue;
        }
        tm_key key = drive_key("ann", "list");
        uint64_t head = 0;
        for (int i = 0; i < 3; i++) {
            status = drive_append(store, key, 1, head + 1, head + 1);
            if (status == TM_E_UNSURE) { // the answer could not be read: look
                head = drive_all(store, key, 1, NULL);
            } else if (status == TM_OK) {
                head++;
            } else {
                T_STATUS(status, TM_E_AGAIN);
            }
        }
        drive_page page = drive_read(store, key, 0, ALL, ALL);
        if (page.status == TM_OK) T_EQ(page.count, head);
        drive_page_free(&page);
        status = drive_save(store, key, 1, t_str("{\"a\":1}"));
        T_TRUE(status == TM_OK || status == TM_E_AGAIN || status == TM_E_UNSURE);
        free(drive_load(store, key).bytes);
        tm_store_close(store);
        T_EQ(small.live, 0);
        refused = small.refused;
    }
}

int main(void) {
    alloc = t_alloc(&memory);
    const conformance subject = {
        .name = "DynamoDB", .open = store_open, .reset = reset, .durable = true};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_of_a_put),
        cmocka_unit_test(a_wrong_clock_is_learned),
        cmocka_unit_test(every_fault_of_a_read),
        cmocka_unit_test(pages_are_followed),
        cmocka_unit_test(a_batch_far_below_is_found),
        cmocka_unit_test(nothing_is_handed_out_behind_a_hole),
        cmocka_unit_test(few_calls),
        cmocka_unit_test(a_tail_is_good_for_an_hour),
        cmocka_unit_test(two_servers_never_overlap),
        cmocka_unit_test(of_two_snapshots_the_newer_stays),
        cmocka_unit_test(a_late_put_changes_nothing),
        cmocka_unit_test(trim_leaves_the_last_hour),
        cmocka_unit_test(a_snapshot_is_a_row_a_person_can_read),
        cmocka_unit_test(chunks_die_a_day_later),
        cmocka_unit_test(chunks_without_a_row_die_too),
        cmocka_unit_test(a_snapshot_that_fails_changes_nothing),
        cmocka_unit_test(health_says_what_to_do_and_recovers),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(refused_memory_is_told),
    };
    int failed = conformance_run(&subject);
    failed += cmocka_run_group_tests_name("DynamoDB's own", tests, NULL, NULL);
    if (world != NULL) fake_free(world);
    return failed;
}
