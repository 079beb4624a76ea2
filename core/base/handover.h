/* handover.h - tells ThreadSanitizer that memory goes from one thread to another by a message.
 *
 * libzmq is not instrumented, so TSan does not see that what was written before a send is visible after the
 * receive. Nothing in other builds. */
#ifndef SDG_BASE_HANDOVER_H
#define SDG_BASE_HANDOVER_H

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define HANDOVER_RELEASE(p) __tsan_release(p)
#define HANDOVER_ACQUIRE(p) __tsan_acquire(p)
#else
#define HANDOVER_RELEASE(p) (void)(p)
#define HANDOVER_ACQUIRE(p) (void)(p)
#endif

#endif
