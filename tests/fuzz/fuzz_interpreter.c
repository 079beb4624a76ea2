/* fuzz_interpreter - any text as runtime.python.interpreter: refused in words, or a program and versions;
 * what accepts a version says so of the same text with blanks in it, too. */
#include "tests/fuzz/input.h"

#include "core/python/pyinterp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    int version[3] = {fuzz_byte(&in) % 5, fuzz_byte(&in) % 20, fuzz_byte(&in) % 20};
    char *text = fuzz_line(&in, NULL), *spaced = malloc(strlen(text) + 3);
    py_interp_t interp, again;
    err_t err = {0};
    if (py_interp_parse(text, &interp, &err) != 0) {
        CHECK(err.text[0], "refused without a word");
    } else {
        CHECK(interp.program[0] && memchr(interp.program, '\0', sizeof interp.program), "no program");
        CHECK(interp.constraints >= 0 && interp.constraints <= PY_CONSTRAINTS_MAX, "%d", interp.constraints);
        bool accepts = py_interp_accepts(&interp, version);
        snprintf(spaced, strlen(text) + 3, " %s ", text);
        bool bare =
            text[strspn(text, "0123456789.")] == '\0'; /* a version alone is one only without blanks */
        if (!bare && interp.constraints > 0) {
            CHECK(py_interp_parse(spaced, &again, &err) == 0, "'%s': %s", spaced, err.text);
            CHECK(strcmp(interp.program, again.program) == 0 && py_interp_accepts(&again, version) == accepts,
                  "'%s'", spaced);
        }
    }
    free(text);
    free(spaced);
    return 0;
}
