// file.h - small files, whole.
//
// Knows core/base.h.
#ifndef TM_CMD_FILE_H
#define TM_CMD_FILE_H

#include "core/base.h"

// tm_file_read - all of a file of at most `max` bytes. gives: free().
// false: errno says why (EFBIG: it is larger).
bool tm_file_read(const char *path, size_t max, uint8_t **bytes, size_t *len);

// tm_file_write - make it anew. false: errno says why; a part may be there.
bool tm_file_write(const char *path, tm_span bytes);

#endif
