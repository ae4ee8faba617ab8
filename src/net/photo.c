// photo.c - see photo.h.
#include "net/photo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool at(tm_span begin, size_t offset, const char *text, size_t len) {
    return begin.len >= offset + len && memcmp(begin.ptr + offset, text, len) == 0;
}

const char *tm_photo_type(tm_span begin) {
    if (at(begin, 0, "\xff\xd8\xff", 3)) return "image/jpeg";
    if (at(begin, 0, "\x89PNG\r\n\x1a\n", 8)) return "image/png";
    if (at(begin, 0, "GIF87a", 6) || at(begin, 0, "GIF89a", 6)) return "image/gif";
    if (at(begin, 0, "RIFF", 4) && at(begin, 8, "WEBP", 4)) return "image/webp";
    return NULL;
}

// Opens `path` below the directory, one name at a time, following nothing.
static int open_below(int directory, char *path) {
    int from = directory, next = -1;
    for (char *name = path;;) {
        char *slash = strchr(name, '/');
        int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        if (slash != NULL) *slash = 0;
        next = openat(from, name, slash != NULL ? flags | O_DIRECTORY : flags);
        int error = errno;
        if (slash != NULL) *slash = '/';
        if (from != directory) (void)close(from);
        errno = error;
        if (next < 0 || slash == NULL) return next;
        from = next;
        name = slash + 1;
    }
}

static void photo_start(tm_photo_reader *reader) {
    struct stat about;
    reader->file = open_below(reader->directory, reader->path);
    if (reader->file < 0 || fstat(reader->file, &about) != 0) {
        reader->error = errno;
        return;
    }
    if (!S_ISREG(about.st_mode)) {
        reader->error = EINVAL;
        return;
    }
    reader->size = (uint64_t)about.st_size;
    reader->modified_ms = (uint64_t)about.st_mtim.tv_sec * 1000 +
                          (uint64_t)about.st_mtim.tv_nsec / 1000000;
}

// In a thread of the pool.
static void photo_read(uv_work_t *work) {
    tm_photo_reader *reader = work->data;
    if (reader->file < 0) photo_start(reader);
    reader->len = 0;
    while (reader->error == 0 && reader->len < TM_PHOTO_PIECE) {
        size_t want = TM_PHOTO_PIECE - reader->len;
        if (want > reader->size - reader->at)
            want = (size_t)(reader->size - reader->at);
        if (want == 0) break;
        ssize_t got = pread(reader->file, reader->piece + reader->len, want,
                            (off_t)reader->at);
        if (got <=
            0) { // shorter than it was: the length that was promised is wrong
            reader->error = got < 0 ? errno : EIO;
            break;
        }
        reader->len += (size_t)got;
        reader->at += (uint64_t)got;
    }
    if (reader->type == NULL && reader->error == 0) {
        reader->type = tm_photo_type((tm_span){reader->piece, reader->len});
        if (reader->type == NULL) reader->error = EINVAL; // not a photo any more
    }
}

static void photo_release(tm_photo_reader *reader) {
    const tm_alloc *alloc = reader->alloc;
    if (reader->file >= 0) (void)close(reader->file);
    tm_alloc_put(alloc, reader->path, strlen(reader->path) + 1);
    tm_alloc_put(alloc, reader->piece, TM_PHOTO_PIECE);
    tm_alloc_put(alloc, reader, sizeof *reader);
}

static void photo_was_read(uv_work_t *work, int status) {
    tm_photo_reader *reader = work->data;
    (void)status;
    reader->busy = false;
    if (reader->done == NULL) {
        photo_release(reader);
    } else {
        reader->done(reader);
    }
}

void tm_photo_next(tm_photo_reader *reader) {
    TM_ASSERT(!reader->busy);
    reader->work.data = reader;
    reader->busy =
        uv_queue_work(reader->loop, &reader->work, photo_read, photo_was_read) == 0;
    TM_ASSERT(reader->busy);
}

tm_status tm_photo_open(uv_loop_t *loop, const tm_alloc *alloc, int directory,
                        tm_span path, void (*done)(tm_photo_reader *reader),
                        void *context, tm_photo_reader **reader) {
    tm_photo_reader *fresh = tm_alloc_get(alloc, sizeof *fresh);
    if (fresh == NULL) return TM_E_NOMEM;
    fresh->path = tm_alloc_get(alloc, path.len + 1);
    fresh->piece = tm_alloc_get(alloc, TM_PHOTO_PIECE);
    if (fresh->path == NULL || fresh->piece == NULL) {
        tm_alloc_put(alloc, fresh->path, path.len + 1);
        tm_alloc_put(alloc, fresh->piece, TM_PHOTO_PIECE);
        tm_alloc_put(alloc, fresh, sizeof *fresh);
        return TM_E_NOMEM;
    }
    memcpy(fresh->path, path.ptr, path.len);
    fresh->loop = loop;
    fresh->alloc = alloc;
    fresh->directory = directory;
    fresh->file = -1;
    fresh->done = done;
    fresh->context = context;
    tm_photo_next(fresh);
    *reader = fresh;
    return TM_OK;
}

void tm_photo_close(tm_photo_reader *reader) {
    if (reader == NULL) return;
    reader->done = NULL;
    if (!reader->busy) photo_release(reader);
}
