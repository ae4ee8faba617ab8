/* guard.pml - what a page shows: two pages edit one field of one item, or delete it; the
 * server numbers; answers and pushes come late. Windows protect what somebody typed.
 * SEMANTICS 7, and rules 1 and 3 of its table; promises 3 and 4.
 *
 * Checked, in every state: what a page shows is what is confirmed joined with what it has
 * pending, or its own last value while that is pending or young (`explained`); while it is,
 * it is what is shown (`kept`); nothing was ever sent that nobody typed (`typed`: two pages
 * cannot answer each other without end). Checked at the end, when typing has stopped, all
 * has arrived and the windows are over: both pages show the same, which is the join of all
 * that was typed (`equal`).
 *
 * Time is a number of ticks; a field is protected for 2, the item for 1. Stamps are
 * (time, page) with the hybrid clock's rule: greater than all that the page has seen; the
 * clocks may also run ahead of one another. 0 is no operation: the value before them all.
 *
 *   -DEDITS=4        edits made by the two pages together
 *   -DBREAK_TIMER    the end of a window repaints nothing
 *   -DBREAK_OPEN     there are no windows
 *   -DBREAK_MERGE    a protected field does not take what comes: the guard in the merge
 *   -DBREAK_RESEND   at the end of its window an own value that lost is typed again
 */
#ifndef EDITS
#define EDITS 4
#endif
#define OPS  (EDITS + 3) /* BREAK_RESEND makes more; 0 is none */
#define W_FIELD 2
#define W_ITEM  1

typedef Op {
  byte time, page;
  bool dead         /* a DELETE; else it sets the field to its own number */
}

typedef Page {
  byte last;        /* own last SET, 0 = none; its age in ticks: */
  byte age;
  byte sent, acked, made; /* of the own operations: so many of each, in order */
  byte own[EDITS + 3];
  byte cursor;      /* of the log; then C: */
  byte value;       /* the SET that won */
  bool dead;
  byte time;        /* H */
  bool removed;     /* by an own DELETE */
  byte shown;       /* the SET that is shown, and whether the item is */
  bool live
}

Op op[OPS];
Page page[2];
byte log[OPS];
byte head, typed, made;
hidden byte i, o, v, d, best;

#define LATER(a, b) /* has a the greater stamp? */                                    \
  ((b) == 0 || op[a].time > op[b].time ||                                             \
   (op[a].time == op[b].time && op[a].page > op[b].page))

/* v, d: C joined with what is pending */
inline view(c) {
  v = page[c].value;
  d = page[c].dead;
  i = page[c].acked;
  do
  :: i < page[c].made ->
     o = page[c].own[i];
     if
     :: op[o].dead -> d = 1
     :: else -> if :: LATER(o, v) -> v = o :: else fi
     fi;
     i++
  :: else -> break
  od
}

/* best: is the own last value pending (its place is behind what was acked)? */
inline pending(c) {
  best = 0;
  i = page[c].acked;
  do
  :: i < page[c].made -> best = (page[c].own[i] == page[c].last -> 1 : best); i++
  :: else -> break
  od
}

inline paint(c) {
  view(c);
  pending(c);
#ifndef BREAK_OPEN
  if
  :: page[c].last != 0 && (best == 1 || page[c].age < W_FIELD) -> v = page[c].last
  :: else
  fi;
  if
  :: page[c].removed -> d = 1
  :: !page[c].removed && d == 1 && page[c].last != 0 &&
     (best == 1 || page[c].age < W_ITEM) -> d = 0
  :: else
  fi;
#endif
  page[c].shown = v;
  page[c].live = (d == 0)
}

inline check_one(c) {
  view(c);
  pending(c);
  o = (page[c].last != 0 && (best == 1 || page[c].age < W_FIELD) -> 1 : 0);
  assert(page[c].shown == v || (o == 1 && page[c].shown == page[c].last)); /* explained */
  assert(o == 0 || page[c].shown == page[c].last); /* kept */
  o = (page[c].last != 0 && (best == 1 || page[c].age < W_ITEM) -> 1 : 0);
  assert(!page[c].removed || !page[c].live); /* an own DELETE hides at once */
  assert(d == 1 || page[c].live); /* explained */
  assert(d == 0 || !page[c].live || (o == 1 && !page[c].removed)); /* explained */
  assert(page[c].removed || o == 0 || page[c].live) /* kept */
}

inline check() {
  check_one(0);
  check_one(1);
  assert(made == typed); /* typed */
  i = 0
}

/* An operation by page c, its clock `ahead` of what it has seen. */
inline make(c, ahead, kills) {
  made++;
  o = made;
  page[c].time = page[c].time + 1 + ahead;
  op[o].time = page[c].time;
  op[o].page = c;
  op[o].dead = kills;
  page[c].own[page[c].made] = o;
  page[c].made++;
  if
  :: kills -> page[c].removed = true
  :: else -> page[c].last = o; page[c].age = 0
  fi;
  paint(c)
}

inline join(c, which) {
  o = which;
  if
  :: op[o].time > page[c].time -> page[c].time = op[o].time
  :: else
  fi;
  if
  :: op[o].dead -> page[c].dead = true
#ifdef BREAK_MERGE
  :: !op[o].dead && op[o].page != c && page[c].last != 0 && page[c].age < W_FIELD -> skip
#endif
  :: else -> if :: LATER(o, page[c].value) -> page[c].value = o :: else fi
  fi
}

inline older(c) {
  if
  :: page[c].age < W_FIELD ->
     page[c].age++;
#ifdef BREAK_RESEND
     view(c);
     if
     :: page[c].age == W_FIELD && page[c].last != 0 && v != page[c].last && d == 0 &&
        made < OPS - 1 -> make(c, 0, false)
     :: else
     fi;
#endif
#ifndef BREAK_TIMER
     paint(c)
#endif
  :: else
  fi
}

#define FREE(c) (!page[c].dead && !page[c].removed)
#define PAGE(c)                                                                       \
  :: d_step { typed < EDITS && FREE(c) -> typed++; make(c, 0, false); check() }       \
  :: d_step { typed < EDITS && FREE(c) -> typed++; make(c, 1, false); check() }       \
  :: d_step { typed < EDITS && FREE(c) -> typed++; make(c, 0, true); check() }        \
  /* the server takes the next one; the answer comes later */                         \
  :: d_step { page[c].sent < page[c].made -> log[head] = page[c].own[page[c].sent];   \
              head++; page[c].sent++ }                                                \
  :: d_step { page[c].acked < page[c].sent -> join(c, page[c].own[page[c].acked]);    \
              page[c].acked++; paint(c); check() }                                    \
  /* the log behind the cursor; own operations come that way, too */                  \
  :: d_step { page[c].cursor < head -> join(c, log[page[c].cursor]);                  \
              if                                                                      \
              :: page[c].acked < page[c].sent &&                                      \
                 log[page[c].cursor] == page[c].own[page[c].acked] -> page[c].acked++ \
              :: else                                                                 \
              fi;                                                                     \
              page[c].cursor++; paint(c); check() }

#define SETTLED(c)                                                                    \
  (page[c].acked == page[c].made && page[c].cursor == head && page[c].age == W_FIELD)

active proctype Everything() {
  d_step {
    page[0].age = W_FIELD;
    page[1].age = W_FIELD;
    page[0].live = true;
    page[1].live = true
  };
  do
  PAGE(0)
  PAGE(1)
  :: d_step { page[0].age < W_FIELD || page[1].age < W_FIELD -> older(0); older(1); check() }
  :: d_step { typed == EDITS && SETTLED(0) && SETTLED(1) ->
       best = 0;
       d = 0;
       i = 1;
       do
       :: i <= made ->
          if
          :: op[i].dead -> d = 1
          :: else -> if :: LATER(i, best) -> best = i :: else fi
          fi;
          i++
       :: else -> break
       od;
       o = 0;
       do
       :: o < 2 ->
          assert(page[o].live == (d == 0)); /* equal */
          assert(d == 1 || page[o].shown == best); /* equal */
          o++
       :: else -> break
       od;
       i = 0 }
     break
  :: d_step { typed < EDITS && !FREE(0) && !FREE(1) && SETTLED(0) && SETTLED(1) ->
              assert(!page[0].live && !page[1].live) } /* nobody can type any more */
     break
  od
}
