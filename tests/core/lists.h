// lists.h - a list under test with its memory, and short ways to write operations. For one
// test program: everything is static.
#ifndef TM_TESTS_CORE_LISTS_H
#define TM_TESTS_CORE_LISTS_H

#include "core/list.h"
#include "help.h"
#include "t.h"

#define OP(more) "{\"id\":\"o\",\"version\":1," more "}"

typedef struct fixture {
    t_memory memory;
    tm_alloc alloc;
    tm_arena arena;
    tm_list *list;
} fixture;

static inline void list_open(fixture *f) {
    *f = (fixture){0};
    f->alloc = t_alloc(&f->memory);
    f->arena.alloc = &f->alloc;
    T_OK(tm_list_new(&f->alloc, HELP_SEED, &f->list));
}

static inline void list_close(fixture *f) {
    tm_list_free(f->list);
    tm_arena_deinit(&f->arena);
    T_EQ(f->memory.live, 0);
}

static inline bool apply(fixture *f, const char *text) {
    bool changed = false;
    T_OK(tm_list_apply(f->list, op_from(&f->arena, t_str(text)), &changed));
    return changed;
}

static inline void bytes_check(fixture *f, const char *want) {
    T_TEXT(list_bytes(&f->arena, f->list), want);
    T_TRUE(tm_list_size(f->list) >= strlen(want));
}

#define B        "\"browserId\":\"b\","
#define A        "\"browserId\":\"a\","
#define AT(time) "\"timestamp\":" #time ","
#define ADD      "\"type\":\"ADD\",\"instanceId\":\"i\",\"imageId\":"
#define UPDATE   "\"type\":\"UPDATE_METADATA\",\"instanceId\":\"i\",\"data\":"
#define DELETE   "\"type\":\"DELETE\",\"instanceId\":\"i\""
#define SORT     "\"type\":\"SORT_CHANGE\",\"sort\":"
#define EMPTY                                                                      \
    "{\"format\":1,\"browsers\":[],\"dead\":[],\"items\":[],\"sort\":null}"
#define KILLED                                                                     \
    "{\"format\":1,\"browsers\":[],\"dead\":[\"i\"],\"items\":[],\"sort\":null}"

// Some of everything: seven operations.
static const char *const history[] = {
    OP(B AT(5) UPDATE "{\"x\":\"1\",\"y\":\"a somewhat longer text\"}"),
    OP(A AT(6) ADD
       "\"m\",\"data\":{\"x\":\"22\",\"z\":null,\"zz\":\"\",\"q\":\"3\"}"),
    OP(B AT(7) SORT "\"desc\""),
    OP(B AT(8) "\"type\":\"LATER\""),
    OP(A AT(9) "\"type\":\"ADD\",\"instanceId\":\"j\",\"imageId\":\"n\""),
    OP(A AT(9) DELETE),
    OP(A AT(9) "\"type\":\"DELETE\",\"instanceId\":\"never seen\""),
};

static inline void history_apply(fixture *f) {
    for (size_t i = 0; i < COUNT(history); i++) {
        (void)apply(f, history[i]);
    }
}

#endif
