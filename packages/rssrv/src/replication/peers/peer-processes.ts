// All peers of the configuration in force, each with its process. Invariants: a process runs only while its peer is configured, and never
// beside an earlier process of the same peer. A reload that changes only the pools of a peer keeps its process. At all peers for which this
// server has one name, it is one instance of that client (H4), because servers of a farm that exchange a pool know each other's clients.

import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { PeerConfig } from '@rsio/common/config/schema/types';
import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { fieldsOf } from '@rsio/base/lib/shape';
import type { Identity } from '@rsio/protocol/client-identity';
import { CONNECTION } from './messages.ts';
import { PeerProcess, type PeerProcessPorts } from './peer-process.ts';
import type { Peers, PeerState, Pull, PullProgress } from './peers.ts';

export interface PeerProcessesPorts extends Omit<PeerProcessPorts, 'identity'> {
  /** Returns an identity whose instance number is greater than all earlier ones. */
  identity(): Promise<Identity>;
  /** Returns those of the peers to which this server connects now. */
  here(peers: readonly PeerConfig[]): readonly PeerConfig[];
}

export class PeerProcesses implements Peers {
  private readonly ports: PeerProcessPorts;
  private readonly own: Pick<PeerProcessesPorts, 'identity' | 'here'>;
  private readonly processes = new Map<string, PeerProcess>();
  /** Processes that were told to end, by peer. */
  private readonly leaving = new Map<string, Promise<void>>();
  /** Names of peers that had a process since the start. */
  private readonly earlier = new Set<string>();
  /** Maps a name of this server as a client to its identity. */
  private readonly identities = new Map<string, Promise<Identity>>();
  private lastIdentity: Promise<unknown> = Promise.resolve();
  private isStopped = false;

  constructor(ports: PeerProcessesPorts) {
    this.ports = { ...ports, identity: (node) => this.identityOf(node) };
    this.own = ports;
  }

  get states(): readonly PeerState[] {
    return [...this.processes.values()].map(({ state }) => state);
  }

  state(name: string): PeerState | null {
    return this.processes.get(name)?.state ?? null;
  }

  follow(configured: readonly PeerConfig[]): void {
    const peers = this.own.here(configured);
    const wanted = new Map(peers.map((peer) => [peer.name, peer]));
    // The peer may have replaced the identity by that of another program with the name.
    const renewed = new Set(peers.filter((peer) => this.beginsAgain(peer)).map(({ nodename }) => nodename));
    for (const node of renewed) this.identities.delete(node);
    for (const [name, process] of this.processes) {
      const next = wanted.get(name);
      if (next === undefined || this.beginsAgain(next) || renewed.has(process.config.nodename)) this.end(name, process);
    }
    if (this.isStopped) return;
    for (const peer of peers) {
      if (this.processes.has(peer.name)) continue;
      this.earlier.add(peer.name);
      const process = new PeerProcess(peer, this.ports);
      this.processes.set(peer.name, process);
      void (this.leaving.get(peer.name) ?? Promise.resolve()).then(() => {
        if (this.processes.get(peer.name) !== process) return;
        assert(!this.leaving.has(peer.name), 'A peer begins beside its earlier process');
        process.start();
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

  /** Returns true if the peer gets another process than the one that it has or had. */
  private beginsAgain(peer: PeerConfig): boolean {
    const process = this.processes.get(peer.name);
    if (process === undefined) return this.earlier.has(peer.name);
    return !isDeepStrictEqual(fieldsOf(CONNECTION, peer), fieldsOf(CONNECTION, process.config));
  }

  private identityOf(node: string): Promise<Identity> {
    const known = this.identities.get(node);
    if (known !== undefined) return known;
    // One at a time, so that no instance number is used twice.
    const next = this.lastIdentity.then(() => this.own.identity());
    this.identities.set(node, next);
    this.lastIdentity = next.catch(() => {
      if (this.identities.get(node) === next) this.identities.delete(node);
    });
    return next;
  }
}
