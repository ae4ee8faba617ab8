// setjmp.h - cmocka's users include it, wasi-libc has none, and nobody calls it: here a
// failed test ends the program (cmocka.h beside this file).
