// photos.c - see photos.h.
#include "net/photos.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/json.h"

#define PATH_LEN_MAX 1024u // bytes of a path below the directory

// A catalogue is made by a thread of the pool and never changed afterwards. Its memory
// is malloc's own, which any thread may ask.
typedef struct catalogue {
    tm_photo *items; // sorted by path
    size_t count, cap;
    const tm_photo **by_id;
} catalogue;

struct tm_photos {
    const tm_alloc *alloc;
    uv_loop_t *loop;
    void (*changed)(void *context);
    void *context;
    int directory;
    catalogue *shown;  // NULL until the first reading
    catalogue *making; // the thread's, while `busy`
    uv_work_t work;
    bool busy;
    uint64_t read_ms;
};

// ---- Reading the directory, in a thread of the pool -------------------------------------

static void id_of(const char *path, uint8_t id[TM_PHOTO_ID_LEN]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[EVP_MAX_MD_SIZE] = {0};
    (void)EVP_Digest(path, strlen(path), hash, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < TM_PHOTO_ID_LEN; i++) {
        id[i] = (uint8_t)digits[hash[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0x0f];
    }
}

static void catalogue_free(catalogue *of) {
    if (of == NULL) return;
    for (size_t i = 0; i < of->count; i++) {
        free((void *)(uintptr_t)of->items[i].path.ptr);
    }
    free(of->items);
    free((void *)of->by_id);
    free(of);
}

static bool catalogue_add(catalogue *to, const char *path, const char *type,
                          uint64_t bytes) {
    if (to->count == to->cap) {
        size_t cap = to->cap == 0 ? 64 : to->cap * 2;
        tm_photo *grown = realloc(to->items, cap * sizeof *grown);
        if (grown == NULL) return false;
        to->items = grown;
        to->cap = cap;
    }
    size_t len = strlen(path);
    char *copy = malloc(len + 1);
    if (copy == NULL) return false;
    memcpy(copy, path, len + 1);
    tm_photo *item = &to->items[to->count++];
    *item = (tm_photo){
        .path = {(const uint8_t *)copy, len}, .bytes = bytes, .type = type};
    id_of(path, item->id);
    return true;
}

// The file `name` of the open directory, if it is a photo.
static bool file_add(catalogue *to, int directory, const char *name,
                     const char *path) {
    int file =
        openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return true; // gone again, or not ours to read
    uint8_t magic[TM_PHOTO_MAGIC];
    struct stat about;
    bool fine = true;
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode)) {
        ssize_t len = read(file, magic, sizeof magic);
        const char *type =
            len > 0 ? tm_photo_type((tm_span){magic, (size_t)len}) : NULL;
        if (type != NULL)
            fine = catalogue_add(to, path, type, (uint64_t)about.st_size);
    }
    (void)close(file);
    return fine;
}

// Reads one directory. `path` holds its name, `len` bytes of it, and is built upon; takes
// `directory`, an open descriptor. False = out of memory.
static bool directory_read(catalogue *to, int directory, char *path, size_t len,
                           unsigned depth) {
    DIR *entries = fdopendir(directory);
    if (entries == NULL) {
        (void)close(directory);
        return true;
    }
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(entries)) != NULL;) {
        size_t name_len = strlen(entry->d_name), at = len;
        struct stat about;
        if (entry->d_name[0] == '.' || to->count == TM_PHOTOS_MAX) continue;
        if (len + name_len + 2 > PATH_LEN_MAX) continue;
        if (fstatat(dirfd(entries), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) !=
            0)
            continue;
        if (at > 0) path[at++] = '/';
        memcpy(path + at, entry->d_name, name_len + 1);
        if (S_ISREG(about.st_mode)) {
            fine = file_add(to, dirfd(entries), entry->d_name, path);
        } else if (S_ISDIR(about.st_mode) && depth < TM_PHOTOS_DEPTH_MAX) {
            int below = openat(dirfd(entries), entry->d_name,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0)
                fine = directory_read(to, below, path, at + name_len, depth + 1);
        }
        path[len] = 0;
    }
    (void)closedir(entries);
    return fine;
}

static int by_path(const void *a, const void *b) {
    const tm_photo *one = a, *other = b;
    return tm_span_cmp(one->path, other->path);
}

static int by_id(const void *a, const void *b) {
    const tm_photo *one = *(const tm_photo *const *)a;
    const tm_photo *other = *(const tm_photo *const *)b;
    return memcmp(one->id, other->id, TM_PHOTO_ID_LEN);
}

static void scan(uv_work_t *work) {
    tm_photos *photos = work->data;
    catalogue *made = calloc(1, sizeof *made);
    char path[PATH_LEN_MAX] = "";
    // "." anew each time: a descriptor's place in its directory is shared by its copies.
    int directory =
        openat(photos->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = made != NULL && directory >= 0;
    if (!fine && directory >= 0) (void)close(directory);
    fine = fine && directory_read(made, directory, path, 0, 0);
    if (fine) made->by_id = malloc((made->count + 1) * sizeof *made->by_id);
    if (!fine || made->by_id == NULL) {
        catalogue_free(made);
        photos->making = NULL;
        return;
    }
    if (made->count > 0)
        qsort(made->items, made->count, sizeof *made->items, by_path);
    for (size_t i = 0; i < made->count; i++)
        made->by_id[i] = &made->items[i];
    qsort((void *)made->by_id, made->count, sizeof *made->by_id, by_id);
    photos->making = made;
}

// ---- On the loop ------------------------------------------------------------------------

static void scanned(uv_work_t *work, int status) {
    tm_photos *photos = work->data;
    (void)status;
    photos->busy = false;
    photos->read_ms = uv_now(photos->loop);
    if (photos->making != NULL) {
        catalogue_free(photos->shown);
        photos->shown = photos->making;
        photos->making = NULL;
    }
    photos->changed(photos->context);
}

static void scan_start(tm_photos *photos) {
    if (photos->busy) return;
    photos->work.data = photos;
    photos->busy = uv_queue_work(photos->loop, &photos->work, scan, scanned) == 0;
}

bool tm_photos_look(tm_photos *photos) {
    if (photos->shown == NULL ||
        uv_now(photos->loop) - photos->read_ms >= TM_PHOTOS_FRESH_MS)
        scan_start(photos);
    return photos->shown != NULL;
}

tm_status tm_photos_new(uv_loop_t *loop, const tm_alloc *alloc,
                        const char *directory, void (*changed)(void *context),
                        void *context, tm_photos **photos) {
    int opened = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0) return TM_E_IO;
    tm_photos *fresh = tm_alloc_get(alloc, sizeof *fresh);
    if (fresh == NULL) {
        (void)close(opened);
        return TM_E_NOMEM;
    }
    fresh->alloc = alloc;
    fresh->loop = loop;
    fresh->changed = changed;
    fresh->context = context;
    fresh->directory = opened;
    scan_start(fresh);
    *photos = fresh;
    return TM_OK;
}

void tm_photos_free(tm_photos *photos) {
    if (photos == NULL) return;
    TM_ASSERT(!photos->busy);
    catalogue_free(photos->shown);
    (void)close(photos->directory);
    tm_alloc_put(photos->alloc, photos, sizeof *photos);
}

size_t tm_photos_count(const tm_photos *photos) {
    return photos->shown == NULL ? 0 : photos->shown->count;
}

const tm_photo *tm_photos_find(const tm_photos *photos, tm_span id) {
    if (photos->shown == NULL || id.len != TM_PHOTO_ID_LEN) return NULL;
    tm_photo wanted;
    memcpy(wanted.id, id.ptr, TM_PHOTO_ID_LEN);
    const tm_photo *key = &wanted;
    const tm_photo **found =
        bsearch((const void *)&key, (const void *)photos->shown->by_id,
                photos->shown->count, sizeof *photos->shown->by_id, by_id);
    return found == NULL ? NULL : *found;
}

// A file's name is bytes; what is not UTF-8 in it is shown as a question mark.
static void write_name(tm_buf *out, tm_span path) {
    uint8_t shown[PATH_LEN_MAX];
    size_t len = 0;
    while (path.len > 0 && len < sizeof shown) {
        size_t take = 1;
        while (take < 4 && take < path.len && (path.ptr[take] & 0xc0) == 0x80)
            take++;
        bool text = tm_utf8_valid((tm_span){path.ptr, take});
        if (!text) take = 1;
        if (len + take > sizeof shown) break;
        if (text) {
            memcpy(shown + len, path.ptr, take);
            len += take;
        } else {
            shown[len++] = '?';
        }
        path = (tm_span){path.ptr + take, path.len - take};
    }
    tm_buf_json(out, (tm_span){shown, len});
}

void tm_photos_write(const tm_photos *photos, tm_buf *out) {
    tm_buf_text(out, "{\"photos\":[");
    for (size_t i = 0; i < tm_photos_count(photos); i++) {
        const tm_photo *item = &photos->shown->items[i];
        tm_buf_text(out, i == 0 ? "{\"imageId\":\"" : ",{\"imageId\":\"");
        tm_buf_put(out, (tm_span){item->id, TM_PHOTO_ID_LEN});
        tm_buf_text(out, "\",\"name\":");
        write_name(out, item->path);
        tm_buf_text(out, ",\"type\":\"");
        tm_buf_text(out, item->type);
        tm_buf_text(out, "\",\"bytes\":");
        tm_buf_u64(out, item->bytes);
        tm_buf_text(out, "}");
    }
    tm_buf_text(out, "]}");
}

tm_status tm_photos_open(const tm_photos *photos, const tm_photo *photo,
                         void (*done)(tm_photo_reader *reader), void *context,
                         tm_photo_reader **reader) {
    return tm_photo_open(photos->loop, photos->alloc, photos->directory,
                         photo->path, done, context, reader);
}
