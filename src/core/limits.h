// limits.h - every limit that we chose, with its reason. What a format fixes stands
// beside its type.
#ifndef TM_CORE_LIMITS_H
#define TM_CORE_LIMITS_H

// SEMANTICS 8 and DESIGN 3, 4, 6: part of the protocol.
#define TM_BODY_MAX           (1u << 20) // a request body, a frame, a message: 1 MiB
#define TM_DEPTH_MAX          8u         // nesting of a request
#define TM_OP_DEPTH_MAX       4u         // nesting of one operation
#define TM_OP_MAX             (64u << 10)  // one operation, encoded
#define TM_PUSH_OPS_MAX       100u         // operations in one push
#define TM_PUSH_BYTES_MAX     (256u << 10) // a client cuts a push here
#define TM_BATCH_OPS_MAX      256u         // operations in a stored batch
#define TM_BATCH_BYTES_MAX    (320u << 10) // a stored batch, encoded
#define TM_PAGE_OPS_MAX       1000u        // operations in one answer
#define TM_PAGE_BYTES_MAX     (1u << 20)   // an answer's operations, encoded
#define TM_PART_BYTES_MAX     (1u << 20)   // one part of a snapshot on a WebSocket
#define TM_STATE_MAX          (32u << 20)  // state and unknown operations of a list
#define TM_LIVE_MAX           10000u       // live items of a list
#define TM_IDS_MAX            100000u      // ids ever, live or dead
#define TM_FIELDS_MAX         16u          // fields of an item
#define TM_VALUE_MAX          4096u        // bytes of a value
#define TM_ID_MAX             64u  // bytes of an operation's id, of a browserId
#define TM_NAME_MAX           128u // bytes of an instanceId, of an imageId
#define TM_FIELD_NAME_MAX     32u  // bytes of a field's name
#define TM_DECISIONS_MAX      100u // recent decisions kept per writer
#define TM_REJECTED_MAX       100u // rejections that ride in one batch ...
#define TM_REJECTED_BYTES_MAX (32u << 10) // ... and their bytes
#define TM_INT_MAX            9007199254740991u // 2^53-1: what a script can count to exactly

// `make tiny`: the limits at which work is cut, so small that every case meets them. What
// is refused for its size stays, or the cases themselves would be refused.
#ifdef TM_TINY
#undef TM_PUSH_OPS_MAX
#define TM_PUSH_OPS_MAX 9u
#undef TM_BATCH_OPS_MAX
#define TM_BATCH_OPS_MAX 12u
#undef TM_PAGE_OPS_MAX
#define TM_PAGE_OPS_MAX 13u
#undef TM_PAGE_BYTES_MAX
#define TM_PAGE_BYTES_MAX (4u << 10)
#undef TM_PART_BYTES_MAX
#define TM_PART_BYTES_MAX (2u << 10)
#undef TM_DECISIONS_MAX
#define TM_DECISIONS_MAX 16u
#undef TM_REJECTED_MAX
#define TM_REJECTED_MAX 3u
#undef TM_REJECTED_BYTES_MAX
#define TM_REJECTED_BYTES_MAX 512u
#endif

#endif
