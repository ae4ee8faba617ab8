// note.h - what happened in a run, as far as a golden case can say it: who edited what, what
// was sent, heard and made durable. Whoever wants to tell a run again is given these.
//
// Knows core/base.h.
#ifndef TM_SIM_NOTE_H
#define TM_SIM_NOTE_H

#include "core/base.h"

typedef enum tm_sim_note_kind {
    TM_SIM_NOTE_OPEN,         // a page of `profile`
    TM_SIM_NOTE_DIE,          //
    TM_SIM_NOTE_EDIT,         // text: the edit, before the engine has it
    TM_SIM_NOTE_TAKEN_BACK,   // number: so many of its last edits, as one batch
    TM_SIM_NOTE_SAVE,         // it sends one
    TM_SIM_NOTE_ACK,          // it hears of one
    TM_SIM_NOTE_PULL,         // number: where its cursor is now
    TM_SIM_NOTE_DURABLE,      // text: an operation of the log
    TM_SIM_NOTE_COPY,         // number: the profile that is a copy of this one
    TM_SIM_NOTE_CLOCK,        // number: ms that its wall clock is ahead
    TM_SIM_NOTE_SERVER_CLOCK, // the same of the server's
    TM_SIM_NOTE_POLICY,       // the server refuses what begins with `!`
    TM_SIM_NOTE_BOUND,        // number: so many operations a push; 0 = all
    TM_SIM_NOTE_CRASH,        // of the server
    TM_SIM_NOTE_COMPACT,      // or a snapshot is saved
    TM_SIM_NOTE_BACKUP,       //
    TM_SIM_NOTE_RESTORE,      //
    TM_SIM_NOTE_EMPTY,        //
} tm_sim_note_kind;

typedef struct tm_sim_note {
    tm_sim_note_kind kind;
    uint32_t profile, account; // where it is about one
    uint64_t at_ms;            // since the beginning
    int64_t number;
    tm_span text; // lent for the call
} tm_sim_note;

// Who is told of them. Zero = nobody.
typedef struct tm_sim_noting {
    void (*note)(void *context, const tm_sim_note *note);
    void *context;
} tm_sim_noting;

#endif
