// aws_sign.h - Signature Version 4: who asks an AWS service, and for what exactly.
//
//     signature = HMAC(key of day, region and service, "AWS4-HMAC-SHA256" / time / scope /
//                      SHA-256(canonical request))
//
// The canonical request has the method, the path escaped once more than on the wire, the
// query sorted, the headers in lower case and sorted, and the hash of the body; the rules
// are AWS's "Create a signed AWS API request". The path is normalised (no dot segments, no
// empty ones), as every service but S3 wants it.
//
// Knows core/.
#ifndef TM_STORE_AWS_SIGN_H
#define TM_STORE_AWS_SIGN_H

#include "core/buf.h"

#define TM_AWS_HEADERS_MAX 16u // in one request, those of the signature too
#define TM_AWS_QUERY_MAX   64u // parameters in one request

typedef struct tm_aws_keys {
    tm_span id, secret;
    tm_span token; // of temporary keys; empty = these are not temporary
} tm_aws_keys;

typedef struct tm_aws_header {
    tm_span name, value;
} tm_aws_header;

// A request as it goes over the wire. `headers` are all that shall be signed; Host must be
// among them, X-Amz-Date and X-Amz-Security-Token must not: the signature brings them.
typedef struct tm_aws_request {
    tm_span method;      // "POST"
    tm_span path, query; // as sent: "/a%20b", "x=1&y" (without the question mark)
    const tm_aws_header *headers;
    size_t headers_count; // at most TM_AWS_HEADERS_MAX - 2
    tm_span body;
} tm_aws_request;

// What the key is made for, beside the day.
typedef struct tm_aws_scope {
    tm_span region, service; // "eu-central-1", "dynamodb"
} tm_aws_scope;

#define TM_AWS_DATE_LEN 16u // "20150830T123600Z"

// tm_aws_sign - the headers that make the request good.
//   wall_ms   now; the service refuses what is some minutes off
//   date      receives the value of X-Amz-Date, with a NUL behind it
//   out       the value of Authorization is appended
// TM_E_NOMEM. TM_E_RANGE: too many headers or parameters, or a year beyond 9999. `out` is
// then as it was.
TM_MUST_USE tm_status tm_aws_sign(const tm_aws_keys *keys,
                                  const tm_aws_scope *scope, uint64_t wall_ms,
                                  const tm_aws_request *request,
                                  char date[TM_AWS_DATE_LEN + 1], tm_buf *out);

#endif
