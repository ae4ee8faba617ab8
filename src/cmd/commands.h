// commands.h - the commands of the program, one file each.
//
// Knows cmd/options.h.
#ifndef TM_CMD_COMMANDS_H
#define TM_CMD_COMMANDS_H

#include "cmd/options.h"

extern const tm_command tm_command_serve;    // serve.c
extern const tm_command tm_command_log;      // log.c
extern const tm_command tm_command_state;    // state.c
extern const tm_command tm_command_verify;   // verify_command.c
extern const tm_command tm_command_backup;   // backup.c
extern const tm_command tm_command_restore;  // restore.c
extern const tm_command tm_command_check;    // check.c
extern const tm_command tm_command_simulate; // simulate.c
extern const tm_command tm_command_trim;     // trim.c
extern const tm_command tm_command_tables;   // tables.c
extern const tm_command tm_command_bill;     // bill.c

#endif
