/* pack.c - see pack.h. */
#include "proto/pack.h"

#include <msgpack.h>

static int write_to_buf(void *data, const char *bytes, size_t len) {
    buf_add(data, bytes, len);
    return 0;
}

void pack_begin(struct msgpack_packer *packer, buf_t *out) { msgpack_packer_init(packer, out, write_to_buf); }
