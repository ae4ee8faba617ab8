// faults.h - what can go wrong in the simulator, each with its word for tables and stories.
//
// TRUST 1.1 has the list. What is below this room's messages (reads of one byte, a frame
// cut in its middle, file descriptors) is tried on the real daemon; what is DynamoDB's,
// where DynamoDB is.
#ifndef TM_SIM_FAULTS_H
#define TM_SIM_FAULTS_H

// X(name, word, layer)
#define TM_SIM_FAULT_LIST(X)                                                       \
    X(REQUEST_LOST, "request lost", "network")                                     \
    X(RESPONSE_LOST, "response lost after commit", "network")                      \
    X(DUPLICATED, "request duplicated", "network")                                 \
    X(LATE, "request delivered minutes later", "network")                          \
    X(DELAYED, "heavy delay", "network")                                           \
    X(REORDERED, "requests reordered", "network")                                  \
    X(PARTITION, "partition, both ways", "network")                                \
    X(PARTITION_UP, "partition, nothing reaches the server", "network")            \
    X(PARTITION_DOWN, "partition, nothing comes back", "network")                  \
    X(HALF_OPEN, "half-open socket", "network")                                    \
    X(RESET, "connection reset", "network")                                        \
    X(PROXY_ERROR, "proxy answers 502 or 504", "network")                          \
    X(PROXY_HTML, "proxy answers in HTML", "network")                              \
    X(PORTAL, "captive portal, 200", "network")                                    \
    X(SLOW_READER, "slow reader", "network")                                       \
    X(CRASH, "server crashes", "server")                                           \
    X(CRASH_IN_APPEND, "server crashes in an append", "server")                    \
    X(CRASH_BEFORE_ACK, "server crashes between commit and ack", "server")         \
    X(DRAIN, "server told to stop", "server")                                      \
    X(NO_MEMORY, "server out of memory", "server")                                 \
    X(PART_ACCEPTED, "push accepted in part", "server")                            \
    X(COMPACTED, "log compacted", "server")                                        \
    X(RESTORED, "server restored from a backup", "server")                         \
    X(EMPTIED, "server replaced by an empty one", "server")                        \
    X(REFUSED_BY_POLICY, "operation refused by policy", "server")                  \
    X(UNSYNCED_LOST, "un-synced appends lost", "disk")                             \
    X(UNSYNCED_KEPT, "un-synced appends kept", "disk")                             \
    X(UNSYNCED_PART, "un-synced appends kept in part", "disk")                     \
    X(STORE_AGAIN, "append refused for now", "disk")                               \
    X(UNSURE_LOST, "append unsure, and lost", "disk")                              \
    X(UNSURE_KEPT, "append unsure, and stored", "disk")                            \
    X(STORE_BROKEN, "store broken until a restart", "disk")                        \
    X(READ_FAILED, "read failed", "disk")                                          \
    X(SAVE_FAILED, "snapshot not saved", "disk")                                   \
    X(DISK_EIO, "EIO", "disk")                                                     \
    X(DISK_FSYNC, "failing fsync", "disk")                                         \
    X(DISK_FSYNC_THEN_OK, "fsync fails, then succeeds", "disk")                    \
    X(DISK_FULL, "ENOSPC", "disk")                                                 \
    X(DISK_SHORT, "short write", "disk")                                           \
    X(DISK_READ_ONLY, "EROFS", "disk")                                             \
    X(DISK_BUSY, "SQLITE_BUSY", "disk")                                            \
    X(DISK_CRASH, "power cut in a write or sync", "disk")                          \
    X(CLIENT_CLOCK, "browser's clock jumps", "clock")                              \
    X(SERVER_CLOCK, "server's clock jumps", "clock")                               \
    X(CENTURY, "clock jumps by a century", "clock")                                \
    X(FROZEN_CLOCK, "clock stands still", "clock")                                 \
    X(DRIFT, "clock drifts", "clock")                                              \
    X(COARSE_CLOCK, "equal milliseconds", "clock")                                 \
    X(SUSPENDED, "device suspended", "clock")                                      \
    X(TAB_DIED, "tab dies", "browser")                                             \
    X(TAB_DIED_IN_SAVE, "tab dies between two storage writes", "browser")          \
    X(BROWSER_KILLED, "browser killed", "browser")                                 \
    X(TWO_TABS, "two tabs of one list", "browser")                                 \
    X(PROFILE_COPIED, "profile copied", "browser")                                 \
    X(PROFILE_RESTORED, "profile restored from a copy", "browser")                 \
    X(BFCACHE, "page resumes with old memory", "browser")                          \
    X(LOST_LOCK, "page resumes, its writer taken", "browser")                      \
    X(QUOTA, "local refuses a write", "browser")                                   \
    X(DISK_REFUSED, "disk refuses a transaction", "browser")                       \
    X(LOCAL_CLEARED, "local cleared", "browser")                                   \
    X(DISK_CLEARED, "disk cleared", "browser")                                     \
    X(ALL_CLEARED, "both places cleared", "browser")                               \
    X(KEY_LOST, "one key lost", "browser")                                         \
    X(VALUE_CUT, "a value truncated", "browser")                                   \
    X(NO_DISK, "no disk at start", "browser")                                      \
    X(NO_LOCAL, "no local at start", "browser")                                    \
    X(COUNTER_RESET, "writer's counter reset", "browser")                          \
    X(THROTTLED, "background throttling", "browser")                               \
    X(OTHER_USER, "another user logs in", "browser")                               \
    X(UNKNOWN_TYPE, "operation of an unknown type", "versions")                    \
    X(UNKNOWN_MEMBER, "unknown member", "versions")                                \
    X(NEWER_RECORD, "record of a newer format", "versions")                        \
    X(TOKEN_EXPIRED, "401", "auth")                                                \
    X(TOKEN_IN_BATCH, "401 in mid-batch", "auth")                                  \
    X(WRONG_USER, "409 user", "auth")                                              \
    X(HOSTILE_GARBAGE, "hostile: garbage", "hostile")                              \
    X(HOSTILE_FORGED, "hostile: forged versions and stamps", "hostile")            \
    X(HOSTILE_HUGE, "hostile: huge and odd operations", "hostile")                 \
    X(HOSTILE_REPLAY, "hostile: replays", "hostile")

typedef enum tm_sim_fault {
#define X(name, word, layer) TM_SIM_##name,
    TM_SIM_FAULT_LIST(X)
#undef X
        TM_SIM_FAULTS
} tm_sim_fault;

// What the world was at when a fault struck.
#define TM_SIM_STATE_LIST(X)                                                       \
    X(QUIET, "quiet")                                                              \
    X(QUEUED, "queued")                                                            \
    X(SAVING, "saving")                                                            \
    X(PULLING, "pulling")                                                          \
    X(STORING, "storing")                                                          \
    X(OFFERING, "offering")                                                        \
    X(APPENDING, "appending")                                                      \
    X(DOWN, "server down")

typedef enum tm_sim_state {
#define X(name, word) TM_SIM_STATE_##name,
    TM_SIM_STATE_LIST(X)
#undef X
        TM_SIM_STATES
} tm_sim_state;

#endif
