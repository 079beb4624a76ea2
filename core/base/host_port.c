/* host_port.c - see host_port.h. */
#include "core/base/host_port.h"

#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535, PORT_DIGITS_MAX = 5 }; /* what a port is, and its decimal digits */

bool host_port_split(const char *address, char *host, size_t size, const char **port) {
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0, digits = colon ? strlen(colon + 1) : 0;
    if (len == 0 || len >= size || digits == 0 || digits > PORT_DIGITS_MAX) return false;
    if (strspn(colon + 1, "0123456789") != digits || atol(colon + 1) > PORT_MAX) return false;
    bool brackets = address[0] == '[' && address[len - 1] == ']';
    if (brackets && len == 2) return false;
    memcpy(host, address + brackets, len - 2 * brackets);
    host[len - 2 * brackets] = '\0';
    if (strpbrk(host, "[]")) return false; /* one bracket alone, or two of a kind */
    *port = colon + 1;
    return true;
}
