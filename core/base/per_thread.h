/* per_thread.h - what a thread keeps for itself and gives back when it ends.
 *
 * A file that keeps something per thread has a _Thread_local pointer, and registers the object when it makes
 * it:
 *
 *     static _Thread_local table_t *table_of_thread;
 *
 *     static void table_free(void *table);       frees it, and sets table_of_thread to NULL first
 *
 *     static table_t *table(void) {
 *         if (!table_of_thread) per_thread_keep(table_of_thread = table_new(), table_free);
 *         return table_of_thread;
 *     }
 *
 * The main thread's objects live as long as the process: nothing is freed when that exits. */
#ifndef SDG_BASE_PER_THREAD_H
#define SDG_BASE_PER_THREAD_H

/* Calls destroy(object) when the calling thread ends; the object kept last goes first. `destroy` may use what
 * other files keep per thread: an object that has ended already is made again, and ends too. */
void per_thread_keep(void *object, void (*destroy)(void *object));

#endif
