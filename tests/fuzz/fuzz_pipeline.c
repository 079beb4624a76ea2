/* fuzz_pipeline.c - any bytes as a pipeline: it loads, or there is an error; never a crash or a leak. */
#include "core/mabel/pipeline/pipeline.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    diags_t diags;
    diags_init(&diags, "fuzz.yaml", (const char *)bytes, size);
    pipeline_source_t source = {.path = "fuzz/fuzz.yaml",
                                .bytes = (const char *)bytes,
                                .len = size,
                                .use_env = true,
                                .accept_python = true};
    pipeline_t *p = pipeline_load(&source, &diags);
    if ((p == NULL) != (diags.errors > 0)) abort();
    pipeline_destroy(&p);
    buf_t out;
    buf_init(&out, (size_t)1 << 20);
    diags_write(&diags, DIAG_HINT, &out);
    buf_free(&out);
    diags_free(&diags);
    return 0;
}
