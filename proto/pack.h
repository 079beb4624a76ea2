/* pack.h - writing msgpack into a buf_t. prescan.h is the other direction's first step. */
#ifndef SDG_PROTO_PACK_H
#define SDG_PROTO_PACK_H

#include "core/base/buf.h"

struct msgpack_packer;

/* What is packed from now on is appended to `out`, which must outlive the packer. Packing never fails: an
 * `out` at its maximum takes nothing more and says so (out->full). */
void pack_begin(struct msgpack_packer *packer, buf_t *out);

#endif
