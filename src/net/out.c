// out.c - see out.h.
#include "net/out.h"

#include <string.h>

#define BLOCK_RUNS 7u
#define SPARE_MAX  4096u // blocks kept after a burst: one megabyte

enum kind { LENT, OWNED, FRAME };

typedef struct run {
    const uint8_t *at; // what is left of it
    size_t left;
    void *owner; // OWNED: the memory; FRAME: the frame
    uint32_t owned_size;
    uint8_t kind;
    bool begun;
} run;

struct tm_out_block {
    tm_out_block *next;
    uint32_t begin, end; // runs[begin .. end-1] are in use
    run runs[BLOCK_RUNS];
};

void tm_out_pool_deinit(tm_out_pool *pool) {
    while (pool->spare != NULL) {
        tm_out_block *block = pool->spare;
        pool->spare = block->next;
        tm_alloc_put(pool->alloc, block, sizeof *block);
    }
    pool->spare_count = 0;
}

static tm_out_block *block_get(tm_out_pool *pool) {
    tm_out_block *block = pool->spare;
    if (block != NULL) {
        pool->spare = block->next;
        pool->spare_count--;
    } else {
        block = pool->alloc->resize(pool->alloc->context, NULL, 0, sizeof *block);
        if (block == NULL) return NULL;
    }
    block->next = NULL;
    block->begin = block->end = 0;
    return block;
}

static void block_put(tm_out_pool *pool, tm_out_block *block) {
    if (pool->spare_count == SPARE_MAX) {
        tm_alloc_put(pool->alloc, block, sizeof *block);
        return;
    }
    block->next = pool->spare;
    pool->spare = block;
    pool->spare_count++;
}

static void run_release(tm_out_pool *pool, const run *one) {
    if (one->kind == FRAME) pool->release(pool->context, one->owner);
    if (one->kind == OWNED) tm_alloc_put(pool->alloc, one->owner, one->owned_size);
}

static tm_status append(tm_out_pool *pool, tm_out *out, run one) {
    if (one.left == 0) { // nothing to send, but something to give back
        run_release(pool, &one);
        return TM_OK;
    }
    if (out->last == NULL || out->last->end == BLOCK_RUNS) {
        tm_out_block *block = block_get(pool);
        if (block == NULL) {
            run_release(pool, &one);
            return TM_E_NOMEM;
        }
        if (out->last == NULL) {
            out->first = block;
        } else {
            out->last->next = block;
        }
        out->last = block;
    }
    out->last->runs[out->last->end++] = one;
    out->bytes += one.left;
    return TM_OK;
}

tm_status tm_out_lent(tm_out_pool *pool, tm_out *out, tm_span bytes) {
    return append(pool, out,
                  (run){.at = bytes.ptr, .left = bytes.len, .kind = LENT});
}

tm_status tm_out_copy(tm_out_pool *pool, tm_out *out, tm_span bytes) {
    if (bytes.len == 0) return TM_OK;
    uint8_t *copy = pool->alloc->resize(pool->alloc->context, NULL, 0, bytes.len);
    if (copy == NULL) return TM_E_NOMEM;
    memcpy(copy, bytes.ptr, bytes.len);
    return append(pool, out,
                  (run){.at = copy,
                        .left = bytes.len,
                        .owner = copy,
                        .owned_size = (uint32_t)bytes.len,
                        .kind = OWNED});
}

tm_status tm_out_buf(tm_out_pool *pool, tm_out *out, tm_buf *buf) {
    if (buf->status != TM_OK) {
        tm_buf_deinit(buf);
        return TM_E_NOMEM;
    }
    run one = {.at = buf->ptr,
               .left = buf->len,
               .owner = buf->ptr,
               .owned_size = (uint32_t)buf->cap,
               .kind = OWNED};
    const tm_alloc *alloc = buf->alloc;
    *buf = (tm_buf){.alloc = alloc};
    return append(pool, out, one);
}

tm_status tm_out_frame(tm_out_pool *pool, tm_out *out, tm_frame *frame, bool head) {
    size_t room = head ? frame->room_used : 0;
    return append(pool, out,
                  (run){.at = frame->bytes - room,
                        .left = room + frame->len,
                        .owner = frame,
                        .kind = FRAME});
}

size_t tm_out_peek(const tm_out *out, tm_span *runs, size_t runs_max,
                   size_t bytes_max, size_t *bytes) {
    size_t count = 0;
    *bytes = 0;
    for (const tm_out_block *block = out->first; block != NULL;
         block = block->next) {
        for (uint32_t i = block->begin; i < block->end; i++) {
            if (count == runs_max || *bytes >= bytes_max) return count;
            runs[count++] = (tm_span){block->runs[i].at, block->runs[i].left};
            *bytes += block->runs[i].left;
        }
    }
    return count;
}

void tm_out_done(tm_out_pool *pool, tm_out *out, size_t bytes) {
    TM_ASSERT(bytes <= out->bytes);
    out->bytes -= bytes;
    while (out->first != NULL) {
        tm_out_block *block = out->first;
        for (; block->begin < block->end; block->begin++) {
            run *one = &block->runs[block->begin];
            if (bytes < one->left) {
                if (bytes > 0) one->begun = true;
                one->at += bytes;
                one->left -= bytes;
                return;
            }
            bytes -= one->left;
            run_release(pool, one);
        }
        out->first = block->next;
        if (out->first == NULL) out->last = NULL;
        block_put(pool, block);
    }
}

void tm_out_cut(tm_out_pool *pool, tm_out *out, size_t keep) {
    size_t before = 0;
    tm_out_block *last = NULL;
    for (tm_out_block *block = out->first; block != NULL;) {
        tm_out_block *next = block->next;
        uint32_t end = block->begin;
        for (uint32_t i = block->begin; i < block->end; i++) {
            if (before < keep) {
                before += block->runs[i].left;
                end = i + 1;
            } else {
                run_release(pool, &block->runs[i]);
            }
        }
        block->end = end;
        if (end > block->begin) {
            last = block;
        } else {
            if (last == NULL) {
                out->first = next;
            } else {
                last->next = next;
            }
            block_put(pool, block);
        }
        block = next;
    }
    out->last = last;
    out->bytes = before;
}

bool tm_out_begun(const tm_out *out) {
    return out->first != NULL && out->first->runs[out->first->begin].begun;
}

void tm_out_clear(tm_out_pool *pool, tm_out *out) {
    tm_out_done(pool, out, out->bytes);
}
