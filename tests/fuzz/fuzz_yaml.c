/* fuzz_yaml.c - any bytes as a YAML file: no crash, no leak, bounded; what was read converts to a value and
 * back to JSON nodes. */
#include "core/mabel/yaml/yaml.h"

#include "core/base/json.h"

#include <stdlib.h>

static const char *fuzz_env(void *arg, const char *name) {
    (void)arg;
    return name[0] == 'A' ? "value" : NULL;
}

static void round_trip(ydoc_t *doc) {
    value_t v = yaml_value(yaml_root(doc));
    buf_t out;
    buf_init(&out, (size_t)4 << 20);
    json_write(&out, v, JSON_PYTHON);
    err_t err;
    if (!out.full) yaml_from_json(doc, out.data, out.len, yaml_root(doc), &err);
    buf_free(&out);
    value_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const yaml_options_t options = {.env = fuzz_env};
    diags_t diags;
    diags_init(&diags, "fuzz.yaml", (const char *)bytes, size);
    ydoc_t *doc = yaml_parse((const char *)bytes, size, &options, &diags);
    if (!doc && diags.errors == 0) abort();
    if (doc) round_trip(doc);
    yaml_doc_free(&doc);
    buf_t out;
    buf_init(&out, (size_t)1 << 20);
    diags_write(&diags, DIAG_HINT, &out);
    buf_free(&out);
    diags_free(&diags);
    return 0;
}
