// proof.h - what the programs of this directory share: memory that is taken and given back
// all at once, small texts, a line of progress, a line of TAP.
//
// A proof tries all of a small space. `share` (in make test) bounds it; `whole` (make proof)
// does not, tells how far it is, and both say how many histories they tried. What is found
// wrong is printed as the history that shows it, and ends the program.
#ifndef TM_TESTS_PROOF_H
#define TM_TESTS_PROOF_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../fuzz/model.h"
#include "core/list.h"

static void (*proof_story)(void); // prints the history under trial

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    if (proof_story != NULL) proof_story();
    printf("# %s:%d: %s\nnot ok - proof\n", file, line, what);
    exit(1);
}

// ---- memory -------------------------------------------------------------------------

typedef struct proof_pool {
    size_t used;
    _Alignas(16) uint8_t bytes[1 << 20];
} proof_pool;

static inline void *proof_resize(void *context, void *ptr, size_t old_size,
                                 size_t new_size) {
    proof_pool *pool = context;
    if (new_size <= old_size) return new_size == 0 ? NULL : ptr;
    size_t at = (pool->used + 15) / 16 * 16;
    TM_ASSERT(new_size <= sizeof pool->bytes - at);
    pool->used = at + new_size;
    if (old_size > 0) memcpy(pool->bytes + at, ptr, old_size);
    return pool->bytes + at;
}

// ---- operations ---------------------------------------------------------------------

static inline model_text proof_text(const char *text) {
    return (model_text){text, text == NULL ? 0 : strlen(text)};
}

static inline tm_span proof_span(model_text text) {
    return (tm_span){(const uint8_t *)text.ptr, text.len};
}

static inline tm_op proof_op(const model_op *from) {
    static const tm_op_type types[] = {TM_OP_ADD, TM_OP_DELETE, TM_OP_UPDATE,
                                       TM_OP_SORT};
    tm_op op = {.type = types[from->type],
                .id = {(const uint8_t *)"o", 1},
                .instance_id = proof_span(from->instance),
                .image_id = proof_span(from->image),
                .sort = proof_span(from->sort),
                .field_count = (uint32_t)from->field_count};
    op.at = (tm_stamp){from->at.timestamp << TM_LOGICAL_BITS | from->at.logical,
                       from->at.version, proof_span(from->at.browser)};
    for (size_t i = 0; i < from->field_count; i++) {
        op.fields[i].name = proof_span(from->fields[i].name);
        op.fields[i].value = proof_span(from->fields[i].value);
    }
    return op;
}

static inline void proof_say_op(FILE *to, const model_op *op) {
    static const char *const words[] = {"ADD", "DELETE", "UPDATE", "SORT"};
    fprintf(to, "#   %s %.*s %.*s%.*s", words[op->type], (int)op->instance.len,
            op->instance.len > 0 ? op->instance.ptr : "", (int)op->image.len,
            op->image.len > 0 ? op->image.ptr : "", (int)op->sort.len,
            op->sort.len > 0 ? op->sort.ptr : "");
    for (size_t i = 0; i < op->field_count; i++) {
        model_text value = op->fields[i].value;
        fprintf(to, " %.*s=%.*s", (int)op->fields[i].name.len,
                op->fields[i].name.ptr, value.ptr == NULL ? 4 : (int)value.len,
                value.ptr == NULL ? "null" : value.ptr);
    }
    fprintf(to, " at (%" PRIu64 ",%" PRIu64 ",%.*s,%" PRIu64 ")\n",
            op->at.timestamp, op->at.logical, (int)op->at.browser.len,
            op->at.browser.ptr, op->at.version);
}

// ---- telling ------------------------------------------------------------------------

typedef struct proof_clock {
    struct timespec began, said;
    bool whole;
} proof_clock;

static inline double proof_since(const struct timespec *then) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) +
           (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static inline void proof_begin(proof_clock *clock, int argc, char **argv) {
    clock->whole = argc > 1 && strcmp(argv[1], "whole") == 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &clock->began);
    clock->said = clock->began;
}

// A line each ten seconds.
static inline void proof_progress(proof_clock *clock, const char *what,
                                  uint64_t done, uint64_t total) {
    if (proof_since(&clock->said) < 10) return;
    (void)clock_gettime(CLOCK_MONOTONIC, &clock->said);
    printf("# %s: %" PRIu64 " of %" PRIu64 " (%.1f %%), %.0f s\n", what, done,
           total, 100.0 * (double)done / (double)total, proof_since(&clock->began));
    (void)fflush(stdout);
}

#endif
