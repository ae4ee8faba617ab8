// backup.c - `tidemark backup`: a copy of the database, while it is in use.
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cmd/database.h"
#include "store/sqlite.h"

static void on_progress(void *context, uint64_t done, uint64_t total) {
    tm_progress *progress = context;
    char so_far[16], all[16];
    if (!tm_progress_due(progress)) return;
    tm_say_size(so_far, done);
    tm_say_size(all, total);
    tm_progress_line(progress, "%s of about %s", so_far, all);
}

static int backup_main(const tm_command *command, int argc, char **argv) {
    const char *data = "data";
    const tm_option options[] = {{"data", "DIR", TM_OPTION_TEXT, &data,
                                  "where the database is; default data"},
                                 {0}};
    char **rest, problem[256] = "", size[16], took[32];
    int code = tm_options_read(command, options, argc, argv, &rest);
    if (code >= 0) return code;
    char *path = tm_path_join(data, TM_DATABASE_FILE);
    if (path == NULL) return tm_failure(command, "out of memory");
    tm_progress progress;
    tm_progress_init(&progress);
    uint64_t begun = tm_host_now().mono_ms;
    tm_status status =
        tm_sqlite_backup(path, rest[0], on_progress, &progress, problem);
    tm_progress_clear(&progress);
    free(path);
    if (status != TM_OK) return tm_failure_at(command, rest[0], problem);
    struct stat file = {0};
    (void)stat(rest[0], &file);
    tm_say_size(size, file.st_size > 0 ? (uint64_t)file.st_size : 0);
    tm_say_duration(took, tm_host_now().mono_ms - begun);
    (void)printf("%s: %s, in %s\n", rest[0], size, took);
    return TM_EXIT_OK;
}

const tm_command tm_command_backup = {
    .name = "backup",
    .summary = "copy the database into a file, while the daemon runs",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .about =
        "Writes all lists, with their logs and snapshots as they stand at one "
        "moment, into\nFILE, which must not exist. `tidemark restore` brings them "
        "back.\n",
    .example = "  tidemark backup --data data monday.db\n",
    .run = backup_main,
};
