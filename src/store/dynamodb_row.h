// dynamodb_row.h - the shapes of keys and rows; docs/STORAGE.md has them as tables.
//
//   user_id        the user's bytes with % and # (and what no String may hold: controls,
//                  and every byte above 0x7f of a user that is not UTF-8) as %XX; then,
//                  for any list but "selected-images", # and the list's bytes likewise
//   operation_id   the first seq of the batch, sixteen digits
//   a text         {"S":...} if it is UTF-8, else {"B":...}: the same bytes come back
//
// Knows store.h.
#ifndef TM_STORE_DYNAMODB_ROW_H
#define TM_STORE_DYNAMODB_ROW_H

#include "core/json.h"
#include "store/store.h"

#define TM_DYNAMODB_USER_ID_MAX   (3u * (128u + 64u) + 1u) // bytes
#define TM_DYNAMODB_BATCH_ID_LEN  16u
#define TM_DYNAMODB_OPERATION_ID  "operation_id"
#define TM_DYNAMODB_STATE_ID      "state_id"
#define TM_DYNAMODB_CURRENT       "current"
#define TM_DYNAMODB_CONNECTION_ID "connection_id" // connection # list

// tm_dynamodb_user_id_put - the text, without quotes; it needs no escapes in JSON but
// those of a quote and a backslash, so write it with tm_buf_json.
void tm_dynamodb_user_id_put(tm_buf *out, tm_key key);

// tm_dynamodb_user_id_read - back; `room` receives the bytes that `key` points into.
// false: nobody of us wrote that.
bool tm_dynamodb_user_id_read(tm_span user_id,
                              uint8_t room[TM_DYNAMODB_USER_ID_MAX + 16],
                              tm_key *key);

// tm_dynamodb_seq_put - sixteen digits in quotes.
void tm_dynamodb_seq_put(tm_buf *out, uint64_t seq);

// tm_dynamodb_bytes_put - `"name":{"S":"..."}` or `"name":{"B":"..."}`.
void tm_dynamodb_bytes_put(tm_buf *out, const char *name, tm_span bytes);

// tm_dynamodb_binary_put, tm_dynamodb_number_put - the same as B, as N.
void tm_dynamodb_binary_put(tm_buf *out, const char *name, tm_span bytes);
void tm_dynamodb_number_put(tm_buf *out, const char *name, uint64_t number);

// tm_dynamodb_value_read - the value of an attribute, `{"S":...}`, `{"B":...}` or
// `{"N":"..."}`: S and N as text, B decoded into the arena; lent from source or arena.
tm_span tm_dynamodb_value_read(tm_json *in);

// tm_dynamodb_number - of an N's digits. false: not a plain integer.
bool tm_dynamodb_number(tm_span digits, uint64_t *number);

typedef struct tm_dynamodb_row { // of the operations table
    tm_span user_id;
    tm_batch batch;
    tm_span batch_id;
} tm_dynamodb_row;

// tm_dynamodb_row_put - the batch as an item: `{...}`.
void tm_dynamodb_row_put(tm_buf *out, tm_key key, const tm_batch *batch,
                         const uint8_t batch_id[TM_DYNAMODB_BATCH_ID_LEN]);

// tm_dynamodb_row_read - an item, or what a projection left of it. What is not ours fails
// the reader. Spans are lent from source or arena.
void tm_dynamodb_row_read(tm_json *in, tm_dynamodb_row *row);

#endif
