// chunk.c - see chunk.h.
#include "net/chunk.h"

#define DIGITS_MAX 16 // hex digits of a 64-bit number

enum state {
    SIZE,      // hex digits
    EXTENSION, // after a semicolon
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LAST_CR, // after the chunk of size 0
    LAST_LF,
};

static int hex(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

static bool size(tm_chunk *chunk, uint8_t byte) {
    int digit = hex(byte);
    if (digit >= 0) {
        if (chunk->digits++ == DIGITS_MAX) return false;
        chunk->left = chunk->left << 4 | (uint64_t)digit;
        return true;
    }
    if (chunk->digits == 0) return false;
    if (byte == ';') chunk->state = EXTENSION;
    if (byte == '\r') chunk->state = SIZE_LF;
    return byte == ';' || byte == '\r';
}

static bool extension(tm_chunk *chunk, uint8_t byte) {
    if (byte == '\r') {
        chunk->state = SIZE_LF;
        return true;
    }
    bool printable = (byte >= 0x20 && byte < 0x7f) || byte == '\t';
    return printable && ++chunk->extension <= TM_CHUNK_EXTENSION_MAX;
}

static bool expect(tm_chunk *chunk, uint8_t byte, uint8_t want, enum state next) {
    chunk->state = (uint8_t)next;
    return byte == want;
}

// One byte that is not data; false = refused.
static bool step(tm_chunk *chunk, uint8_t byte) {
    switch ((enum state)chunk->state) {
    case SIZE:
        return size(chunk, byte);
    case EXTENSION:
        return extension(chunk, byte);
    case SIZE_LF:
        return expect(chunk, byte, '\n', chunk->left == 0 ? LAST_CR : DATA);
    case DATA_CR:
        return expect(chunk, byte, '\r', DATA_LF);
    case DATA_LF:
        chunk->digits = 0;
        return expect(chunk, byte, '\n', SIZE);
    case LAST_CR:
        return expect(chunk, byte, '\r', LAST_LF);
    case LAST_LF:
        chunk->over = true;
        return byte == '\n';
    case DATA:
        break;
    }
    TM_ASSERT(chunk->state != DATA); // data is taken in runs
    return false;
}

uint64_t tm_chunk_due(const tm_chunk *chunk) {
    return chunk->state == DATA ? chunk->left : 0;
}

tm_status tm_chunk_feed(tm_chunk *chunk, tm_span bytes, size_t *used,
                        tm_span *data) {
    size_t at = 0;
    *data = (tm_span){bytes.ptr, 0};
    while (!chunk->over && at < bytes.len) {
        if (chunk->state == DATA) {
            size_t rest = bytes.len - at;
            size_t len = rest < chunk->left ? rest : (size_t)chunk->left;
            *data = (tm_span){bytes.ptr + at, len};
            *used = at + len;
            chunk->left -= len;
            if (chunk->left == 0) chunk->state = DATA_CR;
            return TM_OK;
        }
        if (!step(chunk, bytes.ptr[at++])) {
            *used = at;
            return TM_E_CORRUPT;
        }
    }
    *used = at;
    return chunk->over ? TM_OK : TM_E_MORE;
}
