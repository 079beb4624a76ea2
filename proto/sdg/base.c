/* base.c - see base.h and public.h. */
#include "proto/sdg/public.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SDG_ERROR_TEXT_MAX == ERR_TEXT_MAX, "a sentence of the inside fits one of the outside");

const char *sdg_version(void) { return SDG_VERSION; }

const char *sdg_code_name(int code) {
    switch (code) {
    case SDG_OK: return "SDG_OK";
    case SDG_EINVAL: return "SDG_EINVAL";
    case SDG_ELIMIT: return "SDG_ELIMIT";
    case SDG_EIO: return "SDG_EIO";
    case SDG_ENOSPACE: return "SDG_ENOSPACE";
    case SDG_ENOTFOUND: return "SDG_ENOTFOUND";
    case SDG_EMISMATCH: return "SDG_EMISMATCH";
    case SDG_ECANCELLED: return "SDG_ECANCELLED";
    case SDG_EPARSE: return "SDG_EPARSE";
    }
    return "unknown code";
}

void sdg_free(void *bytes) { free(bytes); }

int public_error(sdg_error_t *error, int code, const err_t *inner) {
    if (code >= SDG_OK || !error) return code;
    error->code = code;
    const char *text = inner->text[0] ? inner->text : sdg_code_name(code);
    snprintf(error->text, sizeof error->text, "%s", text);
    return code;
}

static size_t size_of(const void *sized) {
    size_t size;
    memcpy(&size, sized, sizeof size);
    return size;
}

int public_read(void *into, size_t known_size, const void *from, const char *what, sdg_error_t *error) {
    size_t size = size_of(from);
    memset(into, 0, known_size);
    if (size < sizeof size) {
        err_t err;
        return public_error(error, err_set(&err, SDG_EINVAL, "%s: size is not set", what), &err);
    }
    memcpy(into, from, size < known_size ? size : known_size);
    return SDG_OK;
}

void public_write(void *into, const void *from, size_t known_size) {
    size_t size = size_of(into);
    assert(size >= sizeof size && "the caller has not set the size of its struct");
    if (size > known_size) size = known_size;
    memcpy((char *)into + sizeof size, (const char *)from + sizeof size, size - sizeof size);
}
