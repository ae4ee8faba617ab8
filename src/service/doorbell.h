// doorbell.h - how servers on one store tell each other that a list has grown.
//
// Several servers may append to one store. Which of them is right the store alone decides,
// by its conditional append; the doorbell only saves the others from asking it all the
// time. It carries a list's name and a number, never data, and may lose, repeat, reorder
// or invent both: what it says makes a server read the store, and nothing else.
//
//   ring   after an append, an opening, a re-reading, and an answer `duplicate`: raises the
//          list's head where all can see it, and tells whoever is awake
//   ask    at a SUBSCRIBE: what is the head there?
//
// Both begin something and return; they are called inside the service and must not call
// back into it. What comes of them arrives later, between two calls:
//
//   tm_service_rung       a ring of another server, or the answer to `ask`
//   tm_service_doorbell   it is there, or it is away
//
// While it is away (or there is none, and the store is shared all the same) a list that
// somebody listens to is read every 5 s for a minute after something happened to it, then
// ever more rarely, up to every 60 s; and whoever asks is answered from what was read at
// most 5 s ago. When it comes back, every list is read once before memory is believed
// again: what was rung meanwhile is lost. DESIGN 5; watch.c.
//
// Knows store/store.h.
#ifndef TM_SERVICE_DOORBELL_H
#define TM_SERVICE_DOORBELL_H

#include "store/store.h"

typedef struct tm_doorbell {
    // `key` is borrowed. Neither can fail: what cannot be sent is lost.
    void (*ring)(void *context, tm_key key, uint64_t head);
    void (*ask)(void *context, tm_key key);
    void *context; // keeps
} tm_doorbell;

struct tm_service;

// tm_service_doorbell - from now on it is there, and every ring from now on is heard; NULL:
// it is away. Needs `shared` in the configuration.
//   bell   keeps
void tm_service_doorbell(struct tm_service *service, tm_now now,
                         const tm_doorbell *bell);

// tm_service_rung - somebody says that the list's head is (at least) this. Anything may be
// said here; a name that is none is ignored.
void tm_service_rung(struct tm_service *service, tm_now now, tm_key key,
                     uint64_t head);

#endif
