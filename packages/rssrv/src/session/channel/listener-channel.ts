// A worker's end of its channel to the listener; worker-wire.ts has the listener's end. The process trusts the listener and does not check
// the messages of the listener. Invariant: `lost` is called exactly once, even if the listener ends while this process starts.

import net from 'node:net';
import { LineSplitter } from '@rsio/common/control/line-splitter';
import { PASSED_CHANNEL } from '../../machine/confine.ts';
import type { FromWorker, ToWorker } from './channel.ts';

export interface ListenerChannel {
  isOpen(): boolean;
  send(message: FromWorker): void;
  /** Calls `received` for each message, and `lost` when the channel has closed. */
  follow(received: (message: ToWorker) => void, lost: () => void): void;
}

/** A channel over a socket, with one line of JSON for each message. */
export function listenerChannel(): ListenerChannel {
  const socket = new net.Socket({ fd: PASSED_CHANNEL });
  let isOpen = true;
  socket.on('error', () => undefined);
  return {
    isOpen: () => isOpen,
    send: (message) => void socket.write(`${JSON.stringify(message)}\n`),
    follow: (received, lost) => {
      const splitter = new LineSplitter(Number.MAX_SAFE_INTEGER);
      socket.on('data', (chunk: Buffer) => splitter.push(chunk, (line) => received(JSON.parse(line) as ToWorker)));
      const ended = (): void => {
        if (!isOpen) return;
        isOpen = false;
        lost();
      };
      socket.on('end', ended);
      socket.on('close', ended);
    },
  };
}
