// A process that adopts NBD connections, for nbd-passing.test.ts: an NbdFrontend with one volume in memory. The process receives
// `ToDataProcess` and sends `FromDataProcess`. Invariant: the process exits when its parent exits.

import type { Socket } from 'node:net';
import { systemClock } from '@rsio/base/lib/clock';
import { NbdFrontend } from '../nbd-frontend.ts';
import { MemoryVolume } from './memory-volume.ts';

export type ToDataProcess = { readonly passed: unknown } | { readonly hide: true };
export type FromDataProcess =
  | { readonly facts: unknown }
  | { readonly ended: number; readonly seen: number; readonly buffersInUse: number }
  | { readonly warned: string };

const send = (message: FromDataProcess): void => void process.send?.(message);
const log = { info: () => {}, warn: (line: string) => send({ warned: line }), error: (line: string) => send({ warned: line }) };
const volume = new MemoryVolume({ sizeBytes: 4 * 1024 * 1024 });
const frontend = new NbdFrontend({
  socketPath: '/nowhere/nbd',
  listens: false,
  group: null,
  log,
  clock: systemClock,
  attached: () => [volume],
  mayExport: () => true,
  receiveInPlace: process.argv[2] === 'true',
});

process.on('message', (message: ToDataProcess, socket: Socket | undefined) => {
  if ('hide' in message) void frontend.hide(volume, true);
  else if ('passed' in message) {
    const number = Reflect.get(message.passed as object, 'number') as number;
    frontend.adopt(socket, message.passed, () => send({ ended: number, seen: volume.seen.length, buffersInUse: frontend.buffersInUse }));
  }
});
process.on('disconnect', () => process.exit(0));
void Promise.all([frontend.start(), frontend.show(volume)]).then(() => send({ facts: frontend.facts() }));
