// file.h - small files, whole.
//
// Knows core/base.h.
#ifndef TM_CMD_FILE_H
#define TM_CMD_FILE_H

#include "core/base.h"

// tm_file_read - all of a file of at most `max` bytes. gives: free().
// false: errno says why (EFBIG: it is larger).
bool tm_file_read(const char *path, size_t max, uint8_t **bytes, size_t *len);

#endif
