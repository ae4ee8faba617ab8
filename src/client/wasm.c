// wasm.c - core.wasm: door.h over the memory of rt.c. Linked nowhere else.
#include "client/door.h"

_Noreturn void tm_panic(const char *file, int line, const char *what) {
    (void)file, (void)line, (void)what;
    __builtin_trap(); // JavaScript sees a WebAssembly.RuntimeError
}
