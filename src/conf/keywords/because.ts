/** Reasons that several rows share: keywords with one reason are reported together. */

export const noIpv6 = 'there is no IPv6 yet';
export const noIpvs = 'there is no IPVS table here';
export const noFirewall = 'no firewall rules are made for virtual addresses';
export const noPacing = 'address announcements are not paced';
export const noBfd = 'BFD is not spoken; a vrrp_script can ask a routing daemon that speaks it';
export const ownChecksum = 'the checksum of version 3 covers the addresses, as the RFC has it';
export const noSnmp = 'there is no SNMP or D-Bus, see /metrics';
export const alwaysChecked = 'an included file that is missing is always reported';
export const ownProcesses = 'lbd arranges its processes, their names and their priorities itself';
export const ownBuffers = 'lbd sizes the buffers of its sockets itself';
export const ownFiles = 'lbctl and /metrics show the state, and nothing is written to files';
export const checkedReload = 'a reload always reads and checks the file first';
export const signalledReload = 'a reload is asked for by SIGHUP or by lbctl reload';
export const rfcVrrp = 'VRRP runs by the rules of the RFC only';
export const linkEvents = 'the kernel tells when a link changes';
