// words.c - see sim.h and faults.h: their lists as words.
#include "sim/sim.h"

const char *tm_sim_step_word(tm_sim_step_kind kind) {
    static const char *const words[] = {
#define X(name, word) word,
        TM_SIM_STEP_LIST(X)
#undef X
    };
    return kind < TM_SIM_STEPS ? words[kind] : "?";
}

const char *tm_sim_fault_word(tm_sim_fault fault) {
    static const char *const words[] = {
#define X(name, word, layer) word,
        TM_SIM_FAULT_LIST(X)
#undef X
    };
    return fault < TM_SIM_FAULTS ? words[fault] : "?";
}

const char *tm_sim_fault_layer(tm_sim_fault fault) {
    static const char *const layers[] = {
#define X(name, word, layer) layer,
        TM_SIM_FAULT_LIST(X)
#undef X
    };
    return fault < TM_SIM_FAULTS ? layers[fault] : "?";
}

const char *tm_sim_state_word(tm_sim_state state) {
    static const char *const words[] = {
#define X(name, word) word,
        TM_SIM_STATE_LIST(X)
#undef X
    };
    return state < TM_SIM_STATES ? words[state] : "?";
}

const char *tm_sim_invariant_name(tm_sim_invariant invariant) {
    static const char *const names[] = {"none",
#define X(name, what) #name,
                                        TM_SIM_INVARIANT_LIST(X)
#undef X
    };
    return invariant <= TM_SIM_OWN ? names[invariant] : "?";
}

const char *tm_sim_invariant_text(tm_sim_invariant invariant) {
    static const char *const texts[] = {"all held",
#define X(name, what) what,
                                        TM_SIM_INVARIANT_LIST(X)
#undef X
    };
    return invariant <= TM_SIM_OWN ? texts[invariant] : "?";
}
