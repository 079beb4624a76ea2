/* units.c - see units.h. */
#include "core/sched/units.h"

enum { NEWS_PART = 8 }; /* a change of `waiting` is news when it is more than this part of the units */

units_held_t units_held(uint64_t allowed, uint64_t used, uint64_t begun, bool draining) {
    uint64_t waiting = begun > used ? begun - used : 0;
    return (units_held_t){
        .permit = draining ? 0 : allowed, .used = used + (draining ? waiting : 0), .waiting = waiting};
}

bool units_are_news(const units_held_t *told, const units_held_t *now, uint64_t allowed) {
    uint64_t step = allowed / NEWS_PART > 1 ? allowed / NEWS_PART : 1;
    if (told->used > now->permit && now->used < told->used) return true;
    return now->waiting > told->waiting + step || now->waiting + step < told->waiting;
}
