// file.c - see file.h.
#include "cmd/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP 65536u

static bool read_all(FILE *file, size_t max, uint8_t **bytes, size_t *len) {
    size_t cap = 0;
    *bytes = NULL;
    *len = 0;
    for (;;) {
        if (cap - *len < STEP) {
            cap = cap == 0 ? STEP : 2 * cap;
            uint8_t *more = realloc(*bytes, cap);
            if (more == NULL) return false;
            *bytes = more;
        }
        size_t got = fread(*bytes + *len, 1, cap - *len, file);
        *len += got;
        if (*len > max) {
            errno = EFBIG;
            return false;
        }
        if (got == 0) return ferror(file) == 0;
    }
}

bool tm_file_read(const char *path, size_t max, uint8_t **bytes, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    bool done = read_all(file, max, bytes, len);
    int error = errno;
    (void)fclose(file);
    if (!done) {
        free(*bytes);
        *bytes = NULL;
        errno = error;
    }
    return done;
}

bool tm_file_write(const char *path, tm_span bytes) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) return false;
    bool written = fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len;
    return fclose(file) == 0 && written;
}
