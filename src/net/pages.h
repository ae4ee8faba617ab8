// pages.h - the embedded pages, by name.
//
// A path is percent-decoded once and then looked up, whole and exactly, in the table that
// the build made: what is not a name in it is 404, be it "..", a NUL, a backslash or ten
// thousand slashes. "/" is "/index.html".
//
// Every page has an ETag, from its bytes. What the page's own build names by a hash of
// its content (below /assets/) may be kept for ever; all else is asked for anew each
// time, and answered 304 when it is the same.
//
// Knows net/assets.h, net/request.h, libcrypto (SHA-256). TRUST 2 rows 21 and 27.
#ifndef TM_NET_PAGES_H
#define TM_NET_PAGES_H

#include "core/alloc.h"
#include "net/assets.h"
#include "net/request.h"

#define TM_ETAG_LEN 34u // a quote, 32 hex digits, a quote

// What a page may do: itself and our wasm, nothing from elsewhere, no inline script, and
// no text may become markup.
#define TM_CSP_PAGE                                                                \
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " \
    "img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; "        \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "                \
    "require-trusted-types-for 'script'"
// What is no page may do nothing at all, wherever a browser is made to show it.
#define TM_CSP_DATA "default-src 'none'; frame-ancestors 'none'; sandbox"

typedef struct tm_pages {
    const tm_asset *assets; // keeps
    size_t count;
    char (*etags)[TM_ETAG_LEN + 1];
} tm_pages;

// tm_pages_init - `assets` is kept; `alloc` borrows.
TM_MUST_USE tm_status tm_pages_init(tm_pages *pages, const tm_alloc *alloc,
                                    const tm_asset *assets, size_t count);
void tm_pages_deinit(tm_pages *pages, const tm_alloc *alloc);

// tm_pages_find - the page that a path names, as sent, without the query. NULL = none.
const tm_asset *tm_pages_find(const tm_pages *pages, tm_span path);

// tm_pages_etag - lent, NUL-terminated.
const char *tm_pages_etag(const tm_pages *pages, const tm_asset *asset);

// tm_pages_immutable - is it named by its content?
bool tm_pages_immutable(const tm_asset *asset);

// tm_accepts_gzip - would this client take gzip? Without Accept-Encoding any coding is
// welcome (RFC 9110 12.5.3).
bool tm_accepts_gzip(const tm_http_request *request);

// tm_etag_known - does If-None-Match name this ETag? Weak comparison (RFC 9110 13.1.2).
bool tm_etag_known(const tm_http_request *request, const char *etag);

#endif
