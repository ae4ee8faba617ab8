// assets.h - the pages and the wasm core, compiled into the program.
//
// The build makes the table (cmake/embed.cmake), sorted by path, so that a lookup is an
// exact match among names that we chose: no path from a request ever reaches a file
// system (TRUST 2, row 21).
//
// Knows core/base.h.
#ifndef TM_NET_ASSETS_H
#define TM_NET_ASSETS_H

#include "core/base.h"

typedef struct tm_asset {
    const char
        *path; // "/index.html", NUL-terminated; the order of the table, by bytes
    const char *type;     // its Content-Type
    const uint8_t *bytes; // as they are sent: gzipped unless that saved nothing
    size_t len;           // of those
    size_t raw_len;       // of the file
    bool gzipped;
} tm_asset;

extern const tm_asset tm_assets[]; // one more row, all zero, ends it
extern const size_t tm_assets_count;

#endif
