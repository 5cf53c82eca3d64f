// TLS for a connection of the load: a relay in C (native/tls-relay.c) takes over the connection after its clear part, and the load
// continues in clear through a Unix socket. The relay is on the cores of the load, so that the measured CPU time is that of the server
// alone. Invariant: a relay ends as soon as one of its two connections ends, and no later than the bench.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RsError } from '@rsio/base/lib/errors';
import { nativeProgram } from '../native/compile.ts';
import { ByteStream } from './byte-stream.ts';
import type { SharedKey } from './orders.ts';

const START_TIMEOUT_MS = 10_000;
/** Descriptor 3 of the relay is the connection. */
const PIPES = ['ignore', 'pipe', 'pipe'] as const;
const relays = new Set<ChildProcess>();
let endsRelays = false;

/** Ends the relay with the bench, even if the bench ends abruptly. */
function keep(relay: ChildProcess): void {
  relays.add(relay);
  relay.once('exit', () => relays.delete(relay));
  if (endsRelays) return;
  endsRelays = true;
  process.once('exit', () => {
    for (const one of relays) one.kill('SIGTERM');
  });
}

/** Encrypts the connection: the returned stream takes clear bytes. The caller must no longer use `stream`. */
export async function throughTls(stream: ByteStream, { identity, psk }: SharedKey, cores: readonly number[]): Promise<ByteStream> {
  const { socket, early } = stream.release([0, 0]);
  if (early.length > 0) throw new RsError('E_PROTOCOL', `${early.length} bytes came in clear where TLS was to begin`);
  const folder = mkdtempSync(join(tmpdir(), 'rsio-tls-'));
  const path = join(folder, 'in');
  try {
    const args = ['-c', cores.join(','), nativeProgram('tls-relay'), path, identity, psk.toString('hex')];
    const child = spawn('taskset', args, { stdio: [...PIPES, socket] });
    keep(child);
    socket.destroy();
    let said = '';
    child.stderr?.on('data', (text: Buffer) => {
      said += text.toString();
    });
    const listening = once(child.stdout ?? child, 'data', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
    const gone = once(child, 'exit').then(() => Promise.reject(new RsError('E_SYSTEM', `TLS could not be started: ${said.trim()}`)));
    await Promise.race([listening, gone]);
    gone.catch(() => undefined);
    listening.catch(() => undefined);
    return await ByteStream.connect({ host: path, port: null });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
