/* text_utf8.cc - utf8_valid of text.h, by simdjson, which looks at 16 to 64 bytes at a time.
 *
 * simdjson reads nothing behind the text here, so the text needs no padding. Its judgement is that of
 * utf8_decode: no overlong forms, no surrogates, nothing above U+10FFFF. */
extern "C" {
#include "core/base/text.h"
}

#include <simdjson.h>

bool utf8_valid(const char *bytes, size_t len) { return simdjson::validate_utf8(bytes, len); }
