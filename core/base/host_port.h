/* host_port.h - "HOST:PORT", as people write an address to listen on: 127.0.0.1:9464, [::1]:80, localhost:0.
 */
#ifndef SDG_BASE_HOST_PORT_H
#define SDG_BASE_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>

/* Copies the host, without brackets, into `host`; *port points at the decimal digits in `address`, 0 to
 * 65535. False when the address is not of this form, or the host does not fit. The name is not looked up. */
bool host_port_split(const char *address, char *host, size_t size, const char **port);

#endif
