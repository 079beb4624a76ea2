/* <sdg/sdg.h> - all of libsdg: docs/library.md.
 *
 * Three parts: calls of LLM servers (llm.h), a cache (cache.h), contexts of rows in memory and on disk
 * (contexts.h). None needs a thread, an event loop or a server of ours. */
#ifndef SDG_PUBLIC_SDG_H
#define SDG_PUBLIC_SDG_H

#include <sdg/base.h>
#include <sdg/cache.h>
#include <sdg/contexts.h>
#include <sdg/llm.h>

#endif
