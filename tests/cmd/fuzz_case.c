// Any bytes as a file of golden cases: read or refused with a sentence; each case is judged
// well-formed or a flaw is named.
#include "cmd/check_case.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tm_alloc alloc = fuzz_alloc();
    tm_arena arena = {.alloc = &alloc};
    const tm_node *one = NULL;
    char problem[256] = "";
    tm_status status =
        tm_check_case_file_read((tm_span){data, size}, &arena, &one, problem);
    TM_ASSERT(status == TM_OK || status == TM_E_CORRUPT || status == TM_E_FORMAT);
    TM_ASSERT(status == TM_OK || (problem[0] != '\0' && strlen(problem) < 256));
    for (; status == TM_OK && one != NULL; one = one->next) {
        tm_check_case_flaw flaw = {.step = -1, .why = ""};
        if (tm_check_case_judge(one, &flaw)) continue;
        TM_ASSERT(flaw.why[0] != '\0' && strlen(flaw.why) < sizeof flaw.why);
        TM_ASSERT(flaw.step >= -1);
    }
    tm_arena_deinit(&arena);
    return 0;
}
