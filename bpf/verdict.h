/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every way a packet leaves the program. The name is the metric label, the counter's index and what lbctl prints.
 * A new verdict without an action in xdp_action() does not compile (-Werror=switch).
 */
#ifndef SLUICE_VERDICT_H
#define SLUICE_VERDICT_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define VERDICTS_MAX 64
#define EVENTS_MAX 8

enum verdict {
	V_UNDECIDED, /* not a verdict: the work goes on */

	/* pass: left to the kernel, untouched */
	V_PASS_UNKNOWN_NIC,     /* came in on a NIC that the daemon has not listed */
	V_PASS_OTHER_MAC,       /* its destination MAC is neither this NIC's nor a virtual router's: broadcast, a flooded frame */
	V_PASS_ETHERTYPE,       /* ARP, LLDP, … */
	V_PASS_VLAN,            /* more than two tags */
	V_PASS_FRAGMENT,        /* a later fragment whose first one was none of ours, was not seen yet or is long forgotten */
	V_PASS_ICMP,            /* no error about a flow of ours: echo requests, … */
	V_PASS_PROTOCOL,        /* neither TCP, UDP nor ICMP: VRRP, … */
	V_PASS_MALFORMED,       /* headers and frame do not fit together; the kernel counts it in its own statistics */
	V_PASS_NOT_OURS,        /* no service's and no backend's address and port */
	V_PASS_NO_FLOW,         /* to a service, no SYN, unknown connection: the kernel answers with a reset */
	V_PASS_BACKEND_NO_FLOW, /* from a backend, not part of a connection of ours: replies to health checks, … */

	/* forward: rewritten and sent out of one of our NICs */
	V_FORWARD_NEW,          /* opened a flow: a SYN, or the first datagram; UDP's flow is opened anew if its backend is down */
	V_FORWARD,              /* client to backend */
	V_REPLY,                /* backend to client */
	V_FORWARD_ICMP,         /* an ICMP error about a reply, to the backend */
	V_REPLY_ICMP,           /* an ICMP error about a client's packet, to the client */

	/* drop */
	V_DROP_NO_BACKEND,      /* a new connection, and no backend of the service takes it */
	V_DROP_BACKEND_DOWN,    /* the TCP flow's backend, or the sender of a reply, has failed its checks or is gone */
	V_DROP_NO_NEIGHBOUR,    /* the next hop's MAC address is not known yet */
	V_DROP_NO_NIC,          /* the NIC of the next hop is not ours any more, or does not take redirected frames */
	V_DROP_VLAN,            /* tagged, and the next hop is behind another NIC, whose VLANs are not ours to know */
	V_DROP_TTL,             /* time to live used up */
	V_DROP_TABLE_FULL,      /* a new connection, and all its slots hold live flows */
	V_DROP_CONTENDED,       /* other CPUs were changing the same slots all the time; the sender retries */
	V_DROP_AMBIGUOUS,       /* the same client port reaches every backend through another service already */
	V_DROP_LAYOUT,          /* an entry points outside its map: the daemon and this program disagree */
	V_DROP_FRAGMENT,        /* a later fragment that would overwrite the TCP header of the first one (RFC 3128) */
	V_DROP_BLOCKED,         /* its source is under a prefix of the block list */
	V_DROP_RATE_SOURCE,     /* a new connection, and its source has had as many as it may */
	V_DROP_RATE_SERVICE,    /* a new connection, and its service has had as many as it may */
	V_DROP_LEASE,           /* asks for a virtual address that another router has taken over while our daemon was dead or hung */
	V_DROP_CLOSED,          /* to a virtual address of which only services answer: no_accept, vrrp_strict */
	V_DROP_BACKUP,          /* to the MAC address of a virtual router that another machine is master of (RFC 9568, 6.4.2) */
	V_DROP_TOO_BIG,         /* larger, with a tunnel's headers, than the MTU of the NIC that it should leave by, and not answered */

	/* answer: the packet goes no further, and its sender is told; too many a second are dropped by the verdicts above */
	V_ANSWER_TIME_EXCEEDED, /* ICMP time exceeded, for drop_ttl */
	V_ANSWER_TOO_BIG,       /* ICMP too big (IPv4: fragmentation needed), for drop_too_big */
	V_ANSWER_UNREACHABLE,   /* ICMP port unreachable, for drop_no_backend */
	V_ANSWER_RESET,         /* TCP RST, for drop_no_backend or drop_backend_down, as the service's policies say */

	V_COUNT, /* not a verdict */
};

/* What else happened, counted beside the verdicts: the packet went on. */
enum event {
	EVENT_PERSISTENCE_FULL, /* a new persistence entry found no room: served, but not remembered */
	EVENT_AMBIGUOUS,        /* the next backend was taken, because replies of this one could belong to two services */
	EVENT_ROUTE_UNKNOWN,    /* no route or neighbour towards the client: replies go back to the MAC it came from */
	EVENT_COUNT,            /* not an event */
};

/* The only switch from verdicts to XDP actions; `forward` is XDP_TX or XDP_REDIRECT. */
static __always_inline int xdp_action(enum verdict verdict, int forward)
{
	switch (verdict) {
	case V_PASS_UNKNOWN_NIC:
	case V_PASS_OTHER_MAC:
	case V_PASS_ETHERTYPE:
	case V_PASS_VLAN:
	case V_PASS_FRAGMENT:
	case V_PASS_ICMP:
	case V_PASS_PROTOCOL:
	case V_PASS_MALFORMED:
	case V_PASS_NOT_OURS:
	case V_PASS_NO_FLOW:
	case V_PASS_BACKEND_NO_FLOW:
		return XDP_PASS;
	case V_FORWARD_NEW:
	case V_FORWARD:
	case V_REPLY:
	case V_FORWARD_ICMP:
	case V_REPLY_ICMP:
	case V_ANSWER_TIME_EXCEEDED:
	case V_ANSWER_TOO_BIG:
	case V_ANSWER_UNREACHABLE:
	case V_ANSWER_RESET:
		return forward;
	case V_DROP_NO_BACKEND:
	case V_DROP_BACKEND_DOWN:
	case V_DROP_NO_NEIGHBOUR:
	case V_DROP_NO_NIC:
	case V_DROP_VLAN:
	case V_DROP_TTL:
	case V_DROP_TABLE_FULL:
	case V_DROP_CONTENDED:
	case V_DROP_AMBIGUOUS:
	case V_DROP_LAYOUT:
	case V_DROP_BLOCKED:
	case V_DROP_RATE_SOURCE:
	case V_DROP_RATE_SERVICE:
	case V_DROP_LEASE:
	case V_DROP_CLOSED:
	case V_DROP_BACKUP:
	case V_DROP_TOO_BIG:
	case V_DROP_FRAGMENT:
		return XDP_DROP;
	case V_UNDECIDED:
	case V_COUNT:
		break;
	}
	return XDP_ABORTED;
}

#endif
