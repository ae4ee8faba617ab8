// aws_credentials.h - whose keys sign: found where every program of AWS's looks for them,
// in this order, and the first place that has any decides:
//
//   environment   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   shared files  ~/.aws/credentials and ~/.aws/config, the profile AWS_PROFILE or
//                 "default"; AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE name others
//   container     AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, or _FULL_URI (https, or an
//                 address of this machine), with AWS_CONTAINER_AUTHORIZATION_TOKEN or
//                 the file _TOKEN_FILE names
//   instance      the metadata service of EC2, version 2 alone, unless
//                 AWS_EC2_METADATA_DISABLED is true
//
// Keys that expire are fetched again five minutes before they do, in the background; the
// old ones are handed out meanwhile, and until they expire if that fails.
//
// Knows store/aws_http.h, store/aws_sign.h.
#ifndef TM_STORE_AWS_CREDENTIALS_H
#define TM_STORE_AWS_CREDENTIALS_H

#include "store/aws_http.h"
#include "store/aws_sign.h"

typedef struct tm_aws_config {
    const tm_alloc *alloc; // keeps
    tm_http *http;         // keeps
    // The environment: NULL = not set. The text is copied at once.
    const char *(*env)(void *context, const char *name);
    void *env_context; // keeps
} tm_aws_config;

typedef struct tm_aws_credentials tm_aws_credentials;

// tm_aws_credentials_new - knows nothing yet; asks when it is asked. gives:
// tm_aws_credentials_free, once the http is closed.
TM_MUST_USE tm_status tm_aws_credentials_new(const tm_aws_config *config,
                                             tm_aws_credentials **credentials);
void tm_aws_credentials_free(tm_aws_credentials *credentials);

// tm_aws_credentials_get - the keys to sign with now, lent.
// TM_E_MORE: they are being fetched; `ready` below will be called. TM_E_STATE: there are
// none, tm_aws_credentials_why says why; asked again some seconds later, it looks again.
TM_MUST_USE tm_status tm_aws_credentials_get(tm_aws_credentials *credentials,
                                             tm_aws_keys *keys);

// tm_aws_credentials_ready - whom to call, from tm_http_poll, when a fetch that somebody
// was told TM_E_MORE about is over, well or badly.
void tm_aws_credentials_ready(tm_aws_credentials *credentials,
                              void (*ready)(void *context), void *context);

// tm_aws_credentials_refused - the service did not accept these keys. They are looked for
// again, but not if that was done in the last seconds. Whether it is worth another try.
bool tm_aws_credentials_refused(tm_aws_credentials *credentials);

// tm_aws_credentials_why - what is wrong, and what to do, in a sentence for people; lent.
const char *tm_aws_credentials_why(const tm_aws_credentials *credentials);

// tm_aws_region - AWS_REGION, AWS_DEFAULT_REGION, or the profile's. Empty: nobody says.
//   region   receives it, with a NUL
void tm_aws_region(const tm_aws_config *config, char region[64]);

// tm_aws_profile_find - the value of `key` in the section of an INI file; empty = none.
// Exposed for its tests.
tm_span tm_aws_profile_find(tm_span file, const char *section, const char *key);

#endif
