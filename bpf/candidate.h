/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether a backend can be given a new connection: what all schedulers ask. */
#ifndef SLUICE_CANDIDATE_H
#define SLUICE_CANDIDATE_H

#include "flows.h"

#define NO_BACKEND (-1)

/* Whether packets can reach it at all. */
static __always_inline int is_reachable(const struct backend *backend)
{
	return (backend->state == BACKEND_UP || backend->state == BACKEND_DRAIN) && backend->next_hop;
}

static __always_inline int is_dealt_to(const struct backend *backend)
{
	return backend && backend->state == BACKEND_UP && backend->next_hop;
}

#endif
