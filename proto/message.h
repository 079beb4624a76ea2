/* message.h - messages as structs, made from messages.def; encode to one frame, decode and validate a frame
 * once at the edge.
 *
 * Decoded texts, bytes and rows are slices into the frame: they live as long as the frame's bytes. Lists are
 * arrays owned by the message (message_free). Receiving has three outcomes: a message (0), a malformed frame
 * (SDG_EPARSE and a reason in words), and an interruption, which only the socket sees (actors/loop/link.h).
 */
#ifndef SDG_PROTO_MESSAGE_H
#define SDG_PROTO_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/row_io.h"

enum { PROTO_VERSION = 2 }; /* major: raised when a message changes its meaning */

/* An element of CALLS. */
typedef struct call_item {
    uint64_t tag, row, hash_high, hash_low;
    uint32_t occurrence;
    slice_t answer;
} call_item_t;

/* An element of CONTEXTS. */
typedef struct context_item {
    uint64_t tag, row;
    uint32_t part;
    slice_t bytes;
} context_item_t;

typedef struct u64_list {
    uint64_t *items;
    size_t count;
} u64_list_t;
typedef struct row_in_list {
    row_in_t *items;
    size_t count;
} row_in_list_t;
typedef struct row_done_list {
    row_done_t *items;
    size_t count;
} row_done_list_t;
typedef struct call_list {
    call_item_t *items;
    size_t count;
} call_list_t;
typedef struct context_list {
    context_item_t *items;
    size_t count;
} context_list_t;

/* Who says and hears messages: HELLO.role (client and worker), STATS.role, and SAID of the catalogue. */
enum {
    ROLE_ANYBODY = 0, /* in the catalogue only: whoever is connected */
    ROLE_CLIENT = 1,
    ROLE_WORKER = 2,
    ROLE_SCHEDULER = 3,
    ROLE_STORE = 4,
    ROLE_MONITOR = 5
};
typedef enum job_needs { JOB_NEEDS_PYTHON = 1 } job_needs_t; /* bits of JOB_OPEN.needs */

#define FIELD_TYPE_U64 uint64_t
#define FIELD_TYPE_TEXT slice_t
#define FIELD_TYPE_BYTES slice_t
#define FIELD_TYPE_U64S u64_list_t
#define FIELD_TYPE_ROWS row_in_list_t
#define FIELD_TYPE_DONE row_done_list_t
#define FIELD_TYPE_CALLS call_list_t
#define FIELD_TYPE_CONTEXTS context_list_t

/* One struct for each message, by the catalogue's name: struct MSG_HELLO { uint64_t role; ... }. */
#define F(kind, name) FIELD_TYPE_##kind name;
#define MESSAGE(NAME, type, SAYERS, FIELDS) \
    typedef struct MSG_##NAME {             \
        FIELDS                              \
    } MSG_##NAME;
#include "proto/messages.def"
#undef MESSAGE
#undef F

typedef enum message_type {
    MESSAGE_NONE = 0,
#define MESSAGE(NAME, type, SAYERS, FIELDS) MESSAGE_##NAME = type,
#include "proto/messages.def"
#undef MESSAGE
} message_type_t;

typedef struct message {
    message_type_t type;
    uint64_t epoch;
    union {
#define MESSAGE(NAME, type, SAYERS, FIELDS) MSG_##NAME NAME;
#include "proto/messages.def"
#undef MESSAGE
    };
} message_t;

const char *message_name(message_type_t type); /* "HELLO", or "?" */
/* Does the catalogue know that role `by` says this message to role `to`? False for an unknown type. */
bool message_is_said(message_type_t type, uint64_t by, uint64_t to);

/* Appends the frame of `m` to `out`, which should be empty. It fails only by out's maximum (out->full). */
void message_encode(const message_t *m, buf_t *out);

/* Reads a frame. On failure returns SDG_EPARSE, err is the reason in words, *m is empty; *m needs
 * message_free only on success. */
int message_decode(const char *frame, size_t len, message_t *m, err_t *err);
void message_free(message_t *m);

#endif
