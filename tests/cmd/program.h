// program.h - the built program, run as a user would: its words and its exit code.
#ifndef TM_TESTS_CMD_PROGRAM_H
#define TM_TESTS_CMD_PROGRAM_H

#include "t.h"

// Where the program is: the build tells each test, but not the helper.
#ifdef TM_PROGRAM
const char *program_path = TM_PROGRAM;
#else
extern const char *program_path;
#endif

typedef struct outcome {
    int code;   // exit code; 128 + signal
    char *text; // stdout, and stderr too unless it was sent elsewhere
} outcome;

// program_run - `arguments` is a shell's line behind the program's name; a "@" in it is the
// test's own directory. free: outcome_free.
outcome program_run(const char *arguments, ...)
    __attribute__((format(printf, 1, 2)));
void outcome_free(outcome *of);

// Fails the test and shows the text unless it has this part, and this code.
void outcome_is(const outcome *of, int code, const char *part);

// directory_make / directory_clear - a directory for one test, and its removal.
const char *directory_make(void);
void directory_clear(void);

// path_in - "DIRECTORY/name", good until the fourth call after it.
const char *path_in(const char *name);
void file_write(const char *name, const char *text);

#endif
