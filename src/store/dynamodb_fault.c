// dynamodb_fault.c - see dynamodb_fault.h.
#include "store/dynamodb_fault.h"

#include <string.h>

#define ROLE   "check the role's policy (docs/STORAGE.md has one)"
#define SETIT  "this machine's clock is wrong: set it by NTP"
#define WHOSE  "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE"
#define CREATE "create the tables: tidemark tables create"

// The errors of the calls we make: API reference, "Common errors", "Error handling with
// DynamoDB", and of PutItem, GetItem, Query, Scan, DeleteItem, CreateTable, DescribeTable.
static const tm_dynamodb_fault faults[] = {
    {"ThrottlingException", TM_DYNAMODB_THROTTLED, NULL},
    {"Throttling", TM_DYNAMODB_THROTTLED, NULL},
    {"ThrottledException", TM_DYNAMODB_THROTTLED, NULL},
    {"ProvisionedThroughputExceededException", TM_DYNAMODB_THROTTLED, NULL},
    {"RequestLimitExceeded", TM_DYNAMODB_THROTTLED, NULL},
    {"LimitExceededException", TM_DYNAMODB_THROTTLED, NULL},
    {"TransactionConflictException", TM_DYNAMODB_THROTTLED, NULL},
    {"TransactionInProgressException", TM_DYNAMODB_THROTTLED, NULL},
    {"ReplicatedWriteConflictException", TM_DYNAMODB_THROTTLED, NULL},
    {"InternalServerError", TM_DYNAMODB_BUSY, NULL},
    {"InternalFailure", TM_DYNAMODB_BUSY, NULL},
    {"ServiceUnavailable", TM_DYNAMODB_BUSY, NULL},
    {"ConditionalCheckFailedException", TM_DYNAMODB_CONDITION, NULL},
    {"ExpiredTokenException", TM_DYNAMODB_KEYS, WHOSE},
    {"UnrecognizedClientException", TM_DYNAMODB_KEYS, WHOSE},
    {"InvalidClientTokenId", TM_DYNAMODB_KEYS, WHOSE},
    {"InvalidSignatureException", TM_DYNAMODB_KEYS, WHOSE},
    {"SignatureDoesNotMatch", TM_DYNAMODB_KEYS, WHOSE},
    {"MissingAuthenticationTokenException", TM_DYNAMODB_KEYS, WHOSE},
    {"MissingAuthenticationToken", TM_DYNAMODB_KEYS, WHOSE},
    {"IncompleteSignatureException", TM_DYNAMODB_KEYS, WHOSE},
    {"IncompleteSignature", TM_DYNAMODB_KEYS, WHOSE},
    {"RequestExpired", TM_DYNAMODB_CLOCK, SETIT},
    {"RequestTimeTooSkewed", TM_DYNAMODB_CLOCK, SETIT},
    {"AccessDeniedException", TM_DYNAMODB_DENIED, ROLE},
    {"AccessDenied", TM_DYNAMODB_DENIED, ROLE},
    {"NotAuthorized", TM_DYNAMODB_DENIED, ROLE},
    {"OptInRequired", TM_DYNAMODB_DENIED, "the account has no DynamoDB here"},
    {"KMSAccessDeniedException", TM_DYNAMODB_DENIED, ROLE},
    {"KMSDisabledException", TM_DYNAMODB_DENIED, "enable the table's key"},
    {"KMSInvalidStateException", TM_DYNAMODB_DENIED, "enable the table's key"},
    {"KMSNotFoundException", TM_DYNAMODB_DENIED, "restore the table's key"},
    {"KMSThrottlingException", TM_DYNAMODB_THROTTLED, NULL},
    {"ResourceNotFoundException", TM_DYNAMODB_NO_TABLE, CREATE},
    {"TableNotFoundException", TM_DYNAMODB_NO_TABLE, CREATE},
    {"ResourceInUseException", TM_DYNAMODB_TABLE_THERE, NULL},
    {"TableAlreadyExistsException", TM_DYNAMODB_TABLE_THERE, NULL},
    {"ItemCollectionSizeLimitExceededException", TM_DYNAMODB_TOO_LARGE, NULL},
    {"UnknownOperationException", TM_DYNAMODB_REFUSED,
     "is this endpoint DynamoDB?"},
    {"SerializationException", TM_DYNAMODB_REFUSED, NULL},
    {"ValidationException", TM_DYNAMODB_REFUSED,
     "is the table's key user_id and operation_id, both strings? tidemark tables "
     "check"},
};

// What the name does not say, the message does.
static const struct {
    const char *name, *words;
    tm_dynamodb_fault fault;
} messages[] = {
    {"InvalidSignatureException",
     "Signature expired",
     {"InvalidSignatureException", TM_DYNAMODB_CLOCK, SETIT}},
    {"InvalidSignatureException",
     "Signature not yet current",
     {"InvalidSignatureException", TM_DYNAMODB_CLOCK, SETIT}},
    {"ValidationException",
     "Item size",
     {"ValidationException", TM_DYNAMODB_TOO_LARGE, NULL}},
};

static const tm_dynamodb_fault throttled = {"", TM_DYNAMODB_THROTTLED, NULL};
static const tm_dynamodb_fault busy = {"", TM_DYNAMODB_BUSY, NULL};
static const tm_dynamodb_fault too_large = {"", TM_DYNAMODB_TOO_LARGE, NULL};
static const tm_dynamodb_fault refused = {"", TM_DYNAMODB_REFUSED,
                                          "is this endpoint DynamoDB?"};

static bool same(tm_span text, const char *word) {
    size_t len = strlen(word);
    return text.len == len && memcmp(text.ptr, word, len) == 0;
}

static bool has(tm_span text, const char *words) {
    size_t len = strlen(words);
    for (size_t at = 0; at + len <= text.len; at++) {
        if (memcmp(text.ptr + at, words, len) == 0) return true;
    }
    return false;
}

const tm_dynamodb_fault *tm_dynamodb_fault_of(uint32_t status, tm_span type,
                                              tm_span message) {
    for (size_t i = 0; i < type.len; i++) { // "com.amazonaws...#Name"
        if (type.ptr[i] != '#') continue;
        type = (tm_span){type.ptr + i + 1, type.len - i - 1};
        break;
    }
    // A 5xx is one whatever it calls itself: a write may have been done.
    if (status >= 500) return &busy;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        if (same(type, messages[i].name) && has(message, messages[i].words)) {
            return &messages[i].fault;
        }
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (same(type, faults[i].name)) return &faults[i];
    }
    if (status == 429) return &throttled;
    if (status == 413) return &too_large;
    return &refused;
}
