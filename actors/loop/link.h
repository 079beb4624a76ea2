/* link.h - messages over ZeroMQ sockets: one frame each, bounded, never blocking. The only place that touches
 * zmq_msg_t.
 *
 * Receiving has three outcomes: a message, nothing there (or interrupted), malformed. Sending never blocks: a
 * full or vanished peer loses the message, and the protocol repeats what matters (leases, acknowledgements,
 * absolute credits).
 *
 * Every socket made here has: high-water marks, LINGER, MAXMSGSIZE, HANDSHAKE_IVL, reconnect back-off, TCP
 * keepalive, and no ZMTP heartbeats (they abort the process with a slow reader, libzmq issue 3937): we beat
 * with our own messages.
 */
#ifndef SDG_ACTORS_LOOP_LINK_H
#define SDG_ACTORS_LOOP_LINK_H

#include <czmq.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "proto/message.h"

/* A socket with the options above, not attached to anything yet. type: ZMQ_ROUTER, ZMQ_DEALER, ZMQ_PUSH,
 * ZMQ_PULL. linger_ms: how long close may wait to deliver what was sent. queue_max: messages each of its
 * queues holds, usually SOCKET_HWM. */
zsock_t *link_socket(int type, int linger_ms, int queue_max);

typedef enum link_side { LINK_CONNECT, LINK_BIND } link_side_t;
/* Connects or binds the socket, once for each endpoint: every connection of the program begins here. Returns
 * the port of a bound tcp endpoint, 0 for every other success, SDG_EIO with a sentence for people. */
int link_attach(zsock_t *socket, link_side_t side, const char *endpoint, err_t *err);

/* A PUSH socket to the monitor of this process, or NULL when `endpoint` is NULL. An actor does its work
 * without a monitor as well as with one, so a failure is only logged (by the name of `actor`). queue_max 0:
 * SOCKET_HWM. */
zsock_t *link_to_monitor(const char *endpoint, int linger_ms, int queue_max, const char *actor);

/* SDG_OK, or SDG_EINVAL and a sentence: connections are not encrypted, so only ipc:// and addresses of this
 * machine are accepted. */
int link_check_endpoint(const char *endpoint, err_t *err);

/* One received frame; `message` points into it. Never copied and never returned by value: the bytes of a
 * frame of up to 33 bytes live inside zmq_msg_t itself, so the slices of a copy's message point into the
 * original. */
typedef struct link_frame {
    zmq_msg_t frame;
    uint64_t peer; /* ROUTER: number of the connection; 0 otherwise */
    message_t message;
} link_frame_t;

typedef enum link_status { LINK_MESSAGE, LINK_EMPTY, LINK_MALFORMED } link_status_t;
/* MESSAGE: release with link_frame_free. MALFORMED: err is the reason, peer is set, nothing to release. */
link_status_t link_recv(zsock_t *socket, link_frame_t *in, err_t *err);        /* DEALER, PULL */
link_status_t link_recv_routed(zsock_t *router, link_frame_t *in, err_t *err); /* ROUTER: sets in->peer */
void link_frame_free(link_frame_t *in);
/* Does it come from another process (ipc or tcp)? */
bool link_is_remote(link_frame_t *in);

/* Encodes into `scratch` and sends; peer 0 unless the socket is a ROUTER. Returns false when it could not be
 * handed over. Of a ROUTER errno then says why: EHOSTUNREACH when that connection is gone for good (and all
 * that came from there has been received), EAGAIN when its queue is full. */
bool link_send(zsock_t *socket, uint64_t peer, const message_t *m, buf_t *scratch);
/* Sends bytes that message_encode made before (a resend). */
bool link_send_bytes(zsock_t *socket, uint64_t peer, const char *bytes, size_t len);

#endif
