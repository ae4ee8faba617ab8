// photos.h - the labeler's catalogue: the photos below one directory of this machine.
//
// The directory is read in libuv's thread pool, at the start and whenever the catalogue is
// asked for and is older than TM_PHOTOS_FRESH_MS; until the new one is complete the old
// one answers. A photo's imageId is the first half of SHA-256 of its path below the
// directory, in hex: it is the same after a restart, and it is the only thing a request
// can say. No path ever comes from a request (TRUST 2, row 21).
//
// Names that begin with a dot, symbolic links, and files that do not begin like a photo
// are passed over.
//
// Knows core/, net/photo.h, libuv, libcrypto (SHA-256).
#ifndef TM_NET_PHOTOS_H
#define TM_NET_PHOTOS_H

#include "core/buf.h"
#include "net/photo.h"

#define TM_PHOTO_ID_LEN     32u
#define TM_PHOTOS_MAX       20000u // in one catalogue; what a page can show, and more
#define TM_PHOTOS_DEPTH_MAX 16u    // directories below the directory
#define TM_PHOTOS_FRESH_MS  2000u

typedef struct tm_photos tm_photos;

typedef struct tm_photo {
    uint8_t id[TM_PHOTO_ID_LEN];
    tm_span path; // below the directory, as the file system has it; NUL behind it
    uint64_t bytes;
    const char *type; // a literal
} tm_photo;

// tm_photos_new - gives: tm_photos_free. Begins to read the directory.
//   alloc       keeps
//   directory   borrows
//   changed     called on the loop when a reading is complete
// TM_E_IO: the directory cannot be opened.
TM_MUST_USE tm_status tm_photos_new(uv_loop_t *loop, const tm_alloc *alloc,
                                    const char *directory,
                                    void (*changed)(void *context), void *context,
                                    tm_photos **photos);

// tm_photos_free - the loop must have no work of ours left: it ran until it was done.
void tm_photos_free(tm_photos *photos);

// tm_photos_look - begin to read the directory anew, unless that is under way or was done
// just now. Returns whether there is a catalogue to answer from.
bool tm_photos_look(tm_photos *photos);

// tm_photos_write - the catalogue, sorted by path:
//   {"photos":[{"imageId":"...","name":"trip/one.jpg","type":"image/jpeg","bytes":9}]}
void tm_photos_write(const tm_photos *photos, tm_buf *out);

// tm_photos_find - NULL = no such photo. Lent until the next `changed`.
const tm_photo *tm_photos_find(const tm_photos *photos, tm_span id);

size_t tm_photos_count(const tm_photos *photos);

// tm_photos_open - begin to read one; see photo.h. gives: tm_photo_close.
TM_MUST_USE tm_status tm_photos_open(const tm_photos *photos, const tm_photo *photo,
                                     void (*done)(tm_photo_reader *reader),
                                     void *context, tm_photo_reader **reader);

#endif
