/* fuzz_image_type - any bytes as an image: null, or the name of a type, which does not depend on what follows
 * the bytes that decide. */
#include "tests/fuzz/input.h"

#include "core/mabel/row/image_type.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    size_t len;
    char *image = fuzz_rest(&in, &len);
    const char *type = image_type_of(image, len);
    CHECK(!type || strncmp(type, "image/", 6) == 0, "%s", type);
    CHECK(!type || image_type_same(type, type), "%s is not itself", type);
    for (size_t cut = 0; cut < len && cut < 64; cut++) { /* of fewer bytes it is that type or none */
        fuzz_input_t part = {bytes, cut};
        char *piece = fuzz_rest(&part, &cut);
        const char *found = image_type_of(piece, cut);
        CHECK(!found || (type && strcmp(found, type) == 0), "%s of %zu bytes, %s of all", found, cut,
              type ? type : "none");
        free(piece);
    }
    free(image);
    return 0;
}
