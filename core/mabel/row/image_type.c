/* image_type.c - see image_type.h. SVG is none of them: it is text, and no LLM server takes it. */
#include "core/mabel/row/image_type.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static bool begins(const char *bytes, size_t len, const char *with, size_t n) {
    return len >= n && memcmp(bytes, with, n) == 0;
}

/* Two letters are a weak sign, so the size of the second header, which has few values, is looked at, too. */
static bool is_bmp(const char *bytes, size_t len) {
    uint32_t header;
    if (!begins(bytes, len, "BM", 2) || len < 18) return false;
    memcpy(&header, bytes + 14, sizeof header);
    header = le32toh(header);
    return header == 12 || header == 40 || header == 52 || header == 56 || header == 64 || header == 108 ||
           header == 124;
}

/* The brand of an ISO media file. */
static const char *type_of_brand(const char *bytes, size_t len) {
    static const struct {
        char brand[5];
        const char *type;
    } brands[] = {{"avif", "image/avif"}, {"avis", "image/avif"}, {"heic", "image/heic"},
                  {"heix", "image/heic"}, {"heim", "image/heic"}, {"mif1", "image/heif"}};
    for (size_t i = 0; len >= 12 && i < sizeof brands / sizeof *brands; i++)
        if (memcmp(bytes + 4, "ftyp", 4) == 0 && memcmp(bytes + 8, brands[i].brand, 4) == 0)
            return brands[i].type;
    return NULL;
}

const char *image_type_of(const char *bytes, size_t len) {
    if (begins(bytes, len, "\x89PNG\r\n\x1a\n", 8)) return "image/png";
    if (begins(bytes, len, "\xff\xd8\xff", 3)) return "image/jpeg";
    if (begins(bytes, len, "GIF87a", 6) || begins(bytes, len, "GIF89a", 6)) return "image/gif";
    if (begins(bytes, len, "RIFF", 4) && len >= 12 && memcmp(bytes + 8, "WEBP", 4) == 0) return "image/webp";
    if (begins(bytes, len, "II*\0", 4) || begins(bytes, len, "MM\0*", 4)) return "image/tiff";
    if (is_bmp(bytes, len)) return "image/bmp";
    return type_of_brand(bytes, len);
}

static size_t name_len(const char *type) {
    size_t n = strcspn(type, ";");
    while (n > 0 && type[n - 1] == ' ')
        n--;
    return n;
}

bool image_type_same(const char *a, const char *b) {
    static const char *const same[][2] = {
        {"image/jpg", "image/jpeg"}, {"image/x-ms-bmp", "image/bmp"}, {"image/heif", "image/heic"}};
    size_t n = name_len(a), m = name_len(b);
    if (n == m && strncasecmp(a, b, n) == 0) return true;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        for (int k = 0; k < 2; k++)
            if (n == strlen(same[i][k]) && strncasecmp(a, same[i][k], n) == 0 && m == strlen(same[i][!k]) &&
                strncasecmp(b, same[i][!k], m) == 0)
                return true;
    return false;
}
