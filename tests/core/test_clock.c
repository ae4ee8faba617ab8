// The clock against SEMANTICS 4, one row per case. A case that fails prints its name.
#include "core/stamp.h"
#include "t.h"

#define AT(ms, logical) ((uint64_t)(ms) << 16 | (logical))
#define MAX             TM_MS_MAX

static const struct {
    const char *name;
    uint64_t last, now_ms;
    tm_status status;
    uint64_t want;
} ticks[] = {
    {"first operation takes the wall clock", 0, 1000, TM_OK, AT(1000, 0)},
    {"wall clock moved on: logical restarts", AT(1000, 7), 1001, TM_OK,
     AT(1001, 0)},
    {"second operation of a millisecond", AT(1000, 0), 1000, TM_OK, AT(1000, 1)},
    {"wall clock set back: count", AT(1000, 7), 400, TM_OK, AT(1000, 8)},
    {"logical full: carries", AT(1000, 0xffff), 1000, TM_OK, AT(1001, 0)},
    {"last usable millisecond", 0, MAX, TM_OK, AT(MAX, 0)},
    {"one past it", AT(5, 0), MAX + 1, TM_E_RANGE, AT(5, 0)},
    {"time used up", UINT64_MAX, 1000, TM_E_RANGE, UINT64_MAX},
};

static const struct {
    const char *name;
    uint64_t user, writer, now_ms, claimed;
    tm_status status;
    uint64_t given, user_after, writer_after;
} accepts[] = {
    {"now", 0, 0, 100, AT(100, 3), TM_OK, AT(100, 3), AT(100, 3), AT(100, 3)},
    {"offline for long: keeps its time", AT(90, 1), 0, 100, AT(2, 0), TM_OK,
     AT(2, 0), AT(90, 1), AT(2, 0)},
    {"from the future: now", AT(90, 1), 0, 100, AT(101, 0), TM_OK, AT(100, 0),
     AT(100, 0), AT(100, 0)},
    {"from the future, again", AT(100, 0), 0, 100, AT(9999, 0), TM_OK, AT(100, 1),
     AT(100, 1), AT(100, 1)},
    {"from the future, server set back", AT(200, 4), 0, 100, AT(150, 0), TM_OK,
     AT(200, 5), AT(200, 5), AT(200, 5)},
    {"its clock was set back: still grows", AT(90, 1), AT(80, 2), 100, AT(70, 0),
     TM_OK, AT(80, 3), AT(90, 1), AT(80, 3)},
    {"a time used twice: grows", AT(80, 2), AT(80, 2), 100, AT(80, 2), TM_OK,
     AT(80, 3), AT(80, 3), AT(80, 3)},
    {"a new writer in 1970: kept", 9, 0, 100, 0, TM_OK, 0, 9, 0},
    {"server clock out of range", 7, 5, MAX + 1, AT(9, 0), TM_E_RANGE, AT(9, 0), 7,
     5},
    {"user's time used up", UINT64_MAX, 5, 1, AT(9, 0), TM_E_RANGE, AT(9, 0),
     UINT64_MAX, 5},
    {"writer's time used up", 7, UINT64_MAX, 1, AT(9, 0), TM_E_RANGE, AT(9, 0), 7,
     UINT64_MAX},
};

static void test_tick(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(ticks); i++) {
        t_row = ticks[i].name;
        tm_clock clock = {ticks[i].last};
        uint64_t time = 0;
        T_STATUS(tm_clock_tick(&clock, ticks[i].now_ms, &time), ticks[i].status);
        T_EQ(clock.time, ticks[i].want);
        T_EQ(time, ticks[i].status == TM_OK ? ticks[i].want : 0);
    }
}

static void test_accept(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(accepts); i++) {
        t_row = accepts[i].name;
        tm_clock user = {accepts[i].user}, writer = {accepts[i].writer};
        uint64_t time = accepts[i].claimed;
        T_STATUS(tm_clock_accept(&user, &writer, accepts[i].now_ms, &time),
                 accepts[i].status);
        T_EQ(time, accepts[i].given);
        T_EQ(user.time, accepts[i].user_after);
        T_EQ(writer.time, accepts[i].writer_after);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tick),
        cmocka_unit_test(test_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
