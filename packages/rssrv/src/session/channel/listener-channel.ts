// A worker's end of its channel to the listener; worker-wire.ts has the listener's end. The process trusts the listener and does not check
// the messages of the listener. Invariant: `lost` is called exactly once, even if the listener ends while this process starts.

import net, { type Socket } from 'node:net';
import { LineSplitter } from '@rsio/common/control/line-splitter';
import { PASSED_CHANNEL } from '../../machine/confine.ts';
import type { FromWorker, ToWorker } from './channel.ts';

export interface ListenerChannel {
  isOpen(): boolean;
  send(message: FromWorker): void;
  /**
   * Calls `received` for each message, with the connection `socket` that came with the message. Calls `lost` when the channel has closed.
   */
  follow(received: (message: ToWorker, socket: Socket | undefined) => void, lost: () => void): void;
}

/** The IPC channel of Node.js. */
export function nodeChannel(): ListenerChannel {
  return {
    isOpen: () => process.connected,
    send: (message) => void process.send?.(message),
    follow: (received, lost) => {
      process.on('message', (message, handle) => received(message as ToWorker, handle as Socket | undefined));
      process.on('disconnect', lost);
      // If the listener ended while the modules of this process were loading, 'disconnect' was emitted before this handler was installed.
      // Without this check, the process would never exit.
      if (!process.connected) lost();
    },
  };
}

/** A channel over a socket, with one line of JSON for each message. */
export function lineChannel(): ListenerChannel {
  const socket = new net.Socket({ fd: PASSED_CHANNEL });
  let isOpen = true;
  socket.on('error', () => undefined);
  return {
    isOpen: () => isOpen,
    send: (message) => void socket.write(`${JSON.stringify(message)}\n`),
    follow: (received, lost) => {
      const splitter = new LineSplitter(Number.MAX_SAFE_INTEGER);
      socket.on('data', (chunk: Buffer) => splitter.push(chunk, (line) => received(JSON.parse(line) as ToWorker, undefined)));
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
