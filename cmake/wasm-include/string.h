// string.h - what the core may take from libc, for the target that has none. The bodies
// are in src/client/rt.c; clang calls them by itself too.
#ifndef TM_WASM_STRING_H
#define TM_WASM_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

#endif
