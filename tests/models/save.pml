/* save.pml - saving: a queue with its counter, a cloned profile, messages that are lost,
 * doubled and late, pages that crash, a server that knows ids and a version vector.
 * SEMANTICS 5 (push) and 6 (push, fork/gap); promise 1.
 *
 * Checked, in every state: no operation is in the log twice (`twice`), and none is nowhere:
 * each that was made is accepted or in some storage (`lost`). Checked at the end, when edits
 * and faults have halted: every queue is empty and everything is accepted (`drained`). A
 * page takes at most WRITERS browserIds, or `draw` fails: renaming comes to an end.
 *
 * A queue is the operations head .. made-1 of a page; the version of the i-th is
 * i - first + 1. Acks come in order, so a queue only loses its front. In storage the front
 * may go later (`stored` <= `head`): an acked entry that is found again is sent again.
 *
 *   -DEDITS=4      operations made by the two pages together
 *   -DBREAK_CLEAR       a 200 empties the queue
 *   -DBREAK_BY_VERSION  what the vector covers leaves the queue, whoever's it was
 *   -DBREAK_IDS         the server looks at versions alone
 *   -DBREAK_RENAME      the old writer's queue is removed before the new one's is written
 *   -DBREAK_EARLY       an ack leaves before the append is durable
 */
#ifndef EDITS
#define EDITS 4
#endif
#define PAGES   2 /* the second is the clone */
#define SLOTS   2 /* requests on their way */
#define BATCH   2 /* operations in one request */
#define WRITERS 8 /* browserIds that may be drawn */

typedef Page {
  bool on;
  byte browser;
  short first;       /* index that has version 1 */
  byte stored, head; /* the queue begins here: in storage, in memory */
  byte made;
  byte op[EDITS];
  bool waiting;      /* for the answer to its request */
  bool answered;     /* it is there: */
  byte acks;         /* how many of the front */
  bool stop;         /* fork or gap */
  bool half          /* BREAK_RENAME: between the two writes */
}

typedef Request {
  bool there, live; /* live: its page still waits for it */
  byte page, browser, at, count;
  byte op[BATCH];
  short version     /* of the first */
}

Page page[PAGES];
Request net[SLOTS];
byte vector[WRITERS];
byte accepted[EDITS]; /* how often it is in the log */
byte edits, drawn;
bool cloned, quiet;
byte patience;        /* requests since then */
hidden byte i, o, p, acks;
hidden short v;
hidden byte fine, halted;

inline draw(c) { /* a fresh browserId; renaming must come to an end */
  assert(drawn < WRITERS);
  page[c].browser = drawn;
  drawn++
}

inline held() { /* `fine`: is there a storage that has `o`? */
  fine = false;
  p = 0;
  do
  :: p < PAGES ->
     i = page[p].stored;
     do
     :: i < page[p].made -> fine = (page[p].op[i] == o -> 1 : fine); i++
     :: else -> break
     od;
     p++
  :: else -> break
  od
}

inline check() {
  o = 0;
  do
  :: o < edits ->
     assert(accepted[o] <= 1); /* twice */
     held();
     assert(fine || accepted[o] == 1); /* lost */
     o++
  :: else -> break
  od;
  i = 0 /* (a d_step must not end in a loop) */
}

inline forget(c) { /* the answer to what was sent will not be heard */
  i = 0;
  do
  :: i < SLOTS -> if :: net[i].page == c -> net[i].live = false :: else fi; i++
  :: else -> break
  od;
  page[c].waiting = false;
  page[c].answered = false;
  page[c].acks = 0;
  page[c].stop = false
}

inline edit(c) {
  page[c].op[page[c].made] = edits;
  page[c].made++;
  edits++
}

inline send(c, s) {
  net[s].there = true;
  net[s].live = true;
  net[s].page = c;
  net[s].browser = page[c].browser;
  net[s].at = page[c].head;
  net[s].version = page[c].head - page[c].first + 1;
  net[s].count = (page[c].made - page[c].head < BATCH -> page[c].made - page[c].head : BATCH);
  i = 0;
  do
  :: i < BATCH ->
     net[s].op[i] = (i < net[s].count -> page[c].op[page[c].head + i] : 0);
     i++
  :: else -> break
  od;
  page[c].waiting = true
}

/* The server decides one request, in order, and answers. */
inline decide(s, durable) {
  acks = 0;
  halted = false;
  i = 0;
  do
  :: i < net[s].count && halted == 0 ->
     o = net[s].op[i];
     v = net[s].version + i;
#ifdef BREAK_IDS
     if
#else
     if
     :: accepted[o] > 0 -> acks++ /* duplicate */
     :: accepted[o] == 0 && v <= vector[net[s].browser] -> halted = true /* fork */
     :: accepted[o] == 0 && v > vector[net[s].browser] + 1 -> halted = true /* gap */
     :: accepted[o] == 0 && v == vector[net[s].browser] + 1 ->
#endif
#ifdef BREAK_IDS
     :: v <= vector[net[s].browser] -> halted = true
     :: v > vector[net[s].browser] + 1 -> halted = true
     :: v == vector[net[s].browser] + 1 ->
#endif
        acks++;
        if
        :: durable -> vector[net[s].browser] = v; accepted[o]++
        :: else
        fi
     fi;
     i++
  :: else -> break
  od;
  if
  :: net[s].live ->
     page[net[s].page].answered = true;
     page[net[s].page].acks = acks;
     page[net[s].page].stop = halted;
     net[s].live = false
  :: else /* nobody hears it */
  fi
}

inline hear(c) {
#ifdef BREAK_CLEAR
  if
  :: page[c].acks > 0 -> page[c].head = page[c].made
  :: else
  fi;
#else
#ifdef BREAK_BY_VERSION
  do
  :: page[c].head < page[c].made &&
     page[c].head - page[c].first + 1 <= vector[page[c].browser] -> page[c].head++
  :: else -> break
  od;
#else
  page[c].head = page[c].head + page[c].acks;
#endif
#endif
  if
  :: page[c].stop && page[c].head < page[c].made -> /* rename: one write */
     draw(c);
     page[c].first = page[c].head;
#ifdef BREAK_RENAME
     page[c].half = true;
     page[c].stored = page[c].made
#else
     page[c].stored = page[c].head
#endif
  :: else
  fi;
  page[c].waiting = false;
  page[c].answered = false;
  page[c].acks = 0;
  page[c].stop = false
}

#define UP(c) (page[c].on && !page[c].half)
#define EDIT(c)                                                                       \
  :: d_step { !quiet && edits < EDITS && UP(c) -> edit(c); check() }
/* One request at a time; into any free slot: they need not arrive in order. */
#define SEND(c, s)                                                                    \
  :: d_step { UP(c) && !page[c].waiting && page[c].head < page[c].made &&             \
              !net[s].there -> send(c, s);                                            \
              if :: quiet -> patience++; assert(patience < 12) /* drained */ :: else fi }
/* It arrives, and may stay on its way to arrive again; or is lost. */
#define NETWORK(s)                                                                    \
  :: d_step { net[s].there -> decide(s, true); net[s].there = false; check() }        \
  :: d_step { net[s].there && !quiet -> decide(s, true); check() }                    \
  :: d_step { net[s].there && !quiet -> net[s].there = false }
/* The answer is heard, or not; the page waits no longer; it dies, and starts from its
 * storage, which may follow late. */
#define PAGE(c)                                                                       \
  :: d_step { page[c].answered -> hear(c); check() }                                  \
  :: d_step { page[c].waiting && !quiet -> forget(c); i = 0 }                                \
  :: d_step { page[c].waiting && !page[c].answered && quiet &&                        \
              !(net[0].there && net[0].live && net[0].page == c) &&                   \
              !(net[1].there && net[1].live && net[1].page == c) -> forget(c); i = 0 }       \
  :: d_step { UP(c) && page[c].stored < page[c].head ->                               \
              page[c].stored = page[c].head; check() }                                \
  :: d_step { page[c].half -> page[c].half = false; page[c].stored = page[c].head;    \
              check() }                                                               \
  :: d_step { page[c].on && !quiet && (page[c].half || page[c].stored < page[c].head) -> \
              forget(c); page[c].half = false; page[c].head = page[c].stored; check() }

proctype Everything() {
  do
  EDIT(0)
  EDIT(1)
  /* A profile is copied as its storage is, and the copy starts. */
  :: d_step { !quiet && !cloned ->
       cloned = true;
       page[1].on = true;
       page[1].browser = page[0].browser;
       page[1].first = page[0].first;
       page[1].stored = page[0].stored;
       page[1].head = page[0].stored;
       page[1].made = page[0].made;
       i = 0;
       do
       :: i < EDITS -> page[1].op[i] = page[0].op[i]; i++
       :: else -> break
       od;
       check() }
  SEND(0, 0)
  SEND(0, 1)
  SEND(1, 0)
  SEND(1, 1)
  NETWORK(0)
  NETWORK(1)
#ifdef BREAK_EARLY
  :: d_step { net[0].there && !quiet -> decide(0, false); net[0].there = false; check() }
#endif
  PAGE(0)
  PAGE(1)
  :: d_step { !quiet && edits == EDITS -> quiet = true } /* no more edits, no more faults */
  :: d_step { quiet && !page[0].waiting && !page[1].waiting && !net[0].there &&
              !net[1].there && page[0].head == page[0].made &&
              page[1].head == page[1].made ->
       i = 0;
       do
       :: i < EDITS -> assert(accepted[i] == 1); i++ /* drained */
       :: else -> break
       od;
       i = 0 }
     break
  od
}

init {
  d_step { draw(0); page[0].on = true };
  run Everything()
}
