/* limits.h - what bounds actors/mock: each limit with its reason, and what "full" does. */
#ifndef SDG_ACTORS_MOCK_LIMITS_H
#define SDG_ACTORS_MOCK_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* one request (images included); larger is answered with 413 */
#define MOCK_BODY_BYTES_MAX ((size_t)64 << 20)

/* a rules or answer file; larger is refused at start */
#define MOCK_FILE_BYTES_MAX ((size_t)16 << 20)

/* tags that the default answer is written in: more than any prompt of a pipeline asks for; further ones are
   left out */
#define MOCK_TAGS_MAX 32

/* bytes of the name of such a tag; a longer one is none */
#define MOCK_TAG_BYTES_MAX 40

/* characters of the question that such an answer repeats: enough to know which row it was */
#define MOCK_TAG_QUESTION_MAX 80

/* rules are tried one after the other; more is refused at start */
#define MOCK_RULES_MAX 10000

/* kinds in one --fail; more is refused */
#define MOCK_FAULTS_MAX 32

/* open connections: above the 10,000 a large run may hold; further ones wait in accept */
#define MOCK_CONNS_DEFAULT 16384

/* memory of one connection: request headers above it are answered with 431 */
#define MOCK_CONN_BYTES ((size_t)16 << 10)

/* one simulated delay: an hour, the longest default client timeout */
#define MOCK_DELAY_NS_MAX (UINT64_C(3600) * 1000000000)

/* --answer-tokens: an answer of 4 MB */
#define MOCK_TOKENS_MAX 1000000

/* MOCK_DELAY_NS_MAX in milliseconds, the unit of flags */
#define MOCK_DELAY_MS_MAX 3600000

/* --ms-per-token: more is longer than any delay for a handful of tokens */
#define MOCK_TOKEN_MS_MAX 100000

/* --max-running, --max-queue, --max-connections: above what one process can hold open */
#define MOCK_COUNT_MAX 1000000

#endif
