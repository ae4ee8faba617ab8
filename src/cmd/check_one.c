// check_one.c - see check_one.h.
#include "cmd/check_one.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/check_case.h"
#include "cmd/check_merge.h"
#include "cmd/check_scenario.h"
#include "cmd/host.h"

bool tm_check_one_door(tm_check_one *check, tm_check_verdict *verdict) {
    char problem[256] = "out of memory";
    if (check->door != NULL) return true;
    tm_status status = check->wasm ? tm_check_node(&check->door, problem)
                                   : tm_check_native(&check->door);
    if (status == TM_OK) return true;
    check->door = NULL;
    return tm_check_verdict_fail(verdict, "%s", problem);
}

// A door that broke, with all its engines, is replaced for the next case.
static void door_drop(tm_check_one *check, tm_status status) {
    if (status == TM_OK) return;
    tm_check_door_close(check->door);
    check->door = NULL;
}

static void directory_clear(const char *directory) {
    DIR *listing = directory == NULL ? NULL : opendir(directory);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char *path = tm_path_join(directory, entry->d_name);
        if (path != NULL) (void)unlink(path);
        free(path);
    }
    if (listing != NULL) (void)closedir(listing);
}

static void merge_run(tm_check_one *check, const tm_node *one,
                      tm_check_verdict *verdict) {
    tm_check_merge merge;
    if (tm_check_merge_init(&merge, one, verdict)) {
        if (check->wasm) {
            door_drop(check, tm_check_merge_door(&merge, check->door));
        } else {
            (void)tm_check_merge_native(&merge);
        }
    }
    tm_check_merge_deinit(&merge);
}

void tm_check_one_run(tm_check_one *check, const tm_node *one,
                      tm_check_verdict *verdict) {
    tm_check_case_flaw flaw;
    if (!tm_check_case_judge(one, &flaw)) {
        verdict->step = flaw.step;
        (void)tm_check_verdict_fail(verdict, "malformed: %s", flaw.why);
        return;
    }
    if (!tm_check_one_door(check, verdict)) return;
    if (tm_node_says(tm_node_get(one, "kind"), "merge")) {
        merge_run(check, one, verdict);
        return;
    }
    door_drop(check, tm_check_scenario(one, check->door, &check->place,
                                       check->traced, verdict));
    directory_clear(check->place.directory);
}
