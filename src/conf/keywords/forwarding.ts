import type {Forwarding} from '../model.js';
import {oneOf, Unsupported} from '../values.js';

const notYet = new Unsupported('NAT is the only forwarding yet');

/** `lb_kind` of a service, `lvs_method` of a backend. */
export const forwarding = oneOf<Forwarding>({NAT: 'nat', DR: notYet, TUN: notYet});
