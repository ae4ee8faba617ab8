// restore.c - `tidemark restore`: the database as it was when a backup was made.
#include "cmd/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/database.h"
#include "store/sqlite.h"

static int restore_main(const tm_command *command, int argc, char **argv) {
    const char *data = "data";
    const tm_option options[] = {{"data", "DIR", TM_OPTION_TEXT, &data,
                                  "where the database is; default data"},
                                 {0}};
    char **rest, problem[256] = "", took[32];
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    (void)umask(077);
    if (mkdir(data, 0700) != 0 && errno != EEXIST) {
        return tm_failure(command, "%s: %s", data, strerror(errno));
    }
    char *path = tm_path_join(data, TM_DATABASE_FILE);
    if (path == NULL) return tm_failure(command, "out of memory");
    uint64_t begun = tm_host_now().mono_ms;
    tm_status status = tm_sqlite_restore(rest[0], path, problem);
    if (status == TM_OK) {
        tm_say_duration(took, tm_host_now().mono_ms - begun);
        (void)printf("%s: restored from %s, in %s\n", path, rest[0], took);
    }
    free(path);
    return status == TM_OK ? TM_EXIT_OK : tm_failure(command, "%s", problem);
}

const tm_command tm_command_restore = {
    .name = "restore",
    .summary = "bring back the database of a backup",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .about =
        "Replaces the database by FILE, which `tidemark backup` wrote and which is "
        "checked\nfirst. Refuses while a daemon runs on it. Nothing that a browser "
        "still has is lost:\nbrowsers notice by the log's hash chain, and offer "
        "what the backup lacks.\n",
    .example = "  tidemark restore --data data monday.db\n",
    .run = restore_main,
};
