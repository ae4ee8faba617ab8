// simulate_notes.c - see simulate_notes.h.
#include "cmd/simulate_notes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/host.h"

// What is written of a note; its text follows.
typedef struct header {
    tm_sim_note note;
    size_t len; // SIZE_MAX = it has none
} header;

static void note_write(void *context, const tm_sim_note *note) {
    FILE *to = context;
    header head = {*note, note->text.ptr == NULL ? SIZE_MAX : note->text.len};
    (void)fwrite(&head, sizeof head, 1, to);
    if (head.len != SIZE_MAX) (void)fwrite(note->text.ptr, 1, head.len, to);
    (void)fflush(to); // the process may end at the next assertion
}

// false: what was written is cut short, as by a process that ended.
static bool note_read(tm_simulate_notes *notes, size_t total, size_t *at) {
    header head;
    if (total - *at < sizeof head) return false;
    memcpy(&head, notes->bytes + *at, sizeof head);
    size_t len = head.len == SIZE_MAX ? 0 : head.len;
    if (total - *at - sizeof head < len) return false;
    *at += sizeof head;
    head.note.text = head.len == SIZE_MAX ? (tm_span){NULL, 0}
                                          : (tm_span){notes->bytes + *at, len};
    *at += len;
    if (notes->notes != NULL) notes->notes[notes->count] = head.note;
    notes->count++;
    return true;
}

static bool notes_read(FILE *from, tm_simulate_notes *notes) {
    if (fseek(from, 0, SEEK_END) != 0) return false;
    long size = ftell(from);
    if (size < 0 || fseek(from, 0, SEEK_SET) != 0) return false;
    size_t total = (size_t)size, at = 0;
    *notes = (tm_simulate_notes){.bytes = malloc(total + 1)};
    TM_ASSERT(notes->bytes != NULL);
    if (fread(notes->bytes, 1, total, from) != total) return false;
    while (note_read(notes, total, &at)) {
    }
    notes->notes = calloc(notes->count + 1, sizeof *notes->notes);
    TM_ASSERT(notes->notes != NULL);
    notes->count = at = 0;
    while (note_read(notes, total, &at)) {
    }
    return true;
}

void tm_simulate_notes_deinit(tm_simulate_notes *notes) {
    free(notes->notes);
    free(notes->bytes);
    *notes = (tm_simulate_notes){0};
}

static bool result_read(int from, tm_sim_result *result) {
    size_t len = 0;
    while (len < sizeof *result) {
        ssize_t got = read(from, (uint8_t *)result + len, sizeof *result - len);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        len += (size_t)got;
    }
    return true;
}

_Noreturn static void run(uint64_t seed, tm_simulate_store store,
                          const tm_sim_step *steps, size_t count, bool again,
                          int to, FILE *notes) {
    static tm_sim_result own;
    tm_sim_noting noting = {note_write, notes};
    (void)close(STDERR_FILENO); // a broken assertion is no news any more
    tm_simulate_one(seed, store, steps, count, NULL, again,
                    notes == NULL ? NULL : &noting, &own);
    bool said = write(to, &own, sizeof own) == (ssize_t)sizeof own;
    _exit(said ? 0 : 1);
}

bool tm_simulate_apart(uint64_t seed, tm_simulate_store store,
                       const tm_sim_step *steps, size_t count, bool again,
                       tm_sim_result *result, tm_simulate_notes *notes) {
    int ends[2];
    FILE *file = notes == NULL ? NULL : tmpfile();
    if (notes != NULL && file == NULL) return false;
    bool made = pipe(ends) == 0;
    if (made) {
        (void)fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            (void)close(ends[0]);
            run(seed, store, steps, count, again, ends[1], file);
        }
        made = pid > 0;
        (void)close(ends[1]);
        if (made && !result_read(ends[0], result)) {
            *result = (tm_sim_result){.broken = TM_SIM_OWN, .broken_step = count};
            (void)snprintf(result->what, sizeof result->what, "the process ended");
        }
        (void)close(ends[0]);
        while (made && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (made && notes != NULL && !notes_read(file, notes)) {
        tm_simulate_notes_deinit(notes);
        made = false;
    }
    if (file != NULL) (void)fclose(file);
    return made;
}
