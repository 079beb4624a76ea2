/* sha256.h - SHA-256 (FIPS 180-4), for numbers and names that are made of secrets and must not give them
 * away. For everything else XXH3 is there, which is some thirty times faster and can be turned back. */
#ifndef SDG_BASE_SHA256_H
#define SDG_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

void sha256(const void *bytes, size_t len, uint8_t digest[SHA256_BYTES]);

#endif
