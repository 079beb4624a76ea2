/* prescan.h - checks a msgpack frame before it is unpacked: msgpack-c itself has no limits, and 5 bytes can
 * ask it for 8 GB. */
#ifndef SDG_PROTO_PRESCAN_H
#define SDG_PROTO_PRESCAN_H

#include <stddef.h>

#include "core/base/error.h"

/* 0 when the frame is exactly one value: nested at most MESSAGE_DEPTH_MAX deep, no list of more elements than
 * bytes are left or than MESSAGE_ELEMENTS_MAX, no map, no extension type. Else SDG_EPARSE and the reason. It
 * never reads outside the frame. */
int prescan(const char *frame, size_t len, err_t *err);

#endif
