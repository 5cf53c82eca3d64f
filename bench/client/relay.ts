// The relay (native/relay.c) forwards NBD to one connection of a server, and does nothing else. Therefore no client can cost less than the
// relay. This file opens the connection with the handshake of the server's protocol. Invariant: the relay ends with the bench.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { RsError } from '@rsio/base/lib/errors';
import { openNbd } from '../load/open-nbd.ts';
import { openRsio, rsioFarewell } from '../load/open-rsio.ts';
import type { NbdVolume, OpenConnection, Place, RsioVolume, Target } from '../load/orders.ts';
import { nativeProgram } from '../native/compile.ts';
import { FILE_BYTES } from '../workload.ts';

const START_TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 5_000;
const INHERITED = 3;

export type RelayTarget = Place & { readonly volume: RsioVolume | NbdVolume };

export class Relay {
  readonly target: Target;
  private readonly child: ChildProcess;

  private constructor({ socket, words, early }: OpenConnection, kind: RelayTarget['volume']['kind'], path: string, volumeBytes: number) {
    const farewell = kind === 'rsio' ? rsioFarewell(false).toString('hex') : '';
    const connection = `${INHERITED}:${words[0]}:${words[1]}:${early.toString('hex')}`;
    const args = [kind, String(volumeBytes), farewell, connection, path];
    this.child = spawn(nativeProgram('relay'), args, { stdio: ['pipe', 'pipe', 'inherit', socket] });
    socket.destroy();
    // Errors of the relay are ignored here, because the load notices when the relay dies.
    this.child.on('error', () => undefined);
    this.child.stdin?.on('error', () => undefined);
    this.target = { host: path, port: null, volume: { kind: 'nbd', export: '' } };
  }

  /** Starts a relay. `path`: path of the relay's socket. */
  static async start(to: RelayTarget, path: string, volumeBytes = FILE_BYTES): Promise<Relay> {
    const { volume } = to;
    const [connection] =
      volume.kind === 'rsio'
        ? await openRsio(to, volume, { client: 0, paths: 1, isReadonly: false, cores: [] })
        : await openNbd(to, volume, 1, []);
    if (connection === undefined) throw new RsError('E_INTERNAL', 'No connection was opened');
    const relay = new Relay(connection, volume.kind, path, volumeBytes);
    const { stdout } = relay.child;
    if (stdout === null) throw new RsError('E_INTERNAL', 'The relay has no output');
    const isReady = once(createInterface(stdout), 'line', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
    const end = once(relay.child, 'exit').then(() => {
      throw new RsError('E_SYSTEM', 'The relay ended by itself');
    });
    end.catch(() => undefined);
    await Promise.race([isReady, end]);
    return relay;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) return;
    const gone = once(this.child, 'exit');
    this.child.stdin?.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), END_TIMEOUT_MS);
    await gone;
    clearTimeout(timer);
  }
}
