/* fuzz_template.c - any bytes as a template: rendering, value and parts agree with each other. */
#include "core/base/json.h"
#include "core/mabel/text/template.h"

#include <stdlib.h>
#include <string.h>

static const char ROW[] = "{\"n\":7,\"s\":\"text\",\"xs\":[5,[3],\"x\"],\"o\":{\"a\":{\"b\":[1,{\"c\":9}]}},"
                          "\"p.q\":[1],\"\xe5\x90\x8d\":\"x\"}";

static void free_parts(template_part_t *parts, size_t count) {
    for (size_t i = 0; i < count; i++)
        value_free(parts[i].text);
    free(parts);
}

/* The text of a template without images is its only part. */
static void check_parts(const template_t *t, scope_t *s, const buf_t *text) {
    template_part_t *parts;
    size_t count;
    err_t err;
    if (template_parts(t, s, &parts, &count, &err) != SDG_OK) return;
    if (!template_has_images(t) && count != (text->len > 0)) abort();
    if (!template_has_images(t) && count && parts[0].text.string->len != text->len) abort();
    free_parts(parts, count);
}

static void check_plain(const template_t *t, const uint8_t *bytes, size_t size, const buf_t *text) {
    if (!template_is_plain(t)) return;
    if (text->len != size || (size && memcmp(text->data, bytes, size) != 0)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    value_t context, v;
    err_t err;
    bool resolved;
    if (json_parse_text(ROW, strlen(ROW), &context, NULL) != SDG_OK) abort();
    scope_t s = {.context = &context};
    template_t *t = template_compile((const char *)bytes, size);
    buf_t text;
    buf_init(&text, (size_t)1 << 22);
    if (template_render(t, &s, TEMPLATE_EMPTY, &text, &err) == SDG_OK) {
        check_plain(t, bytes, size, &text);
        check_parts(t, &s, &text);
    }
    if (template_value(t, &s, TEMPLATE_VERBATIM, &v, &resolved, &err) == SDG_OK) value_free(v);
    buf_free(&text);
    template_destroy(&t);
    value_free(context);
    return 0;
}
