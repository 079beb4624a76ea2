/* link.c - see link.h. A ROUTER's generated routing ids are 5 bytes (a zero and a counter), so they fit the
 * 64-bit peer number as they are: byte i of the id is byte i of the number, its length is in the top byte.
 * Ids chosen by the other side are refused by length. */
#include "actors/loop/link.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "actors/loop/limits.h"
#include "core/base/ending.h"
#include "core/base/handover.h"
#include "core/base/limits.h"
#include "core/base/log.h"

enum { ROUTING_ID_LEN = 5 };

/* One place for the options that every socket of the program has: see link.h for why. */
zsock_t *link_socket(int type, int linger_ms, int queue_max) {
    zsock_t *s = zsock_new(type);
    if (!s) ending_short_of("no socket", zmq_errno());
    zsock_set_sndhwm(s, queue_max);
    zsock_set_rcvhwm(s, queue_max);
    zsock_set_linger(s, linger_ms);
    zsock_set_maxmsgsize(s, (int)MESSAGE_BYTES_MAX);
    zsock_set_handshake_ivl(s, HANDSHAKE_MS_MAX);
    zsock_set_reconnect_ivl(s, RECONNECT_MS_MIN);
    zsock_set_reconnect_ivl_max(s, RECONNECT_MS_MAX);
    zsock_set_tcp_keepalive(s, 1);
    zsock_set_backlog(s, LINK_BACKLOG);
    if (type == ZMQ_ROUTER) zsock_set_router_mandatory(s, 1);
    return s;
}

int link_attach(zsock_t *socket, link_side_t side, const char *endpoint, err_t *err) {
    int rc = side == LINK_BIND ? zsock_bind(socket, "%s", endpoint) : zsock_connect(socket, "%s", endpoint);
    if (rc >= 0) return rc;
    return err_set(err, SDG_EIO, "cannot %s %s: %s", side == LINK_BIND ? "listen on" : "connect to", endpoint,
                   zmq_strerror(zmq_errno()));
}

zsock_t *link_to_monitor(const char *endpoint, int linger_ms, int queue_max, const char *actor) {
    err_t err;
    if (!endpoint) return NULL;
    zsock_t *push = link_socket(ZMQ_PUSH, linger_ms, queue_max ? queue_max : SOCKET_HWM);
    if (link_attach(push, LINK_CONNECT, endpoint, &err) < 0)
        log_warn(actor, "the monitor will hear nothing: %s", err.text);
    return push;
}

/* Is this a literal address of this machine? A name could be resolved to any machine. */
static bool host_is_local(const char *host, size_t len) {
    char text[INET_ADDRSTRLEN] = "";
    struct in_addr address;
    if (len == 9 && memcmp(host, "localhost", len) == 0) return true;
    if (len == 5 && memcmp(host, "[::1]", len) == 0) return true;
    if (len >= sizeof text) return false;
    memcpy(text, host, len);
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static bool is_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    return strcmp(text, "*") == 0 || (text[0] >= '0' && text[0] <= '9' && *end == '\0' && port <= UINT16_MAX);
}

/* An ipc path or a literal loopback address with a port; everything else is refused. */
int link_check_endpoint(const char *endpoint, err_t *err) {
    if (strncmp(endpoint, "ipc://", 6) == 0 && endpoint[6]) return SDG_OK;
    const char *host = endpoint + 6, *colon = strrchr(endpoint, ':');
    bool tcp = strncmp(endpoint, "tcp://", 6) == 0;
    if (!strstr(endpoint, "://"))
        return err_set(err, SDG_EINVAL, "'%s' is no endpoint: tcp:// is missing, write tcp://%s", endpoint,
                       colon ? endpoint : "127.0.0.1:PORT");
    if (!tcp || colon < host || !host_is_local(host, (size_t)(colon - host)))
        return err_set(err, SDG_EINVAL,
                       "%s is not on this machine; only tcp://127.0.0.1:PORT and ipc://PATH are accepted, "
                       "because connections "
                       "are not encrypted",
                       endpoint);
    if (!is_port(colon + 1))
        return err_set(err, SDG_EINVAL, "%s: the port is a number up to 65535, not '%s'", endpoint,
                       colon + 1);
    return SDG_OK;
}

static uint64_t peer_of(zmq_msg_t *id) {
    uint64_t peer = 0;
    if (zmq_msg_size(id) != ROUTING_ID_LEN) return 0;
    memcpy(&peer, zmq_msg_data(id), ROUTING_ID_LEN);
    return peer | (uint64_t)ROUTING_ID_LEN << 56;
}

/* Drops what is left of a message that has more frames than ours ever do. */
static void drop_rest(void *socket, zmq_msg_t *frame) {
    while (zmq_msg_more(frame)) {
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) return;
    }
}

/* Decodes in->frame, which has to be the only frame of its message. Malformed: the frame is closed. */
static link_status_t take_payload(void *socket, link_frame_t *in, err_t *err) {
    if (zmq_msg_more(&in->frame)) {
        drop_rest(socket, &in->frame);
        err_set(err, SDG_EPARSE, "a message of several frames");
    } else {
        HANDOVER_ACQUIRE(zmq_msg_data(&in->frame));
        const char *bytes = zmq_msg_data(&in->frame);
        if (message_decode(bytes, zmq_msg_size(&in->frame), &in->message, err) == SDG_OK) return LINK_MESSAGE;
    }
    zmq_msg_close(&in->frame);
    return LINK_MALFORMED;
}

link_status_t link_recv(zsock_t *sock, link_frame_t *in, err_t *err) {
    void *socket = zsock_resolve(sock);
    in->peer = 0;
    zmq_msg_init(&in->frame);
    if (zmq_msg_recv(&in->frame, socket, ZMQ_DONTWAIT) >= 0) return take_payload(socket, in, err);
    zmq_msg_close(&in->frame);
    return LINK_EMPTY;
}

/* A ROUTER gives the routing id of the connection as a frame of its own before the message. */
link_status_t link_recv_routed(zsock_t *router, link_frame_t *in, err_t *err) {
    void *socket = zsock_resolve(router);
    in->peer = 0;
    zmq_msg_init(&in->frame);
    if (zmq_msg_recv(&in->frame, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&in->frame);
        return LINK_EMPTY;
    }
    in->peer = peer_of(&in->frame);
    if (in->peer && zmq_msg_more(&in->frame) && zmq_msg_recv(&in->frame, socket, ZMQ_DONTWAIT) >= 0)
        return take_payload(socket, in, err);
    drop_rest(socket, &in->frame);
    zmq_msg_close(&in->frame);
    err_set(err, SDG_EPARSE, "no payload, or a routing id chosen by the sender");
    return LINK_MALFORMED;
}

void link_frame_free(link_frame_t *in) {
    message_free(&in->message);
    zmq_msg_close(&in->frame);
}

/* Of a message that came over a network libzmq knows the address of its sender. */
bool link_is_remote(link_frame_t *in) { return zmq_msg_gets(&in->frame, "Peer-Address"); }

bool link_send_bytes(zsock_t *sock, uint64_t peer, const char *bytes, size_t len) {
    void *socket = zsock_resolve(sock);
    zmq_msg_t frame;
    if (peer && zmq_send(socket, &peer, ROUTING_ID_LEN, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) return false;
    if (zmq_msg_init_size(&frame, len) != 0) ending_short("no memory for a message");
    memcpy(zmq_msg_data(&frame), bytes, len);
    HANDOVER_RELEASE(zmq_msg_data(&frame));
    if (zmq_msg_send(&frame, socket, ZMQ_DONTWAIT) >= 0) return true;
    zmq_msg_close(&frame);
    return false;
}

bool link_send(zsock_t *sock, uint64_t peer, const message_t *m, buf_t *scratch) {
    buf_reset(scratch);
    message_encode(m, scratch);
    assert(!scratch->full); /* senders batch far below MESSAGE_BYTES_MAX */
    return link_send_bytes(sock, peer, scratch->data, scratch->len);
}
