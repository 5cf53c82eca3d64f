// All peers of the configuration in force, each with its process. Invariants: a process runs only while its peer is configured, and never
// beside an earlier process of the same peer. A reload that changes only the pools of a peer keeps its process.

import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import { RsError } from '@rsio/common/lib/errors';
import { fieldsOf } from '@rsio/common/lib/shape';
import type { Identity } from '@rsio/protocol/client-identity';
import { CONNECTION } from './messages.ts';
import { PeerProcess, type PeerProcessPorts } from './peer-process.ts';
import type { Peers, PeerState, Pull, PullProgress } from './peers.ts';

export class PeerProcesses implements Peers {
  private readonly ports: PeerProcessPorts;
  private readonly processes = new Map<string, PeerProcess>();
  /** Processes that were told to end, by peer. */
  private readonly leaving = new Map<string, Promise<void>>();
  private identities: Promise<unknown> = Promise.resolve();
  private isStopped = false;

  constructor(ports: PeerProcessPorts) {
    this.ports = { ...ports, identity: () => this.nextIdentity(ports) };
  }

  get states(): readonly PeerState[] {
    return [...this.processes.values()].map(({ state }) => state);
  }

  state(name: string): PeerState | null {
    return this.processes.get(name)?.state ?? null;
  }

  follow(peers: readonly PeerConfig[]): void {
    const wanted = new Map(peers.map((peer) => [peer.name, peer]));
    for (const [name, process] of this.processes) {
      const next = wanted.get(name);
      if (next === undefined || !isDeepStrictEqual(fieldsOf(CONNECTION, next), fieldsOf(CONNECTION, process.config)))
        this.end(name, process);
    }
    if (this.isStopped) return;
    for (const peer of peers) {
      if (this.processes.has(peer.name)) continue;
      const process = new PeerProcess(peer, this.ports);
      this.processes.set(peer.name, process);
      void (this.leaving.get(peer.name) ?? Promise.resolve()).then(() => {
        if (this.processes.get(peer.name) === process) process.start();
      });
    }
  }

  call(name: string, method: string, params: object, withinMs: number): Promise<unknown> {
    return this.of(name, (process) => process.call(method, params, withinMs));
  }

  pull(name: string, pull: Pull, progress: (progress: PullProgress) => void, cancel: AbortSignal): Promise<void> {
    if (!path.isAbsolute(pull.file)) return Promise.reject(new RsError('E_INTERNAL', `A pull needs an absolute path: ${pull.file}`));
    return this.of(name, (process) => process.pull(pull, progress, cancel));
  }

  async closeLeft(name: string, at: string): Promise<void> {
    for (const one of await this.ports.opens.of(at)) await this.ports.opens.add({ ...one, peer: name });
    this.processes.get(name)?.releaseLater();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.follow([]);
    await Promise.all(this.leaving.values());
  }

  private of<T>(name: string, use: (process: PeerProcess) => Promise<T>): Promise<T> {
    const process = this.processes.get(name);
    if (process !== undefined) return use(process);
    return Promise.reject(new RsError('E_UNREACHABLE', `Server ${name} is no peer of this server: rsadm peer add ${name} connects to it`));
  }

  private end(name: string, process: PeerProcess): void {
    this.processes.delete(name);
    const ended = Promise.all([this.leaving.get(name), process.end()]).then(() => {
      if (this.leaving.get(name) === ended) this.leaving.delete(name);
    });
    this.leaving.set(name, ended);
  }

  /** One at a time, so that no instance number is used twice. */
  private nextIdentity(ports: PeerProcessPorts): Promise<Identity> {
    const next = this.identities.then(() => ports.identity());
    this.identities = next.catch(() => undefined);
    return next;
  }
}
