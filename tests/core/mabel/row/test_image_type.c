/* Kinds of pictures by their bytes. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/mabel/row/image_type.h"

static void expect(const char *bytes, size_t len, const char *want) {
    const char *type = image_type_of(bytes, len);
    cr_assert(want ? type && strcmp(type, want) == 0 : !type, "%s", type ? type : "none");
}

Test(image_type, kinds) {
    static const char bmp[] = "BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0";
    expect("\x89PNG\r\n\x1a\n...", 11, "image/png");
    expect("\xff\xd8\xff\xe0", 4, "image/jpeg");
    expect("GIF89a", 6, "image/gif");
    expect("RIFF....WEBPVP8 ", 16, "image/webp");
    expect("II*\0", 4, "image/tiff");
    expect("MM\0*", 4, "image/tiff");
    expect(bmp, sizeof bmp - 1, "image/bmp");
    expect("\0\0\0\x1c"
           "ftypavif",
           12, "image/avif");
    expect("\0\0\0\x1c"
           "ftypheic",
           12, "image/heic");
}

Test(image_type, other_bytes_are_none) {
    expect("", 0, NULL);
    expect("root:x:0:0:root:/root:/bin/bash\n", 32, NULL);
    expect("BMW is a maker of cars, and this is a text", 42, NULL);
    expect("RIFF....WAVEfmt ", 16, NULL);
    expect("<svg xmlns=\"http://www.w3.org/2000/svg\"/>", 42, NULL);
    expect("\0\0\0\x1c"
           "ftypisom",
           12, NULL);
    expect("\x89PNG", 4, NULL);
}

Test(image_type, names_of_one_type) {
    cr_assert(image_type_same("image/jpg", "image/jpeg"));
    cr_assert(image_type_same("IMAGE/PNG", "image/png"));
    cr_assert(image_type_same("image/png; charset=x", "image/png"));
    cr_assert_not(image_type_same("image/png", "image/jpeg"));
    cr_assert_not(image_type_same("text/plain", "image/png"));
    cr_assert_not(image_type_same("", "image/png"));
}
