/* fuzz_service_file.c - any bytes as a service file: refused with a place and a reason, or every value is one
 * that the flag of its key takes. */
#include <stdlib.h>

#include "actors/verbs/flags.h"
#include "actors/verbs/service_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    diags_t problems;
    buf_t shown;
    diags_init(&problems, "fuzz.yaml", (const char *)bytes, size);
    service_file_t *file = service_file_parse((const char *)bytes, size, &problems);
    if (!file == !problems.errors) abort();
    for (size_t i = 0; file && i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        const char *text = row->key ? service_file_text(file, row->key) : NULL;
        if (text && flag_set(row, NULL, text, NULL) != SDG_OK) abort();
    }
    buf_init(&shown, (size_t)1 << 20);
    diags_write(&problems, DIAG_HINT, &shown);
    buf_free(&shown);
    diags_free(&problems);
    service_file_close(&file);
    return 0;
}
