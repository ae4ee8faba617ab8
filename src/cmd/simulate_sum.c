// simulate_sum.c - see simulate_sum.h.
#include "cmd/simulate_sum.h"

#include <string.h>

void tm_simulate_add(tm_simulate_sum *sum, const tm_sim_result *result) {
    sum->seeds++;
    sum->broken += result->broken != TM_SIM_FINE;
    sum->unbounded += result->unbounded;
    sum->events += result->events;
    sum->virtual_ms += result->virtual_ms;
    sum->accepted += result->accepted;
    sum->edits += result->edits;
    sum->messages += result->messages;
    sum->bytes += result->bytes;
    for (int f = 0; f < TM_SIM_FAULTS; f++) {
        sum->faults[f] += result->faults[f];
        sum->fault_seeds[f] += result->faults[f] > 0;
        for (int s = 0; s < TM_SIM_STATES; s++) {
            sum->pairs[f][s] += result->pairs[f][s];
        }
    }
    for (int i = 0; i <= TM_SIM_OWN; i++) {
        sum->checks[i] += result->checks[i];
    }
}

static uint64_t pairs_met(const tm_simulate_sum *sum) {
    uint64_t met = 0;
    for (int f = 0; f < TM_SIM_FAULTS; f++) {
        for (int s = 0; s < TM_SIM_STATES; s++) {
            met += sum->pairs[f][s] > 0;
        }
    }
    return met;
}

void tm_simulate_figures(const tm_simulate_sum *sum, char *out, size_t size) {
    char lived[32], took[32];
    uint64_t ms = tm_host_now().mono_ms - sum->begun_ms, faults = 0;
    for (int f = 0; f < TM_SIM_FAULTS; f++) {
        faults += sum->faults[f];
    }
    tm_say_duration(lived, sum->virtual_ms);
    tm_say_duration(took, ms);
    (void)snprintf(out, size,
                   "%llu seeds in %s: %s lived, %llu moments (%llu/s), %llu faults "
                   "(%llu pairs), %llu edits, %llu accepted",
                   (unsigned long long)sum->seeds, took, lived,
                   (unsigned long long)sum->events,
                   (unsigned long long)(sum->events * 1000 / (ms + 1)),
                   (unsigned long long)faults, (unsigned long long)pairs_met(sum),
                   (unsigned long long)sum->edits,
                   (unsigned long long)sum->accepted);
}

static void faults_print(const tm_simulate_sum *sum, bool disk, FILE *to) {
    const char *layer = "";
    (void)fprintf(to, "%-8s %-42s %9s %7s ", "", "fault", "times", "seeds");
    for (int s = 0; s < TM_SIM_STATES; s++) {
        (void)fprintf(to, " %9.9s", tm_sim_state_word((tm_sim_state)s));
    }
    (void)fputc('\n', to);
    for (int f = 0; f < TM_SIM_FAULTS; f++) {
        tm_sim_fault fault = (tm_sim_fault)f;
        if (!disk && fault >= TM_SIM_DISK_EIO && fault <= TM_SIM_DISK_CRASH)
            continue;
        const char *own = tm_sim_fault_layer(fault);
        (void)fprintf(to, "%-8s %-42s %9llu %7llu ",
                      strcmp(own, layer) == 0 ? "" : own, tm_sim_fault_word(fault),
                      (unsigned long long)sum->faults[f],
                      (unsigned long long)sum->fault_seeds[f]);
        for (int s = 0; s < TM_SIM_STATES; s++) {
            (void)fprintf(to, " %9llu", (unsigned long long)sum->pairs[f][s]);
        }
        (void)fputc('\n', to);
        layer = own;
    }
}

void tm_simulate_table(const tm_simulate_sum *sum, bool disk, FILE *to) {
    faults_print(sum, disk, to);
    (void)fputc('\n', to);
    for (int i = 1; i <= TM_SIM_OWN; i++) {
        if (sum->checks[i] == 0) continue;
        (void)fprintf(to, "%-4s %-58s looked at %llu times\n",
                      tm_sim_invariant_name((tm_sim_invariant)i),
                      tm_sim_invariant_text((tm_sim_invariant)i),
                      (unsigned long long)sum->checks[i]);
    }
    (void)fprintf(to,
                  "\n%llu seeds, of which the faults of %llu did not end (safety "
                  "alone)\n",
                  (unsigned long long)sum->seeds,
                  (unsigned long long)sum->unbounded);
}

void tm_simulate_json(const tm_simulate_sum *sum, FILE *to) {
    (void)fprintf(
        to,
        "\"seeds\":%llu,\"broken\":%llu,\"ms\":%llu,\"virtualMs\":%llu,"
        "\"moments\":%llu,\"edits\":%llu,\"accepted\":%llu,\"messages\":%llu,"
        "\"faults\":{",
        (unsigned long long)sum->seeds, (unsigned long long)sum->broken,
        (unsigned long long)(tm_host_now().mono_ms - sum->begun_ms),
        (unsigned long long)sum->virtual_ms, (unsigned long long)sum->events,
        (unsigned long long)sum->edits, (unsigned long long)sum->accepted,
        (unsigned long long)sum->messages);
    for (int f = 0; f < TM_SIM_FAULTS; f++) {
        (void)fprintf(to, "%s\"%s\":[%llu,%llu]", f == 0 ? "" : ",",
                      tm_sim_fault_word((tm_sim_fault)f),
                      (unsigned long long)sum->faults[f],
                      (unsigned long long)sum->fault_seeds[f]);
    }
    (void)fputc('}', to);
}
