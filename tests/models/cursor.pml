/* cursor.pml - how a page learns of every operation once: SUBSCRIBE with cursor and mark,
 * frames behind it, connections that are cut, frames that are dropped for a slow reader, a
 * server that is brought back from a backup while the page is away or not. DESIGN 4;
 * SEMANTICS 5 (pull) and 6 (pull, push channel, reset).
 *
 * The log is a row of operations; the mark of a version names all of the row up to there,
 * as a hash chain does (here a number in base 8, one digit an operation).
 *
 * Checked, in every state: a page whose mark is the server's has in C all that the log has
 * up to its cursor (`skipped`). Checked at the end, when all has arrived: C is the whole log
 * (`equal`), and all that the page ever knew as confirmed is in it (`lost`), though a backup
 * lacked it: it was offered back.
 *
 *   -DEDITS=4         operations of others
 *   -DBREAK_ORDER     the server reads first and subscribes second
 *   -DBREAK_HOLE      a frame behind a hole is applied like any other
 *   -DBREAK_MARK      only the cursor is compared, not the mark
 *   -DBREAK_OFFER     what a snapshot lacks is forgotten
 *   -DBREAK_BEHIND    a slow reader is not told that frames were dropped
 */
#ifndef EDITS
#define EDITS 4
#endif
#define LOG_MAX 9

/* The connection, from server to page, in order; `mark` is that of `version`. */
#define FRAMES   1
#define SNAPSHOT 2
#define BEHIND   3
#define LINE     2 /* frames on their way */
typedef Frame {
  byte kind, from, version;
  int mark
}
Frame line[LINE];
byte queued;

/* server */
byte log[LOG_MAX]; /* log[i]: the operation of seq i + 1, from 1 */
byte head, born, backup;
bool backed, restored, dropped;
bool subscribed, reading, behind, told;
byte reached; /* up to where the connection was told */

/* page */
bool open;     /* it believes that it has a connection, and has asked */
byte cursor;
int mark;
byte C, lacking, knew; /* sets of operations, a bit each */

hidden byte i, f, w, s;
hidden int m;

inline put(what, first, last) {
  assert(queued < LINE);
  line[queued].kind = what;
  line[queued].from = first;
  line[queued].version = last;
  line[queued].mark = (what == BEHIND -> 0 : m);
  queued++
}

inline take() {
  f = line[0].from;
  w = line[0].version;
  m = line[0].mark;
  line[0].kind = line[1].kind;
  line[0].from = line[1].from;
  line[0].version = line[1].version;
  line[0].mark = line[1].mark;
  line[1].kind = 0;
  line[1].from = 0;
  line[1].version = 0;
  line[1].mark = 0;
  queued--
}

inline mark_of(upto) {
  m = 0;
  i = 0;
  do
  :: i < upto -> m = m * 8 + log[i]; i++
  :: else -> break
  od
}

inline set_of(first, last) { /* s: operations of seqs first .. last */
  s = 0;
  i = first;
  do
  :: i >= 1 && i <= last -> s = s | (1 << log[i - 1]); i++
  :: else -> break
  od
}

inline check() {
  if
  :: cursor <= head ->
     mark_of(cursor);
     set_of(1, cursor);
     assert(m != mark || (C & s) == s) /* skipped */
  :: else
  fi;
  i = 0
}

/* What is new goes to the connection: at once, when its backlog was read, or not at all. */
inline tell() {
  if
  :: subscribed && !reading && !behind && queued < LINE ->
     mark_of(head);
     put(FRAMES, reached + 1, head);
     reached = head
  :: subscribed && !reading && queued == LINE -> behind = true
  :: else /* nobody listens; or it is held: the read that follows has it */
  fi
}

inline append(which) {
  log[head] = which;
  head++;
  tell()
}

inline cut() {
  do
  :: queued > 0 -> take()
  :: else -> break
  od;
  subscribed = false;
  reading = false;
  behind = false;
  told = false;
  open = false
}

/* The backlog behind a cursor, or a snapshot. */
inline read_log() {
  w = (cursor <= head -> cursor : 0);
  mark_of(w);
#ifdef BREAK_MARK
  if
  :: cursor <= head ->
#else
  if
  :: cursor <= head && m == mark ->
#endif
     mark_of(head);
     if
     :: head > cursor -> put(FRAMES, cursor + 1, head)
     :: else
     fi
  :: else -> mark_of(head); put(SNAPSHOT, 1, head)
  fi;
  reached = head;
  i = 0
}

active proctype Everything() {
  do
  :: d_step { born < EDITS && head < LOG_MAX -> born++; append(born); check() }

  /* The page asks; nothing of an earlier connection is left then. */
  :: d_step { !open -> cut(); open = true; reading = true;
#ifdef BREAK_ORDER
              read_log()
#else
              subscribed = true
#endif
            }
  :: d_step { reading ->
#ifdef BREAK_ORDER
              subscribed = true;
#else
              read_log();
#endif
              reading = false; check() }

  /* A frame arrives. */
  :: d_step { queued > 0 && line[0].kind == FRAMES -> take();
       if
       :: w <= cursor -> skip
#ifndef BREAK_HOLE
       :: w > cursor && f > cursor + 1 -> cut() /* ask */
       :: w > cursor && f <= cursor + 1 ->
#else
       :: w > cursor ->
#endif
          cursor = w;
          mark = m;
          set_of(f, w);
          C = C | s;
          knew = knew | s
       fi;
       check() }
  :: d_step { queued > 0 && line[0].kind == SNAPSHOT -> take();
       set_of(1, w);
#ifndef BREAK_OFFER
       lacking = (lacking | C) & (255 - s);
#endif
       C = s;
       knew = knew | s;
       cursor = w;
       mark = m;
       check() }
  :: d_step { queued > 0 && line[0].kind == BEHIND -> cut() }
#ifndef BREAK_BEHIND
  :: d_step { behind && !told && queued < LINE -> put(BEHIND, 0, 0); told = true }
#endif

  /* Offers: what C had and the snapshot lacks is pushed again, unless the log has it. */
  :: d_step { lacking != 0 && head < LOG_MAX ->
       w = 1;
       do
       :: (lacking & (1 << w)) == 0 -> w++
       :: else -> break
       od;
       lacking = lacking & (255 - (1 << w));
       set_of(1, head);
       if
       :: (s & (1 << w)) == 0 -> append(w)
       :: else
       fi;
       check() }

  /* Faults: a connection is cut, a frame is swallowed; a backup is made, and brought back. */
  :: d_step { open && born < EDITS -> cut(); check() }
  :: d_step { queued > 0 && line[0].kind == FRAMES && born < EDITS && !dropped ->
              dropped = true; take(); i = 0 } /* without notice; others follow */
  :: d_step { !backed && head > 0 -> backed = true; backup = head }
  :: d_step { backed && !restored && head > backup ->
       restored = true;
       do
       :: head > backup -> head--; log[head] = 0
       :: else -> break
       od;
       cut();
       check() }

  :: d_step { born == EDITS && open && !reading && queued == 0 && lacking == 0 && !behind ->
       set_of(1, head);
       assert(C == s && cursor == head); /* equal */
       assert((knew & s) == knew); /* lost */
       i = 0 }
     break
#ifdef BREAK_BEHIND
  :: d_step { born == EDITS && open && !reading && queued == 0 && behind ->
       set_of(1, head);
       assert(C == s); /* equal */
       i = 0 }
     break
#endif
  od
}
