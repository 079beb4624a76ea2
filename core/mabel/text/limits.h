/* limits.h - what bounds core/mabel/text: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_TEXT_LIMITS_H
#define SDG_MABEL_TEXT_LIMITS_H

#include <stddef.h>

/* templates inside templates: bounds the C stack; deeper is an error of the file */
#define TEMPLATE_DEPTH_MAX 16

/* templates rendered for one text: templates that mention each other may multiply without writing a byte */
#define TEMPLATE_RENDERS_MAX 10000

/* elements of a list that a single operator may produce: some 16 MB; more fails the block */
#define MEX_LIST_MAX 1000000

#ifdef SDG_FUZZ
/* sanitizers make text some 20 times slower: the fuzzer looks for other things */
#define MEX_TEXT_BYTES_MAX ((size_t)1 << 20)
#else
/* bytes of a text that a single operator may produce; more fails the block */
#define MEX_TEXT_BYTES_MAX ((size_t)16 << 20)
#endif

/* PCRE2 match limit: a catastrophic pattern fails in about 10 ms */
#define REGEX_MATCH_LIMIT 1000000

/* heap of one match in PCRE2's interpreter; more fails the match */
#define REGEX_HEAP_KIB_MAX 20000

/* bytes of a pattern or a JSONPath query: nobody writes more by hand; a longer one is refused */
#define REGEX_PATTERN_BYTES_MAX 65536

/* bytes of a thread's JIT stack; a match that needs more is done by the interpreter with its heap limit */
#define REGEX_JIT_STACK_MAX ((size_t)8 << 20)

/* text of all hits of one findall: look-ahead groups can overlap */
#define REGEX_HITS_BYTES_MAX ((size_t)64 << 20)

/* segments of one JSONPath query: each is a level of the C stack; more are refused */
#define JSONPATH_SEGMENTS_MAX 64

/* filters inside filters, parentheses inside parentheses: bounds the C stack; deeper is refused */
#define JSONPATH_NESTING_MAX 16

/* terms joined by && or || in one place: the tree leans to the left, so each is a level of the C stack */
#define JSONPATH_TERMS_MAX 256

/* nesting of the value that `..` descends into: bounds the C stack; values that were parsed (JSON_DEPTH_MAX)
 * are below it */
#define JSONPATH_DEPTH_MAX 256

/* nodes that one query may look at: well below a second; more fails the block */
#define JSONPATH_STEPS_MAX 5000000

#endif
