// The order of stamps against tests/vectors/stamps.txt, which the browser test reads
// too: every line is smaller than every later one, and equal to itself.
#include "core/stamp.h"
#include "t.h"

static struct {
    char text[128], browser[65];
    tm_stamp stamp;
} lines[32];

static size_t load(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    size_t count = 0;
    while (count < COUNT(lines) && fgets(lines[count].text, 128, file) != NULL) {
        uint64_t ms, logical, version;
        char *browser = lines[count].browser;
        if (sscanf(lines[count].text, "%" SCNu64 " %" SCNu64 " %64s %" SCNu64, &ms,
                   &logical, browser, &version) != 4) {
            continue; // a comment
        }
        lines[count].text[strcspn(lines[count].text, "\n")] = '\0';
        lines[count++].stamp =
            (tm_stamp){.time = ms << TM_LOGICAL_BITS | logical,
                       .version = version,
                       .browser = {(uint8_t *)browser, strlen(browser)}};
    }
    fclose(file);
    return count;
}

static void test_order_of_the_vectors(void **state) {
    (void)state;
    size_t count = load("tests/vectors/stamps.txt");
    T_TRUE(count > 0 && count < COUNT(lines)); // found, and not cut short
    for (size_t i = 0; i < count; i++) {
        t_row = lines[i].text;
        for (size_t j = 0; j < count; j++) {
            int order = tm_stamp_cmp(&lines[i].stamp, &lines[j].stamp);
            T_EQ((order > 0) - (order < 0), (i > j) - (i < j));
        }
        tm_stamp never = {0};
        T_TRUE(tm_stamp_cmp(&never, &lines[i].stamp) < 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_of_the_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
