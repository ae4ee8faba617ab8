// bell_talk.h - what is said to Redis and what it says, without sockets. See bell.h.
//
// hiredis writes the commands and reads the replies. Its asynchronous part is not used:
// that asserts what a reply must look like, and here a reply is bytes from outside like
// all others. Nor do its replies allocate: of each one little place is kept, what is too
// long or too deep for it is no reply of ours, and the connection ends.
//
// Knows service/doorbell.h, hiredis.
#ifndef TM_NET_BELL_TALK_H
#define TM_NET_BELL_TALK_H

#include <hiredis/hiredis.h>

#include "service/doorbell.h"

#define TM_BELL_ITEMS_MAX 3u
#define TM_BELL_TEXT_MAX  256u        // head, list and user take less
#define TM_BELL_READ_MAX  (64u << 10) // of a reply that is not whole yet

// redis://[user][:password@]host[:port][/number], or valkey:// the same.
typedef struct tm_bell_url {
    char host[256], user[128], password[256];
    uint16_t port;
    uint32_t database;
} tm_bell_url;

// tm_bell_url_read - `problem` receives a sentence for people when it is none.
bool tm_bell_url_read(const char *text, tm_bell_url *url, char problem[256]);

// ---- replies --------------------------------------------------------------------------

typedef enum tm_bell_kind {
    TM_BELL_TEXT, // a string or a status
    TM_BELL_INTEGER,
    TM_BELL_NIL,
    TM_BELL_ERROR,
    TM_BELL_ARRAY,
} tm_bell_kind;

typedef struct tm_bell_item {
    tm_bell_kind kind;
    size_t len;
    char text[TM_BELL_TEXT_MAX];
} tm_bell_item;

typedef struct tm_bell_reply {
    tm_bell_item root; // of an ARRAY without text
    tm_bell_item items[TM_BELL_ITEMS_MAX];
    uint32_t count;
} tm_bell_reply;

typedef struct tm_bell_reader {
    redisReader *reader; // NULL = none
    tm_bell_reply reply; // the one being read
} tm_bell_reader;

// tm_bell_reader_start - a connection begins. false: no memory.
bool tm_bell_reader_start(tm_bell_reader *reader);
void tm_bell_reader_stop(tm_bell_reader *reader);
// tm_bell_reader_feed - false: these are not the bytes of a Redis, or too many.
bool tm_bell_reader_feed(tm_bell_reader *reader, const char *bytes, size_t len);
// tm_bell_reader_next - a reply, lent until the next call; NULL: no whole one. `good`
// becomes false where there never will be one.
const tm_bell_reply *tm_bell_reader_next(tm_bell_reader *reader, bool *good);

// tm_bell_head_read - "57 selected-images ann", as it is rung. Anything may stand there.
bool tm_bell_head_read(tm_span text, tm_key *key, uint64_t *head);

// ---- commands -------------------------------------------------------------------------

// Failure is in out->status.
void tm_bell_put(tm_buf *out, uint32_t count, const tm_span *words);

// tm_bell_put_ring - raises `field` of the hash to `head`, never down, and tells the
// channel. tm_bell_put_ask - answered by [field, head].
//   prefix   of the names of both, NUL-terminated
void tm_bell_put_ring(tm_buf *out, const char *prefix, tm_span field,
                      uint64_t head);
void tm_bell_put_ask(tm_buf *out, const char *prefix, tm_span field);
void tm_bell_put_subscribe(tm_buf *out, const char *prefix);

#endif
