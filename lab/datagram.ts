/** What datagram-client.ts and datagram-server.ts say to each other. */

/** Begins every datagram of a client's. */
export const QUESTION = Buffer.from('who?');
