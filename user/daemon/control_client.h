/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SEEP_DAEMON_CONTROL_CLIENT_H
#define SEEP_DAEMON_CONTROL_CLIENT_H
/* Asking a running seep. */
#include "daemon/control_place.h"
#include "daemon/control_request.h"

/* Sends a request and waits for the answer, for 5 s each. Returns 0; -ECONNREFUSED or -ENOENT: it has ended; -EAGAIN or -ETIMEDOUT: it does
 * not answer; -EBADMSG: not as agreed; or -errno. */
int control_ask(int directory, const struct control_name *name, const struct control_request *r,
		struct control_answer *ret);

#endif
