/* limits.h - what bounds core/mabel/text: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_TEXT_LIMITS_H
#define SDG_MABEL_TEXT_LIMITS_H

#include <stddef.h>

/* templates inside templates */
#define TEMPLATE_DEPTH_MAX 16

/* templates rendered for one text: they may multiply without writing a byte */
#define TEMPLATE_RENDERS_MAX 10000

/* elements a single operator may produce */
#define MEX_LIST_MAX 1000000

#ifdef SDG_FUZZ
/* sanitizers make text some 20 times slower: the fuzzer looks for other things */
#define MEX_TEXT_BYTES_MAX ((size_t)1 << 20)
#else
/* bytes a single operator may produce */
#define MEX_TEXT_BYTES_MAX ((size_t)16 << 20)
#endif

/* PCRE2 match limit: a catastrophic pattern fails in about 10 ms */
#define REGEX_MATCH_LIMIT 1000000

/* PCRE2 heap limit */
#define REGEX_HEAP_KIB_MAX 20000

/* a pattern; a longer one is refused */
#define REGEX_PATTERN_BYTES_MAX 65536

/* per thread; beyond it the interpreter goes on with its heap limit */
#define REGEX_JIT_STACK_MAX ((size_t)8 << 20)

/* text of all hits of one findall: look-ahead groups can overlap */
#define REGEX_HITS_BYTES_MAX ((size_t)64 << 20)

/* of one query; with the next three it bounds the C stack */
#define JSONPATH_SEGMENTS_MAX 64

/* filters inside filters, parentheses inside parentheses */
#define JSONPATH_NESTING_MAX 16

/* joined by && or || in one place: the tree leans to the left */
#define JSONPATH_TERMS_MAX 256

/* nesting of the value that `..` descends into; JSON_DEPTH_MAX is below */
#define JSONPATH_DEPTH_MAX 256

/* nodes looked at by one query: well below a second */
#define JSONPATH_STEPS_MAX 5000000

#endif
