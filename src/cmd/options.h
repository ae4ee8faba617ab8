// options.h - one way to read a command line, for every command.
//
//     --name VALUE   --name=VALUE   --flag   --   -h   --help
//
// Options and arguments may be mixed. A command describes its options in a table of its
// own, made where the variables live that they set, so that nothing is global:
//
//     tm_option options[] = {
//         {"store", "memory|sqlite", TM_OPTION_CHOICE, &store, "where ..."},
//     };
//
// Knows cmd/host.h.
#ifndef TM_CMD_OPTIONS_H
#define TM_CMD_OPTIONS_H

#include "cmd/host.h"

typedef enum tm_option_kind {
    TM_OPTION_FLAG,   // bool
    TM_OPTION_TEXT,   // const char *
    TM_OPTION_CHOICE, // const char *, one of those that `value` names
    TM_OPTION_NUMBER, // uint64_t
    TM_OPTION_WORDS,  // tm_words; may be given again
} tm_option_kind;

#define TM_WORDS_MAX 64u

typedef struct tm_words {
    const char *items[TM_WORDS_MAX];
    size_t count;
} tm_words;

typedef struct tm_option {
    const char *name; // without the dashes
    const char
        *value; // what --help calls it: "DIR", "native|wasm"; NULL for a flag
    tm_option_kind kind;
    void *to;
    const char *what; // one line, for --help; says the default
} tm_option;

typedef struct tm_command {
    const char *name;
    const char *summary;   // one line, for the list of commands
    const char *arguments; // "FILE...", "" = none
    size_t arguments_min, arguments_max;
    const char *about;   // what it does; whole lines
    const char *example; // whole lines, without the program's name in front
    int (*run)(const struct tm_command *command, int argc, char **argv);
} tm_command;

// tm_options_read - read what follows the command's name.
//   options   ended by one without a name
//   rest      receives the arguments, argv's own pointers, ended by NULL; they stand in
//             argv from here on
// -1: go on. Else the program ends with this code: --help was asked for and printed (0),
// or it was not understood and a hint was printed (2).
int tm_options_read(const tm_command *command, const tm_option *options, int argc,
                    char **argv, char ***rest);

// tm_usage_error - "tidemark NAME: ..." on stderr, and where help is. Returns 2.
__attribute__((format(printf, 2, 3))) int tm_usage_error(const tm_command *command,
                                                         const char *format, ...);

// tm_failure - "tidemark NAME: ..." on stderr. Returns 1.
__attribute__((format(printf, 2, 3))) int tm_failure(const tm_command *command,
                                                     const char *format, ...);

// tm_failure_at - the same about a file: its path stands in front, unless the reason names
// it already.
int tm_failure_at(const tm_command *command, const char *path, const char *reason);

// tm_hint - of `names` (ended by NULL) the one most like `word`; NULL = none is.
const char *tm_hint(const char *word, const char *const *names);

#endif
