/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_NOTIFY_H
#define SEEP_DAEMON_NOTIFY_H
/* What a service tells the manager that started it: sd_notify(3)'s protocol, without its library. */
#include <stdint.h>

/* Sends "READY=1" and the like to $NOTIFY_SOCKET; nothing where there is none. What cannot be sent is lost: no service fails for it. */
void notify_manager(const char *state);
/* How often at least "WATCHDOG=1" is to be sent, by $WATCHDOG_USEC and $WATCHDOG_PID; 0: not at all. */
uint64_t notify_watchdog_ns(void);

#endif
