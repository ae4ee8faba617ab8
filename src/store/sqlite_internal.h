// sqlite_internal.h - what the files of the embedded store share. docs/STORAGE.md tells
// the same story with pictures and queries.
//
// Three threads beside the caller's (none for a simulator: sqlite_stepped.c), each with a connection of its own:
//
//   writer   commits appends by groups; between commits, in slices of a few ms, files
//            rows by list, keeps snapshots, trims
//   reader   reads and loads: a cold list never holds up a commit
//   keeper   checkpoints: moves the write-ahead log into the database file
//
// An append becomes a row of `journal`; later the writer files it: copies it to
// `batches`, where the rows of a list lie together, commits, moves the memory (tm_place
// says which journal rows are a list's unfiled tail), and deletes the journal rows in a
// later transaction. A batch is filed if and only if `batches` has one of its list that
// ends at or after it: that, and no flag, is what a restart goes by, and why the newest
// filed row of a list is never trimmed.
//
// A reader first copies the memory, then begins its transaction. What the memory says is
// in the journal may have been filed by then, but then the transaction sees it filed; it
// cannot have vanished from both, for rows are deleted only after they were filed. Taken
// the other way round, a row filed and forgotten between the two would be missed.
#ifndef TM_STORE_SQLITE_INTERNAL_H
#define TM_STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "core/table.h"
#include "store/request.h"
#include "store/sqlite.h"

#define TM_PROBLEM_MAX 256u // bytes of a sentence for people, its NUL included
#define TM_DAMAGE_MAX  96u  // bytes of which row is damaged and how, likewise

// ---- numbers ------------------------------------------------------------------------

// batches.at = list id << 36 | first seq, so ids end at 2^27-1 (TM_SQL_LIST_ADD). An
// integer key keeps a list's rows together in a table whose inner pages hold nothing but
// keys: half again as fast to file into as a composite key, which would keep whole rows
// there.
#define TM_AT_SEQ_BITS 36u
#define TM_AT_SEQ_MAX  ((UINT64_C(1) << TM_AT_SEQ_BITS) - 1) // 68 thousand million

#define TM_LIST_ID_MAX 134217727u
#define TM_ROW_MAX     (UINT64_C(1) << 62) // no counter of rows gets so far by itself

#define TM_GROUP_REQUESTS_MAX 4096u        // appends in one commit ...
#define TM_GROUP_BYTES_MAX    (16u << 20)  // ... and bytes: half a second, slowly
#define TM_PART_BYTES         (256u << 10) // of a snapshot in one commit
#define TM_IDLE_PLACES_MAX    16384u // lists kept in memory to save looking them up
#define TM_PASS_PLACES_MAX    65536u // lists sorted at once, some 10 ms of work
#define TM_BACKLOG_HIGH       65536u // unfiled rows from which filing gets half the time

// What a test sets otherwise; tm_sqlite_tuning_default has what we run with.
typedef enum tm_point {
    TM_POINT_INSERTED,  // rows are in the journal, not committed
    TM_POINT_COMMITTED, // committed, nobody told
    TM_POINT_FILED,     // filed and committed, the memory not moved
    TM_POINT_MOVED,     // the memory moved, the journal rows still there
    TM_POINT_DELETED,   // journal rows gone
    TM_POINT_PART,      // a part of a snapshot is in, or a loose one gone
    TM_POINT_TRIMMED,   // a slice of a trim is through
    TM_POINT_EMPTIED,   // the write-ahead log was cut to nothing
    TM_POINT_COUNT,
} tm_point;

typedef struct tm_sqlite_tuning {
    const tm_alloc *alloc;  // keeps; called by all threads
    uint32_t file_delay_ms; // filing begins when a row has waited so long ...
    uint32_t file_rows;     // ... or so many wait
    uint32_t file_first;    // from so many on, appends wait until some are filed
    uint32_t slice_us;      // of background work, on a disk that syncs in no time
    uint32_t busy_ms;       // wait for somebody else's write lock
    uint32_t retry_ms;      // after background work that failed
    uint32_t idle_ms;       // then the write-ahead log is emptied
    uint32_t wal_pages;     // unmoved pages that wake the keeper
    uint32_t wal_pages_max; // from so many the writer moves the rest itself
    // Called on the writer's thread; may be NULL.
    void (*point)(void *context, tm_point point);
    void *point_context;
} tm_sqlite_tuning;

extern const tm_sqlite_tuning tm_sqlite_tuning_default;
extern const tm_sqlite_tuning tm_sqlite_tuning_stepped; // without threads

// tm_sqlite_open_tuned - tm_sqlite_open with other numbers. `tuning` is copied.
TM_MUST_USE tm_status tm_sqlite_open_tuned(const tm_sqlite_options *options,
                                           const tm_sqlite_tuning *tuning,
                                           tm_store **store,
                                           char problem[TM_PROBLEM_MAX]);

// ---- a connection (sqlite_conn.c) ---------------------------------------------------

#define TM_SQL_LIST(X)                                                             \
    X(TM_SQL_BEGIN_WRITE, "BEGIN IMMEDIATE")                                       \
    X(TM_SQL_BEGIN_READ, "BEGIN")                                                  \
    X(TM_SQL_COMMIT, "COMMIT")                                                     \
    X(TM_SQL_ROLLBACK, "ROLLBACK")                                                 \
    X(TM_SQL_LIST_FIND, "SELECT id FROM lists WHERE user = ?1 AND list = ?2")      \
    X(TM_SQL_LIST_ADD, "INSERT INTO lists (user, list) SELECT ?1, ?2 WHERE"        \
                       " (SELECT ifnull(max(id), 0) FROM lists) < 134217727")      \
    X(TM_SQL_FILED_HEAD, "SELECT last_seq FROM batches WHERE at BETWEEN ?1 AND ?2" \
                         " ORDER BY at DESC LIMIT 1")                              \
    X(TM_SQL_JOURNAL_ADD,                                                          \
      "INSERT INTO journal (list_id, first_seq, last_seq, accepted_ms, before,"    \
      " mark, rejected, operations) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")      \
    X(TM_SQL_JOURNAL_GET,                                                          \
      "SELECT first_seq, last_seq, accepted_ms, before, mark, rejected,"           \
      " operations FROM journal WHERE n = ?1")                                     \
    X(TM_SQL_JOURNAL_ALL,                                                          \
      "SELECT n, list_id, first_seq, last_seq, operations FROM journal"            \
      " ORDER BY n")                                                               \
    X(TM_SQL_JOURNAL_FIRST, "SELECT ifnull(min(n), 0) FROM journal")               \
    X(TM_SQL_JOURNAL_DELETE,                                                       \
      "DELETE FROM journal WHERE n < ?1 AND last_seq <= (SELECT b.last_seq FROM"   \
      " batches b WHERE b.at BETWEEN list_id << 36 AND (list_id << 36) |"          \
      " 68719476735 ORDER BY b.at DESC LIMIT 1)")                                  \
    X(TM_SQL_LIST_KEY, "SELECT user, list FROM lists WHERE id = ?1")               \
    X(TM_SQL_FILED_SAME, /* as row ?2 of the journal */                            \
      "SELECT b.at = ?1 AND b.last_seq = j.last_seq AND b.mark = j.mark FROM"      \
      " batches b, journal j WHERE j.n = ?2 AND b.at BETWEEN ?1 & ~68719476735"    \
      " AND ?1 ORDER BY b.at DESC LIMIT 1")                                        \
    X(TM_SQL_FILE,                                                                 \
      "INSERT INTO batches (at, last_seq, accepted_ms, before, mark, rejected,"    \
      " operations) SELECT list_id << 36 | first_seq, last_seq, accepted_ms,"      \
      " before, mark, rejected, operations FROM journal WHERE n = ?1")             \
    X(TM_SQL_BATCH_AT, "SELECT at FROM batches WHERE at BETWEEN ?1 AND ?2"         \
                       " ORDER BY at DESC LIMIT 1")                                \
    X(TM_SQL_BATCH_READ,                                                           \
      "SELECT at & 68719476735, last_seq, accepted_ms, before, mark, rejected,"    \
      " operations FROM batches WHERE at BETWEEN ?1 AND ?2 ORDER BY at")           \
    X(TM_SQL_BATCH_AGES,                                                           \
      "SELECT at, last_seq, accepted_ms FROM batches WHERE at BETWEEN ?1 AND ?2"   \
      " ORDER BY at LIMIT ?3")                                                     \
    X(TM_SQL_BATCH_DELETE, "DELETE FROM batches WHERE at BETWEEN ?1 AND ?2")       \
    X(TM_SQL_SNAPSHOT_GET,                                                         \
      "SELECT seq, first_part, parts, bytes FROM snapshots WHERE list_id = ?1")    \
    X(TM_SQL_SNAPSHOT_SET,                                                         \
      "INSERT OR REPLACE INTO snapshots (list_id, seq, first_part, parts, bytes)"  \
      " VALUES (?1, ?2, ?3, ?4, ?5)")                                              \
    X(TM_SQL_PART_NEXT,                                                            \
      "SELECT max(ifnull((SELECT max(id) FROM parts), 0) + 1,"                     \
      " ifnull((SELECT max(first_part + parts) FROM loose_parts), 1))")            \
    X(TM_SQL_PART_ADD, "INSERT INTO parts (id, bytes) VALUES (?1, ?2)")            \
    X(TM_SQL_PART_GET, "SELECT bytes FROM parts WHERE id = ?1")                    \
    X(TM_SQL_PART_BYTES, "SELECT ifnull(sum(length(bytes)), 0) FROM parts WHERE "  \
                         "id BETWEEN ?1 AND ?2")                                   \
    X(TM_SQL_PART_DELETE, "DELETE FROM parts WHERE id BETWEEN ?1 AND ?2")          \
    X(TM_SQL_LOOSE_GET, "SELECT first_part, parts FROM loose_parts"                \
                        " WHERE first_part <> ?1 LIMIT 1")                         \
    X(TM_SQL_LOOSE_SET, "INSERT OR REPLACE INTO loose_parts (first_part, parts)"   \
                        " VALUES (?1, ?2)")                                        \
    X(TM_SQL_LOOSE_DELETE, "DELETE FROM loose_parts WHERE first_part = ?1")        \
    X(TM_SQL_LISTS,                                                                \
      "SELECT l.user, l.list, max(ifnull((SELECT b.last_seq FROM batches b WHERE"  \
      " b.at BETWEEN l.id << 36 AND (l.id << 36) | 68719476735 ORDER BY b.at"      \
      " DESC LIMIT 1), 0), ifnull(j.last_seq, 0)) FROM lists l LEFT JOIN (SELECT"  \
      " list_id, max(last_seq) AS last_seq FROM journal GROUP BY list_id) j"       \
      " ON j.list_id = l.id")

typedef enum tm_sql {
#define X(name, text) name,
    TM_SQL_LIST(X)
#undef X
        TM_SQL_COUNT
} tm_sql;

typedef struct tm_conn { // zero-initialised = closed
    sqlite3 *db;
    sqlite3_stmt *stmts[TM_SQL_COUNT];
    int error;                  // errno after the last tm_conn_run
    char damage[TM_DAMAGE_MAX]; // the last row that was found damaged
} tm_conn;

typedef enum tm_conn_mode { TM_CONN_READ, TM_CONN_WRITE } tm_conn_mode;

// tm_conn_open - open an existing file. Nothing is read, set for good or prepared yet.
//   vfs   NULL = the system's files; on another a file to be written is made if missing
TM_MUST_USE tm_status tm_conn_open(tm_conn *conn, const char *path, const char *vfs,
                                   tm_conn_mode mode, uint32_t busy_ms,
                                   char problem[TM_PROBLEM_MAX]);

// tm_conn_durable - set every pragma that durability rests on, and read it back.
// TM_E_STATE: one did not take.
TM_MUST_USE tm_status tm_conn_durable(tm_conn *conn, char problem[TM_PROBLEM_MAX]);

// tm_conn_prepare - all of TM_SQL_LIST; after the schema is there.
TM_MUST_USE tm_status tm_conn_prepare(tm_conn *conn, char problem[TM_PROBLEM_MAX]);

// tm_conn_close - `checkpoint` false: leave the write-ahead log exactly as it is.
void tm_conn_close(tm_conn *conn, bool checkpoint);

// tm_conn_stmt - the statement, bound to nothing; one that gives rows is reset by the
// caller with sqlite3_reset when it has read them.
sqlite3_stmt *tm_conn_stmt(tm_conn *conn, tm_sql which);

// tm_conn_run - step a statement that gives no row, reset it; SQLITE_OK or what failed.
int tm_conn_run(tm_conn *conn, tm_sql which);

// tm_conn_rollback - end the transaction, if there still is one.
void tm_conn_rollback(tm_conn *conn);

// tm_conn_damaged - note a row that we did not write so, for tm_conn_tell.
// Returns SQLITE_CORRUPT.
int tm_conn_damaged(tm_conn *conn, const char *table, int64_t row,
                    const char *what);

// tm_conn_number - one integer: SQLITE_ROW with *number, or SQLITE_DONE, or what failed;
// SQLITE_CORRUPT if it is none, or below 0.
int tm_conn_number(tm_conn *conn, tm_sql which, uint64_t *number);

int tm_bind_u64(sqlite3_stmt *stmt, int index, uint64_t number);

// tm_bind_bytes - bytes as TEXT, so that a person can query them; as BLOB if they have a
// NUL, which would end the text in every shell and dump. The same bytes are always the
// same value. `bytes` is borrowed until the statement is reset.
int tm_bind_bytes(sqlite3_stmt *stmt, int index, tm_span bytes);

tm_span tm_column_bytes(sqlite3_stmt *stmt, int index); // lent until the next step
uint64_t tm_column_u64(sqlite3_stmt *stmt, int index);  // of what is not one: 0

// tm_column_number - false: it is no integer, or one below 0; *number is then unchanged.
TM_MUST_USE bool tm_column_number(sqlite3_stmt *stmt, int index, uint64_t *number);

// tm_column_kept - whether the bytes are stored as tm_bind_bytes does it: only then are
// they found again.
bool tm_column_kept(sqlite3_stmt *stmt, int index);

// What an error of SQLite means for us.
typedef enum tm_fate {
    TM_FATE_AGAIN,  // nothing was stored; it may work the next time
    TM_FATE_UNSURE, // likewise, but a commit under way may turn up after a crash
    TM_FATE_IO,     // the disk failed: no commit may be made any more
    TM_FATE_CORRUPT // the content is not what we left: likewise
} tm_fate;

tm_fate tm_conn_fate(const tm_conn *conn, int rc);

// tm_conn_unread - what a read ends with; tm_conn_unopened - what opening does.
tm_status tm_conn_unread(const tm_conn *conn, int rc);
tm_status tm_conn_unopened(const tm_conn *conn, int rc);

// tm_conn_tell - `what`, and SQLite's own words for the last error.
void tm_conn_tell(const tm_conn *conn, int rc, const char *what,
                  char problem[TM_PROBLEM_MAX]);

// ---- the schema (sqlite_schema.c) ---------------------------------------------------

#define TM_SCHEMA_APPLICATION 0x54644d6b // "TdMk", PRAGMA application_id
#define TM_SCHEMA_VERSION     1          // PRAGMA user_version

// tm_schema_check - may this build read it?
//   empty   receives whether it is a database with nothing in it
// TM_E_FORMAT: newer. TM_E_CORRUPT: no database, or not one of ours.
TM_MUST_USE tm_status tm_schema_check(tm_conn *conn, bool *empty,
                                      char problem[TM_PROBLEM_MAX]);

// tm_schema_create - all tables and views, in one transaction.
TM_MUST_USE tm_status tm_schema_create(tm_conn *conn, char problem[TM_PROBLEM_MAX]);

// ---- rows that we did not write (sqlite_check.c) ------------------------------------

// tm_check_start - those that would lead the next rows astray, as far as it is seen at
// once. TM_E_CORRUPT: there is one.
TM_MUST_USE tm_status tm_check_start(tm_conn *conn, char problem[TM_PROBLEM_MAX]);

// ---- the file (sqlite_lock.c) -------------------------------------------------------

// tm_path_resolve - the absolute path, symbolic links followed, as SQLite sees it: two
// daemons must meet at the same lock. gives: sqlite3_free.
//   vfs   NULL = the system's files
TM_MUST_USE tm_status tm_path_resolve(const char *path, const char *vfs,
                                      char **resolved,
                                      char problem[TM_PROBLEM_MAX]);

// tm_lock_take - the lock beside the database, held by the descriptor (close to give it
// back; the kernel does it for a killed process).
// TM_E_STATE: somebody has it.
TM_MUST_USE tm_status tm_lock_take(const char *path, int *fd,
                                   char problem[TM_PROBLEM_MAX]);

// tm_file_create - make the file if it is missing, readable by its owner alone (SQLite
// gives -wal and -shm the same rights).
TM_MUST_USE tm_status tm_file_create(const char *path, bool exclusive,
                                     char problem[TM_PROBLEM_MAX]);

// tm_file_local - TM_E_STATE if the file lies on a filesystem whose locks or shared
// memory do not reach everybody who can open it.
TM_MUST_USE tm_status tm_file_local(const char *path, char problem[TM_PROBLEM_MAX]);
bool tm_filesystem_remote(unsigned long magic, const char **name);

// tm_directory_sync - make the file's name durable, or that it is gone.
TM_MUST_USE tm_status tm_directory_sync(const char *path,
                                        char problem[TM_PROBLEM_MAX]);

// tm_file_sync - make a file and its name durable.
TM_MUST_USE tm_status tm_file_sync(const char *path, char problem[TM_PROBLEM_MAX]);

// ---- the memory (sqlite_index.c) ----------------------------------------------------

typedef struct tm_ref { // a batch in the journal
    uint64_t n, first_seq, last_seq;
    size_t bytes;
} tm_ref;

// A list as far as it is in memory: always when it has an unfiled tail or a request
// outstanding, else while there is room.
//
// Under the store's lock, but for what the writer alone changes: it reads that without.
typedef struct tm_place tm_place;
struct tm_place {
    tm_ref *refs; // unfiled tail: refs[from .. from + count)
    size_t from, count, cap;
    tm_store_own *first; // outstanding appends, reads, loads, in order (`after`)
    tm_store_own *last;
    size_t active;           // how many of them, from the first, are under way
    bool reading;            // whether those are reads and loads, or appends
    uint32_t pins;           // saves and trims that need it
    tm_place *older, *newer; // idle ones
    bool idle;

    // the writer's
    bool known;    // id and head are right
    uint64_t id;   // 0 = not in `lists` yet
    uint64_t head; // last seq, filed or not
    bool drafted;  // in the transaction under way these stand for the two above:
    uint64_t draft_id, draft_head;
    size_t draft_rows; // and so many rows were appended
    tm_place *next_draft;
    bool dirty; // in the queue of places to file, or in the pass
    tm_place *next_dirty;
    uint64_t dirty_n; // none of its rows is below; grows along the queue
    size_t moving;    // rows filed in the transaction under way

    size_t key_len;
    uint8_t key[]; // joined
};

typedef struct tm_sqlite tm_sqlite;

// All of these: under the lock.
tm_place *tm_place_get(tm_sqlite *s, tm_key key); // NULL: out of memory; never idle
void tm_place_settle(tm_sqlite *s, tm_place *place); // if idle now: kept, or freed
bool tm_place_reserve(tm_sqlite *s, tm_place *place, size_t more);
void tm_place_push(tm_place *place, tm_ref ref); // after tm_place_reserve
void tm_place_drop(tm_sqlite *s, tm_place *place, size_t count); // the oldest refs
// The index of the first ref that ends at `since` or later.
size_t tm_place_seek(const tm_place *place, uint64_t since);
void tm_places_free(tm_sqlite *s);

// tm_list_lookup - its id, 0 if it is not in `lists`; tm_list_filed - the last seq that is
// filed, 0 if none. SQLITE_OK or what failed.
int tm_list_lookup(tm_conn *conn, tm_key key, uint64_t *id);
int tm_list_filed(tm_conn *conn, uint64_t id, uint64_t *head);

// tm_place_load - the memory as it is in the database: every unfiled row. Called when no
// thread runs yet. TM_E_CORRUPT: a hole.
TM_MUST_USE tm_status tm_place_load(tm_sqlite *s, tm_conn *conn,
                                    char problem[TM_PROBLEM_MAX]);

// ---- reading (sqlite_read.c) --------------------------------------------------------

// What a read or load needs to know of the memory, and what it found.
typedef struct tm_job {
    uint64_t id;
    tm_arena arena; // the result's bytes
    tm_batch *batches;
    size_t count, cap;
    bool more;
    uint64_t seq; // of a snapshot
    tm_span bytes;
    size_t ref_count;
    tm_ref refs[]; // the part of the tail that may be wanted
} tm_job;

// tm_job_new - under the lock. NULL: out of memory.
tm_job *tm_job_new(tm_sqlite *s, const tm_place *place, tm_store_own *own);

// tm_job_run - on the connection, in a transaction of its own or in the one that is open.
// Returns what the request ends with; own->result holds the answer.
//   failed   receives SQLite's code
TM_MUST_USE tm_status tm_job_run(tm_sqlite *s, tm_conn *conn, tm_store_own *own,
                                 bool transaction, int *failed);

// tm_job_done - tell the caller, free the job.
void tm_job_done(tm_sqlite *s, tm_store_own *own);

TM_MUST_USE tm_status tm_lists_run(tm_conn *conn,
                                   void (*each)(void *context, tm_key key,
                                                uint64_t head),
                                   void *context);

// tm_reader_run - one read or load, if any waits. Under the lock, which it gives back
// meanwhile. false: none does.
bool tm_reader_run(tm_sqlite *s, tm_conn *conn);

void *tm_reader_main(void *store);

// ---- the store ----------------------------------------------------------------------

// A save or trim under way: a step per slice.
typedef struct tm_chore {
    tm_store_own *own; // NULL = none
    uint64_t first_part, parts, part;
    uint64_t trim_from; // batches.at
    uint64_t trimmed;
} tm_chore;

struct tm_sqlite {
    tm_store base;
    tm_sqlite_tuning tuning;
    const tm_alloc *alloc;
    char *path; // sqlite3_free
    char *vfs;  // sqlite3_free; NULL = the system's files
    int lock_fd;
    tm_conn writer, reader, keeper;
    pthread_t threads[3];
    size_t thread_count;

    pthread_mutex_t lock; // of all that follows, but where it says otherwise
    pthread_cond_t to_writer, to_reader, to_keeper, to_caller;
    tm_table places; // joined key -> tm_place
    tm_place *idle_oldest, *idle_newest;
    size_t idle_count;
    tm_queue writes, reads, chores, completed;
    size_t outstanding;        // requests whose `done` was not called
    bool wake_due;             // `completed` was empty, and is not any more
    bool closing;              // no request comes any more
    tm_status dead;            // TM_OK, or why nothing is written any more
    char why[TM_PROBLEM_MAX];  // of `dead`, or of the last write, if that failed
    char told[TM_PROBLEM_MAX]; // what health lends
    tm_store_stats stats;
    struct {
        bool wanted, running;
        uint64_t pages, moved; // in the write-ahead log; how many of them
    } wal;

    // the writer's alone
    tm_chore chore;
    tm_place *drafts;
    tm_place *dirty_first, *dirty_last;
    tm_place **pass; // places being filed, by list id
    size_t pass_at, pass_count, pass_cap;
    uint64_t journal_low;   // no row of the journal is below
    uint64_t journal_below; // rows below may be deleted
    uint64_t journal_next;  // above every row ever
    uint64_t part_next;
    bool loose;         // there may be loose parts
    uint64_t wal_now;   // pages in the write-ahead log
    uint64_t wal_tried; // pages when the log could not be restarted last
    uint64_t dirty_since_us, slice_end_us, slice_took_us, retry_at_us, active_us;
    size_t delete_rows; // of the journal, what may fit into a slice
    bool turn;          // whose slice is next, if chores and filing both want one

    // without threads
    uint64_t (*clock)(void *context); // NULL = with
    void *clock_context;
    uint64_t clock_us; // what it was taken for last
    unsigned step;     // which kind of work comes next
    tm_store_ops ops;
};

uint64_t tm_clock_us(void); // monotonic

// tm_sqlite_now - the same; where the store goes by steps, the caller's
// clock, and each look at it takes a little.
uint64_t tm_sqlite_now(tm_sqlite *s);

// tm_sqlite_connect - tm_conn_open, on the store's file.
TM_MUST_USE tm_status tm_sqlite_connect(tm_sqlite *s, tm_conn *conn,
                                        tm_conn_mode mode, uint32_t busy_ms,
                                        char problem[TM_PROBLEM_MAX]);

// tm_sqlite_wait - under the lock: until the writer is signalled, or until then.
void tm_sqlite_wait(tm_sqlite *s, uint64_t until_us);

// tm_sqlite_free - connections, memory, lock; the threads are gone.
void tm_sqlite_free(tm_sqlite *s);

// tm_sqlite_unlock - give the lock back, and wake the host if something completed.
void tm_sqlite_unlock(tm_sqlite *s);

void tm_sqlite_point_reached(tm_sqlite *s, tm_point point);

// tm_sqlite_failed - note the error of a write, and stop writing for good where it
// demands that. Takes the lock. Returns what a request in flight ends with.
//   what   for people: "append"
tm_status tm_sqlite_failed(tm_sqlite *s, const tm_conn *conn, int rc,
                           const char *what);
bool tm_sqlite_dead(tm_sqlite *s); // takes the lock

// tm_sqlite_committed - after each commit of the writer: count it, see to the log.
void tm_sqlite_committed(tm_sqlite *s);

// tm_sqlite_complete - under the lock: the request is over, with own->status.
void tm_sqlite_complete(tm_sqlite *s, tm_store_own *own);

// tm_sqlite_tell - call `done` of all that is completed, and return how many. Under the
// lock, which it gives back.
size_t tm_sqlite_tell(tm_sqlite *s);

// tm_sqlite_finish - the same for one that stands in its place's queue: what waited
// behind it may go on.
void tm_sqlite_finish(tm_sqlite *s, tm_store_own *own);

// ---- the writer (sqlite_writer.c) ---------------------------------------------------

// What the background has to do; empty: cut the log to nothing.
typedef struct tm_due {
    bool chore, file, empty;
} tm_due;

// tm_writer_due - under the lock: what is due, and *at_us lowered to when what is not
// will be.
tm_due tm_writer_due(tm_sqlite *s, uint64_t now_us, uint64_t *at_us);

// tm_writer_commit - one commit of what waits, if anything does and filing need not come
// first. tm_writer_slice - one slice of background work, if one is due; else *at_us is
// lowered to when one will be. Both: under the lock, which they give back meanwhile;
// false: nothing was done.
bool tm_writer_commit(tm_sqlite *s, bool *filing_first);
bool tm_writer_slice(tm_sqlite *s, uint64_t now_us, uint64_t *at_us);

void *tm_writer_main(void *store);

// tm_draft_begin - in a transaction: the place is drafted, with its id and head looked up
// if they were not known. SQLITE_OK or what failed.
int tm_draft_begin(tm_sqlite *s, tm_place *place);

// tm_draft_add - make sure that a drafted place is in `lists`. SQLITE_TOOBIG: all ids
// are used up.
int tm_draft_add(tm_sqlite *s, tm_place *place);

void tm_drafts_keep(tm_sqlite *s); // after a commit, under the lock
void tm_drafts_drop(tm_sqlite *s); // after a rollback

// ---- filing (sqlite_file.c) ---------------------------------------------------------

void tm_file_dirty(tm_sqlite *s, tm_place *place); // it has rows to file
bool tm_file_due(const tm_sqlite *s, uint64_t now_us, uint64_t *at_us);
void tm_file_slice(tm_sqlite *s);

// tm_file_passed - no pass is under way: what lies below the first unfiled row of the
// journal may be deleted.
void tm_file_passed(tm_sqlite *s);

// tm_file_place - file rows of one list alone, as many as fit a slice. SQLITE_OK.
int tm_file_place(tm_sqlite *s, tm_place *place);

// ---- saves and trims (sqlite_chore.c) -----------------------------------------------

bool tm_chore_due(tm_sqlite *s, uint64_t now_us, uint64_t *at_us); // under the lock
void tm_chore_slice(tm_sqlite *s);

// ---- checkpoints (sqlite_keeper.c) --------------------------------------------------

// tm_keeper_run - one checkpoint, if one is wanted. Under the lock, which it gives back
// meanwhile. false: none is.
bool tm_keeper_run(tm_sqlite *s, tm_conn *conn);

void *tm_keeper_main(void *store);

// tm_keeper_ask - after a commit: wake the keeper, or restart the log if it is long.
void tm_keeper_ask(tm_sqlite *s);

// tm_keeper_empty - idle, or closing: move all and cut the log to nothing.
void tm_keeper_empty(tm_sqlite *s);

// ---- without threads (sqlite_stepped.c) ----------------------------------------------

void tm_stepped_start(tm_sqlite *s); // instead of starting threads
uint64_t tm_stepped_now(tm_sqlite *s);

// ---- one moment of a database (sqlite_readonly.c) -----------------------------------

TM_MUST_USE tm_status tm_readonly_open(tm_sqlite *s, char problem[TM_PROBLEM_MAX]);

#endif
