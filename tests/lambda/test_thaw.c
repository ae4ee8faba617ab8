// A process that was stopped: what its clock says then. DESIGN 5, the rule of one hour.
#include "lambda/thaw.h"
#include "t.h"

#define HOUR 3600000u

typedef struct door {
    tm_http base;
    tm_now now;
    size_t closed;
} door;

static tm_now door_now(tm_http *http) {
    return ((door *)(void *)http)->now;
}

static void door_close(tm_http *http) {
    ((door *)(void *)http)->closed++;
}

static const tm_http_ops ops = {.now = door_now, .close = door_close};

static const struct {
    const char *name;
    int64_t wall_ms, mono_ms; // how far each went on
    uint64_t stopped_ms;
} looks[] = {
    {"nothing", 0, 0, 0},
    {"both went on", HOUR, HOUR, 0},
    {"a drift", 60900, 60000, 0},
    {"only the wall went on", 3 * HOUR, 5, 3 * HOUR - 5},
    {"a part of it is known", 3 * HOUR, HOUR, 2 * HOUR},
    {"the wall was put back", -(int64_t)HOUR, 10, 0},
    {"only the other went on", 0, HOUR, 0},
    {"the wall was put forward a century", INT64_C(3153600000000), 0,
     UINT64_C(3153600000000)},
};

static void test_looks(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    for (size_t i = 0; i < COUNT(looks); i++) {
        t_row = looks[i].name;
        door inner = {.base = {&ops}, .now = {UINT64_C(1790000000000), 5000}};
        tm_http *http;
        T_OK(tm_thaw_open(&alloc, &inner.base, &http));
        T_EQ(tm_thaw_look(http), 0);
        uint64_t before = tm_http_now(http).mono_ms;
        inner.now.wall_ms += (uint64_t)looks[i].wall_ms;
        inner.now.mono_ms += (uint64_t)looks[i].mono_ms;
        T_EQ(tm_thaw_look(http), looks[i].stopped_ms);
        T_EQ(tm_http_now(http).wall_ms, inner.now.wall_ms);
        T_EQ(tm_http_now(http).mono_ms - before,
             (uint64_t)looks[i].mono_ms + looks[i].stopped_ms);
        T_EQ(tm_thaw_look(http), 0); // it is counted once
        tm_http_close(http);
        T_EQ(inner.closed, 1);
        T_EQ(memory.live, 0);
    }
}

// Short stops add up to the hour after which a tail is old.
static void test_many_stops(void **state) {
    (void)state;
    t_memory memory = {0};
    tm_alloc alloc = t_alloc(&memory);
    door inner = {.base = {&ops}, .now = {UINT64_C(1790000000000), 5000}};
    tm_http *http;
    T_OK(tm_thaw_open(&alloc, &inner.base, &http));
    uint64_t before = tm_http_now(http).mono_ms;
    for (int i = 0; i < 7; i++) {
        inner.now.wall_ms += 540000;
        inner.now.mono_ms += 1;
        (void)tm_thaw_look(http);
    }
    T_TRUE(tm_http_now(http).mono_ms - before > HOUR);
    tm_http_close(http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_many_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
