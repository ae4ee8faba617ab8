// request.h - what stores share: queues of requests, and a list's key as one run of
// bytes. A queue runs through the requests' own.next, so queueing needs no memory.
//
// Knows store.h.
#ifndef TM_STORE_REQUEST_H
#define TM_STORE_REQUEST_H

#include "store/store.h"

#include <string.h>

typedef enum tm_request { // own.kind
    TM_REQUEST_APPEND,
    TM_REQUEST_READ,
    TM_REQUEST_LOAD,
    TM_REQUEST_SAVE,
    TM_REQUEST_TRIM,
} tm_request;

// TM_REQUEST_OF - the request of this type whose `own` this is.
#define TM_REQUEST_OF(type, o)                                                     \
    ((type *)(void *)((uint8_t *)(o)-offsetof(type, own)))

typedef struct tm_queue { // zero-initialised = empty
    tm_store_own *first, *last;
} tm_queue;

static inline void tm_queue_push(tm_queue *queue, tm_store_own *own) {
    own->next = NULL;
    if (queue->last == NULL) {
        queue->first = own;
    } else {
        queue->last->next = own;
    }
    queue->last = own;
}

static inline tm_store_own *tm_queue_pop(tm_queue *queue) { // NULL: empty
    tm_store_own *own = queue->first;
    if (own == NULL) return NULL;
    queue->first = own->next;
    if (queue->first == NULL) queue->last = NULL;
    own->next = NULL;
    return own;
}

static inline tm_key tm_request_key(tm_store_own *own) {
    switch ((tm_request)own->kind) {
    case TM_REQUEST_APPEND:
        return TM_REQUEST_OF(tm_store_append, own)->key;
    case TM_REQUEST_READ:
        return TM_REQUEST_OF(tm_store_read, own)->key;
    case TM_REQUEST_LOAD:
        return TM_REQUEST_OF(tm_store_load, own)->key;
    case TM_REQUEST_SAVE:
        return TM_REQUEST_OF(tm_store_save, own)->key;
    case TM_REQUEST_TRIM:
        break;
    }
    return TM_REQUEST_OF(tm_store_trim, own)->key;
}

// A joined key: the length of `user` in one byte, user, list. No two keys join to the
// same bytes, whatever is in them.
#define TM_KEY_USER_MAX 128u
#define TM_KEY_LIST_MAX 64u
#define TM_KEY_MAX      (1u + TM_KEY_USER_MAX + TM_KEY_LIST_MAX)

static inline tm_span tm_key_join(tm_key key, uint8_t out[TM_KEY_MAX]) {
    TM_ASSERT(key.user.len > 0 && key.user.len <= TM_KEY_USER_MAX);
    TM_ASSERT(key.list.len > 0 && key.list.len <= TM_KEY_LIST_MAX);
    out[0] = (uint8_t)key.user.len;
    memcpy(out + 1, key.user.ptr, key.user.len);
    memcpy(out + 1 + key.user.len, key.list.ptr, key.list.len);
    return (tm_span){out, 1 + key.user.len + key.list.len};
}

// tm_key_split - the key that was joined; its spans point into `joined`.
static inline tm_key tm_key_split(tm_span joined) {
    size_t user_len = joined.ptr[0];
    return (tm_key){{joined.ptr + 1, user_len},
                    {joined.ptr + 1 + user_len, joined.len - 1 - user_len}};
}

#endif
