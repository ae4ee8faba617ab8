// drive.h - a store made easy to ask: each function makes one request, waits for it and
// returns what came.
//
// Batches are made from (salt, first, last) alone, so that what is read can be checked
// without remembering what was written.
#ifndef TM_TESTS_STORE_DRIVE_H
#define TM_TESTS_STORE_DRIVE_H

#include "store/store.h"

// drive_key - of C strings; drive_key_n - the n-th of 64 lists, lent for ever.
tm_key drive_key(const char *user, const char *list);
tm_key drive_key_n(size_t n);

// A batch and its bytes, kept together.
typedef struct drive_batch {
    tm_batch batch;
    uint8_t *bytes;
} drive_batch;

// drive_make - the batch that (salt, first, last) stand for: its operations are JSON, an
// array of one object per seq, its marks are a function of salt and seq. Odd ones carry
// rejections. accepted_ms is `last`. Free with drive_free.
drive_batch drive_make(uint64_t salt, uint64_t first, uint64_t last);
void drive_free(drive_batch *made);

// drive_check - is it, byte for byte, what drive_make would give?
void drive_check(const tm_batch *batch, uint64_t salt);

tm_status drive_append_batch(tm_store *store, tm_key key, const tm_batch *batch);
tm_status drive_append(tm_store *store, tm_key key, uint64_t salt, uint64_t first,
                       uint64_t last);

// What a read gave: batches copied, their bytes too.
typedef struct drive_page {
    tm_status status;
    bool more;
    size_t count;
    tm_batch *batches;
} drive_page;

drive_page drive_read(tm_store *store, tm_key key, uint64_t since, uint64_t ops_max,
                      uint64_t bytes_max);
void drive_page_free(drive_page *page);

// drive_all - read a list from the beginning in pages of some 100 operations, check every
// batch and that there is no hole; returns the head (0: nothing there) and, if `from` is
// not NULL, the first seq.
uint64_t drive_all(tm_store *store, tm_key key, uint64_t salt, uint64_t *from);

tm_status drive_save(tm_store *store, tm_key key, uint64_t seq, tm_span bytes);
tm_status drive_trim(tm_store *store, tm_key key, uint64_t below_seq,
                     uint64_t before_ms, uint64_t *batches);

// What a load gave; free `bytes` with free().
typedef struct drive_snapshot {
    tm_status status;
    uint64_t seq;
    uint8_t *bytes;
    size_t len;
} drive_snapshot;

drive_snapshot drive_load(tm_store *store, tm_key key);

// drive_bytes - `len` bytes that are a function of `salt`; free().
uint8_t *drive_bytes(uint64_t salt, size_t len);

// drive_random - the next of a sequence, the same in every run.
uint64_t drive_random(uint64_t *state);

#endif
