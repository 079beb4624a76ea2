/* limits.h - what bounds proto: each limit with its reason, and what "full" does. */
#ifndef SDG_PROTO_LIMITS_H
#define SDG_PROTO_LIMITS_H

/* nesting of one frame: the messages of messages.def need 4; deeper is malformed */
#define MESSAGE_DEPTH_MAX 8

/* elements of one list of a frame, counted before any is unpacked: bounds what a decoder allocates; more is
 * malformed */
#define MESSAGE_ELEMENTS_MAX 65536

#endif
