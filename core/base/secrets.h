/* secrets.h - keeping secrets of addresses and settings out of what is shown: source lines of a pipeline,
 * messages about bad values, the log. */
#ifndef SDG_BASE_SECRETS_H
#define SDG_BASE_SECRETS_H

#include <stddef.h>

/* Writes "*" over, character for character, so that places in a line stay where they are:
 * user and password in front of an "@" ("http://user:password@host", also in an address that is wrong);
 * values of query parameters and settings whose name says that they are secret ("?api_key=..",
 * "api_key: ..", "Authorization: .."). References as ${ENV.KEY} stay. It rather hides too much. */
void secrets_hide(char *text, size_t len);

#endif
