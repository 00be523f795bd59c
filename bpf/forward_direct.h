/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* DR: the backend is on the link and has the service's address, too, so the packet only changes MAC addresses. */
#ifndef SLUICE_FORWARD_DIRECT_H
#define SLUICE_FORWARD_DIRECT_H

#include "forward_nat.h"

static __always_inline void direct_to_backend(struct packet *p, const struct nic *out)
{
	take_hop(p->ip, 0);
	rewrite_ethernet(p->eth, p->next_hop, out);
}

#endif
