/** What the clients of datagram-server.ts and itself say to each other. */

/** Begins every datagram of a client's. */
export const QUESTION = Buffer.from('who?');
