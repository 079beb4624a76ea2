/* prescan.h - checks a msgpack frame before it is unpacked: msgpack-c itself has no limits, and 5 bytes can
 * ask it for 8 GB. */
#ifndef SDG_PROTO_PRESCAN_H
#define SDG_PROTO_PRESCAN_H

#include <stddef.h>

#include "core/base/error.h"

/* Exactly one value that fills the frame: depth <= MESSAGE_DEPTH_MAX, no count larger than the bytes left or
 * MESSAGE_ELEMENTS_MAX, no map, no extension type. Returns 0 or SDG_EPARSE and the reason. Never reads
 * outside. */
int prescan(const char *frame, size_t len, err_t *err);

#endif
