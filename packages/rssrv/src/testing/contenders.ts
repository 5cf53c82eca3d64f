// Values for the tests of take-overs: three clients on different machines, a volume, and the clients' requests. Each test has its own
// listener.

import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { servedVolume } from './backend-scene.ts';
import type { ClientIdentity } from '../volumes/holds/grants.ts';

export const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };
export const VOLUME = servedVolume({ name: 'oracle', id: 'id' });
export const OPEN: OpenRequest = { name: 'oracle', universe: 0, readonly: false, take: TAKE.NO, resume: null, mirror: null };
export const OVER: OpenRequest = { ...OPEN, take: TAKE.OVER };
export const BIG2: ClientIdentity = { node: 'big-2', machine: 'm', instance: 3, boot: 'b', process: 'p', address: '127.0.0.2' };
export const MARS: ClientIdentity = { ...BIG2, node: 'mars', machine: 'n', address: '127.0.0.3' };
export const VENUS: ClientIdentity = { ...BIG2, node: 'venus', machine: 'o', address: '127.0.0.4' };

/** Lets all pending promises and callbacks run. */
export async function turns(): Promise<void> {
  for (let times = 0; times < 5; times++) await new Promise((resolve) => setImmediate(resolve));
}
