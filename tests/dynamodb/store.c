// store.c - the store's conformance suite, and a few things more, on Amazon's own DynamoDB
// Local, which tests/dynamodb/run.sh has started. TM_DYNAMODB names it.
#include "store/conformance.h"
#include "store/drive.h"
#include "store/dynamodb.h"
#include "t.h"

typedef struct place {
    char prefix[32];
    unsigned round;
} place;

static void *resize(void *context, void *ptr, size_t old_size, size_t new_size) {
    (void)context;
    (void)old_size;
    if (new_size > 0) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

static const tm_alloc alloc = {resize, NULL};

static const char *env(void *context, const char *name) {
    (void)context;
    if (strcmp(name, "AWS_ACCESS_KEY_ID") == 0) return "tests";
    if (strcmp(name, "AWS_SECRET_ACCESS_KEY") == 0) return "secret";
    return NULL;
}

static tm_dynamodb_options options_of(const place *at) {
    return (tm_dynamodb_options){.alloc = &alloc,
                                 .endpoint = getenv("TM_DYNAMODB"),
                                 .region = "eu-central-1",
                                 .prefix = at->prefix,
                                 .env = env};
}

static tm_store *open_there(void *context) {
    tm_store *store = NULL;
    char problem[256] = "";
    tm_dynamodb_options options = options_of(context);
    tm_status status = tm_dynamodb_open(&options, &store, problem);
    if (status != TM_OK) print_error("# %s\n", problem);
    T_OK(status);
    return store;
}

static void reset(void *context) { // other tables: the quickest way to empty ones
    place *at = context;
    tm_dynamodb_table tables[TM_DYNAMODB_TABLES_MAX];
    char problem[256] = "";
    snprintf(at->prefix, sizeof at->prefix, "t%u-", at->round++);
    tm_dynamodb_options options = options_of(at);
    tm_status status = tm_dynamodb_tables(&options, true, tables, problem);
    if (status != TM_OK) print_error("# %s\n", problem);
    T_OK(status);
    T_TRUE(tables[0].created && tables[0].ok && tables[0].on_demand);
    T_TRUE(tables[1].created && tables[1].ok && tables[1].on_demand);
}

int main(void) {
    static place at;
    const conformance subject = {.name = "DynamoDB Local",
                                 .open = open_there,
                                 .reset = reset,
                                 .durable = true,
                                 .context = &at};
    return conformance_run(&subject);
}
