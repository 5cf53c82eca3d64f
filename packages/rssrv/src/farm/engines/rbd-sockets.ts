// Commands to a storage client: to qemu-storage-daemon by QMP, and to its librados by the admin socket. Each command has its own
// connection. Invariant: a command settles within PROGRAM_MS, even if the daemon is stopped.

import { connect, type Socket } from 'node:net';
import type { Clock } from '@rsio/base/lib/clock';
import { checkSocketPath } from '@rsio/base/daemon/unix-socket';
import { RsError } from '@rsio/base/lib/errors';
import { isRecord } from '@rsio/base/lib/shape';
import { PROGRAM_MS, RBD_SOCKET_ANSWER_MAX_BYTES } from '../limits.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Executes a command of qemu-storage-daemon. Throws E_STORAGE with the daemon's error text. */
export function qmp(clock: Clock, path: string, execute: string, args: Fields = {}): Promise<unknown> {
  let answers = 0;
  let received = '';
  return exchange(clock, path, execute, (socket, bytes) => {
    received += bytes.toString('utf8');
    for (let at = received.indexOf('\n'); at >= 0; at = received.indexOf('\n')) {
      const message: unknown = JSON.parse(received.slice(0, at));
      received = received.slice(at + 1);
      if (!isRecord(message) || 'event' in message) continue;
      if (isRecord(message['error'])) throw new Error(String(message['error']['desc']));
      // The first message is the greeting, the second one the answer to qmp_capabilities.
      if (answers++ === 0) socket.write(`${JSON.stringify({ execute: 'qmp_capabilities' })}\n`);
      else if (answers === 2) socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
      else return { value: message['return'] };
    }
    return null;
  });
}

/** Executes a command of librados. Throws E_STORAGE. */
export function adminCommand(clock: Clock, path: string, prefix: string, fields: Fields): Promise<unknown> {
  let received = Buffer.alloc(0);
  return exchange(
    clock,
    path,
    prefix,
    (_, bytes) => {
      received = Buffer.concat([received, bytes]);
      // The answer begins with its length.
      if (received.length < 4 || received.length < 4 + received.readUInt32BE(0)) return null;
      const text = received.subarray(4).toString('utf8');
      return { value: text.trim() === '' ? null : JSON.parse(text) };
    },
    `${JSON.stringify({ prefix, ...fields })}\0`,
  );
}

function exchange(
  clock: Clock,
  path: string,
  command: string,
  receive: (socket: Socket, bytes: Buffer) => { readonly value: unknown } | null,
  first = '',
): Promise<unknown> {
  checkSocketPath(path);
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const fail = (reason: string): void => {
      timer.cancel();
      socket.destroy();
      reject(new RsError('E_STORAGE', `qemu-storage-daemon did not execute "${command}" (${reason}): look at ${path}`, { path, reason }));
    };
    const timer = clock.after(PROGRAM_MS, () => fail(`no answer within ${PROGRAM_MS} ms`));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('it has ended'));
    socket.on('connect', () => void (first !== '' && socket.write(first)));
    socket.on('data', (bytes: Buffer) => {
      try {
        const answer = receive(socket, bytes);
        if (socket.bytesRead > RBD_SOCKET_ANSWER_MAX_BYTES) fail('its answer is too long');
        if (answer === null) return;
        timer.cancel();
        socket.destroy();
        resolve(answer.value);
      } catch (thrown) {
        fail((thrown as Error).message);
      }
    });
  });
}
