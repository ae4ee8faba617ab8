// request.h - an HTTP request head, read: method, target, fields.
//
// http-parser does the reading, of a head that head.h has passed and that is here whole.
// Nothing is copied: all spans point into it. Where the body lies is not asked of the
// parser: head.h knows, and chunk.h takes it apart.
//
// Knows net/head.h, http-parser.
#ifndef TM_NET_REQUEST_H
#define TM_NET_REQUEST_H

#include "net/head.h"

typedef enum tm_http_method {
    TM_HTTP_GET,
    TM_HTTP_HEAD,
    TM_HTTP_POST,
    TM_HTTP_PUT,
    TM_HTTP_OPTIONS,
    TM_HTTP_OTHER, // known to HTTP, used by nobody here
} tm_http_method;

typedef struct tm_http_field {
    tm_span name, value; // the value without white space around it
} tm_http_field;

typedef struct tm_http_request {
    tm_http_method method;
    bool http_1_1;
    bool keep_alive; // by version and Connection
    tm_span path;    // of the target, as sent; begins with "/", or is "*"
    tm_span query;   // behind the "?", as sent; null if there is none
    tm_http_field fields[TM_HEAD_LINES_MAX];
    size_t field_count;
} tm_http_request;

// tm_request_read - read a whole head.
//   head   borrows, and lends from: exactly what tm_head_feed counted
// TM_E_CORRUPT: http-parser refuses it (a method it does not know, say).
TM_MUST_USE tm_status tm_request_read(tm_span head, tm_http_request *request);

// tm_request_field - the value of the field `name` (lower case, a literal); null if it
// is not there. `count` receives how often it stands there, may be NULL.
tm_span tm_request_field(const tm_http_request *request, const char *name,
                         size_t *count);

// tm_request_lists - is `token` (lower case) an element of the comma-separated lists
// that all fields `name` make? Compared without case.
bool tm_request_lists(const tm_http_request *request, const char *name,
                      const char *token);

// tm_list_element - take the next element off a comma-separated list, without the white
// space around it. Empty elements are passed over. false = no more.
bool tm_list_element(tm_span *rest, tm_span *element);

// tm_span_is - equal without regard to case; `text` is a literal in lower case.
bool tm_span_is(tm_span span, const char *text);

#endif
