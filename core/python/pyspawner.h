/* pyspawner.h - the process that starts Python hosts for one pool (pyspawn.h is the pool's side).
 *
 * It takes orders from a socket: a message of one byte with four descriptors, of the order's bytes
 * (pyorder.h) and of the host's socket, log and status. It makes a keeper for each, in the best namespaces
 * that the kernel allows, reaps it, and removes its scratch folder. It answers nothing: the keeper reports on
 * the host's status socket, the spawner only if there is no keeper. When the socket closes it waits for the
 * last keepers and ends.
 *
 * It holds no key: it is a program executed anew with an empty environment. As subreaper it gets what is left
 * of a host whose keeper was killed, and kills it. */
#ifndef SDG_PYTHON_PYSPAWNER_H
#define SDG_PYTHON_PYSPAWNER_H

/* The word that makes `sdg` a spawner, its only argument; its socket is descriptor 3. */
#define PY_SPAWNER_WORD "python-spawner"

enum { PY_SPAWNER_FD = 3, PY_ORDER_FDS = 4 };

/* Returns the exit code; that of a wrong command line when descriptor 3 is no such socket. Closes all
 * descriptors but the socket and 0 to 2. */
int py_spawner_main(void);

#endif
