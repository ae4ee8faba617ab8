// access.h - which Host a request may name, and which Origin it may come from.
//
// A page of another site can make a person's browser send requests here, and open
// WebSockets: the browser then says so in Origin, which no page can forge. And a name
// that an attacker owns can be made to point at 127.0.0.1 (DNS rebinding): the request
// then carries that name in Host. Both are compared with a list, whole and exactly, with
// scheme and port: no suffixes, no patterns.
//
// A Host outside the list is answered 421, an Origin outside it 403, before anything else
// about the request is looked at. Without Origin it is no browser, and the token decides.
//
// Knows core/alloc.h. TRUST 2 rows 11 and 13.
#ifndef TM_NET_ACCESS_H
#define TM_NET_ACCESS_H

#include "core/alloc.h"

#define TM_ACCESS_MAX 64u // names in a list

// Zero-initialised but for `texts.alloc` = nobody may come.
typedef struct tm_access {
    tm_arena texts;
    tm_span hosts[TM_ACCESS_MAX], origins[TM_ACCESS_MAX];
    size_t host_count, origin_count;
} tm_access;

// tm_access_local - the names of this machine itself: localhost, 127.0.0.1 and [::1] at
// `port`, and http origins of the same.
TM_MUST_USE tm_status tm_access_local(tm_access *access, uint16_t port);

// tm_access_origin_add - "https://photos.example" or "http://10.0.0.2:8080", borrowed; its
// host may then be named, too. TM_E_RANGE: that is no origin (a path, no scheme, capital
// letters), or the list is full.
TM_MUST_USE tm_status tm_access_origin_add(tm_access *access, tm_span origin);

// tm_access_host_add - "photos.example:8443", borrowed. TM_E_RANGE as above.
TM_MUST_USE tm_status tm_access_host_add(tm_access *access, tm_span host);

void tm_access_deinit(tm_access *access);

// tm_access_host - may a request name this host? Without regard to case.
bool tm_access_host(const tm_access *access, tm_span host);

// tm_access_origin - may a page from there ask? Null (no such header): yes.
bool tm_access_origin(const tm_access *access, tm_span origin);

#endif
