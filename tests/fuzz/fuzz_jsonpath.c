/* fuzz_jsonpath.c - "query NUL document": what compiles selects nodes of the document or says why not.
 * Without a document a fixed one is asked. */
#include "core/base/json.h"
#include "core/mabel/text/jsonpath.h"

#include <stdlib.h>
#include <string.h>

static const char DOCUMENT[] =
    "{\"a\":[1,2.5,\"x\",null,true,{\"b\":[{\"c\":\"kilo\"},[]]}],\"o\":{\"k\":1,\"\":2},\"s\":\"text\"}";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *text = (const char *)bytes;
    const char *nul = size ? memchr(text, '\0', size) : NULL;
    size_t len = nul ? (size_t)(nul - text) : size;
    value_t root, hits;
    err_t err = {0};
    if (!nul || json_parse_text(nul + 1, size - len - 1, &root, NULL) != SDG_OK)
        if (json_parse_text(DOCUMENT, strlen(DOCUMENT), &root, NULL) != SDG_OK) abort();
    jsonpath_t *path = jsonpath_compile(text, len, &err);
    if (!path && !err.text[0]) abort();
    if (path) {
        if (jsonpath_select(path, root, &hits, &err) == SDG_OK && hits.kind != VALUE_LIST) abort();
        value_free(hits);
    }
    jsonpath_destroy(&path);
    value_free(root);
    return 0;
}
