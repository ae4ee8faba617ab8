// What time an answer has that waited for the store: that of the store's completion, not
// that of the question.
#include <time.h>

#include "daemon.h"

// A store that keeps an append until it is let go.
static struct {
    const tm_store_ops *inner;
    tm_store_ops ops;
    tm_store *store;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    tm_store_append *kept;
    bool let_go;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_append(tm_store *store, tm_store_append *request) {
    (void)store;
    pthread_mutex_lock(&gate.lock);
    gate.kept = request;
    pthread_cond_signal(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static size_t gate_poll(tm_store *store) {
    tm_store_append *request = NULL;
    pthread_mutex_lock(&gate.lock);
    if (gate.let_go) {
        request = gate.kept;
        gate.kept = NULL;
    }
    pthread_mutex_unlock(&gate.lock);
    if (request != NULL) gate.inner->append(store, request);
    return gate.inner->poll(store);
}

static void gate_set(tm_store *store) {
    gate.inner = store->ops;
    gate.ops = *store->ops;
    gate.ops.append = gate_append;
    gate.ops.poll = gate_poll;
    gate.store = store;
    store->ops = &gate.ops;
}

static uint64_t wall_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Lets the append go when the clock shows a later time than when it arrived, and returns
// that time.
static uint64_t gate_open(void) {
    pthread_mutex_lock(&gate.lock);
    while (gate.kept == NULL)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    uint64_t kept_ms = wall_ms(), now_ms;
    while ((now_ms = wall_ms()) < kept_ms + 20) {
    }
    pthread_mutex_lock(&gate.lock);
    gate.let_go = true;
    pthread_mutex_unlock(&gate.lock);
    gate.store->wake(gate.store->wake_context);
    return now_ms;
}

static void test_completion(void **state) {
    (void)state;
    daemon server;
    daemon_store_change = gate_set;
    daemon_start(&server, NULL);
    daemon_store_change = NULL;
    wire author;
    socket_open(&author, &server);
    socket_say(
        &author,
        "text='{\"type\":\"SAVE\",\"list\":\"selected-images\",\"user\":\"tester\","
        "\"operations\":[{\"id\":\"op-1\",\"type\":\"ADD\",\"instanceId\":\"i\","
        "\"imageId\":\"m\",\"timestamp\":1,\"browserId\":\"b\",\"version\":1}]}'");
    uint64_t durable_ms = gate_open();
    const char *saved = socket_hear_text(&author, "\"SAVED\"");
    const char *time = strstr(saved, "\"serverTime\":");
    T_TRUE(time != NULL);
    T_TRUE(strtoull(time + strlen("\"serverTime\":"), NULL, 10) >= durable_ms);
    wire_close(&author);
    daemon_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_completion)};
    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
