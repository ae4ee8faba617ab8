// photo.h - one photo on its way from the disk.
//
// Read piece by piece in libuv's thread pool: a disk that sleeps holds up nobody else. A
// file is opened name by name from the directory's own descriptor, following no link, so
// that nothing outside it can be reached even by somebody who can write into it. What it
// is, is told by its first bytes and not by its name: JPEG, PNG, WebP, GIF.
//
// Knows core/alloc.h, libuv. TRUST 2, row 21.
#ifndef TM_NET_PHOTO_H
#define TM_NET_PHOTO_H

#include <uv.h>

#include "core/alloc.h"

#define TM_PHOTO_MAGIC 12u          // first bytes that tell what a file is
#define TM_PHOTO_PIECE (128u << 10) // bytes read at a time

// tm_photo_type - what begins so: its content type, a literal; NULL = no photo.
const char *tm_photo_type(tm_span begin);

// One reading at a time; `done` is called on the loop. The members are the reader's to
// set and the caller's to see, while it is not busy.
typedef struct tm_photo_reader {
    uv_work_t work;
    uv_loop_t *loop;
    const tm_alloc *alloc;
    int directory;
    char *path; // owned
    int file;   // -1 = not open yet
    bool busy;
    uint64_t at, size, modified_ms; // the latter two once it is open
    const char *type;               // likewise
    uint8_t *piece;                 // owned: TM_PHOTO_PIECE bytes
    size_t len;                     // of the piece just read
    int error;                      // errno of what failed, 0 = fine
    void (*done)(struct tm_photo_reader *reader);
    void *context; // the caller's
} tm_photo_reader;

// tm_photo_open - begin with the first piece. gives: tm_photo_close.
//   alloc       keeps
//   directory   keeps: a descriptor that stays open as long as the reader
//   path        borrows; below the directory, with a NUL behind it
TM_MUST_USE tm_status tm_photo_open(uv_loop_t *loop, const tm_alloc *alloc,
                                    int directory, tm_span path,
                                    void (*done)(tm_photo_reader *reader),
                                    void *context, tm_photo_reader **reader);

// tm_photo_next - read the next piece; not while busy, not at the end.
void tm_photo_next(tm_photo_reader *reader);

// tm_photo_close - `done` is not called any more. NULL is fine.
void tm_photo_close(tm_photo_reader *reader);

#endif
