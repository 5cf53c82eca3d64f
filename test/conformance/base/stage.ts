// The stage of a client case: one scripted server in its own namespace, with rsiod as its client. client.test.ts starts rsiod. Invariants:
// every wait ends at a deadline with an error that says what rsiod shows. Cases count paths and not connections, because rsiod may abandon
// a handshake with a slow server and try again. A new attempt may also replace the reason that rsiod shows for a path. A reason therefore
// counts even if rsiod has shown it only once.

import { closeSync, openSync, readSync } from 'node:fs';
import type { RepView } from '@rsio/api/rsiod/methods';
import { PROOF_TIMEOUT_MS } from '@rsio/protocol/auth/limits';
import type { Host } from '../../support/hosts/host.ts';
import type { Hosts } from '../../support/hosts/hosts.ts';
import { NbdIo } from '../../support/io/nbd-io.ts';
import { RAW_VOLUME, type RawServer, type RawServerLink } from '../../support/peers/raw-server.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import { equals, holds } from './check.ts';

/** Longest wait for rsiod. rsiod ends a silent handshake after PROOF_TIMEOUT_MS, and up to 5 s may pass before it tries again. */
const DEADLINE_MS = PROOF_TIMEOUT_MS + 10_000;
const LOOK_MS = 50;
const LOG_CHUNK_BYTES = 256 * 1024;

/** The state of rsiod's paths, and the reasons why rsiod has closed them. One request serves all stages that poll at the same time. */
export class PathWatch {
  private readonly host: Host;
  private asked: Promise<readonly RepView[]> | null = null;
  /** For each address: the reasons of closed paths, read from the log, because the status shows only the last reason. */
  private readonly reasons = new Map<string, string[]>();
  private logRead = 0;
  private lastLine = '';

  constructor(host: Host) {
    this.host = host;
  }

  /** Returns the state of all paths. The state may be slightly out of date. */
  paths(): Promise<readonly RepView[]> {
    this.asked ??= this.ask();
    return this.asked;
  }

  /** All reasons so far for which a connection to this address failed or rsiod closed it. */
  closings(address: string): readonly string[] {
    return this.reasons.get(address) ?? [];
  }

  private async ask(): Promise<readonly RepView[]> {
    setTimeout(() => {
      this.asked = null;
    }, LOOK_MS);
    const { interfaces } = await this.host.call('status', {});
    this.readLog();
    return interfaces.flatMap(({ reps }) => reps);
  }

  /** The lines of the log since the last check. */
  private readLog(): void {
    const chunk = Buffer.alloc(LOG_CHUNK_BYTES);
    const log = openSync(this.host.rsiodPaths.logFile, 'r');
    try {
      for (;;) {
        const bytes = readSync(log, chunk, 0, chunk.length, this.logRead);
        if (bytes === 0) return;
        this.logRead += bytes;
        const lines = `${this.lastLine}${chunk.toString('latin1', 0, bytes)}`.split('\n');
        this.lastLine = lines.pop() ?? '';
        for (const line of lines) this.keep(line);
      }
    } finally {
      closeSync(log);
    }
  }

  private keep(line: string): void {
    const { msg } = JSON.parse(line) as { readonly msg?: string };
    const [, address = '', reason = ''] = /^rep (\S+)\/\d+ is down: (.*)$/.exec(msg ?? '') ?? [];
    if (address !== '') this.reasons.set(address, [...(this.reasons.get(address) ?? []), reason]);
  }
}

export class ClientStage {
  readonly host: Host;
  readonly server: RawServer;
  /** Whether the server misbehaves now. */
  isWrong = true;
  private readonly hosts: Hosts;
  private readonly watch: PathWatch;
  private readonly namespace: string;

  constructor(host: Host, hosts: Hosts, watch: PathWatch, namespace: string, server: RawServer) {
    this.host = host;
    this.watch = watch;
    this.hosts = hosts;
    this.namespace = namespace;
    this.server = server;
  }

  /** Returns the paths to the server, in the order of the addresses in the sections `[server]`. */
  async paths(): Promise<RepView[]> {
    const shown = await this.watch.paths();
    return shown.filter(({ section }) => section === this.namespace || section === `${this.namespace}-2`);
  }

  /** Everything that rsiod has reported about the path to address `index` of the server. The current status comes last. */
  async said(index = 0): Promise<string> {
    const shown = (await this.paths())[index]?.lastError ?? '';
    return [...this.watch.closings(this.server.addresses[index] ?? ''), shown].join(' | ');
  }

  /** Waits until rsiod has reported this reason for its first path. */
  async says(reason: RegExp): Promise<void> {
    const isSo = async (): Promise<boolean> => reason.test(await this.said());
    await waitFor(isSo, DEADLINE_MS, `A path is closed because of ${reason}`).catch(async (error: Error) => {
      throw new Error(`${error.message}; rsiod says: ${await this.said()}`);
    });
  }

  /** Expects that no path of the server has ended. A connection that the client abandoned before it became a path does not count. */
  noneLost(links: readonly RawServerLink[] = this.server.links): void {
    equals('Paths that were lost', links.filter(({ isPath, ending }) => isPath && ending !== null).length, 0);
    holds(
      links.some(({ isPath }) => isPath),
      'There is no path',
    );
  }

  /** Waits until rsiod has closed a path with this reason, and has then tried to connect again. */
  async closesWith(reason: RegExp): Promise<void> {
    await this.says(reason);
    await waitFor(() => this.server.links.length >= 2, DEADLINE_MS, 'It is tried again');
    await this.server.links[0]?.ended();
  }

  /** Makes the server behave correctly, and waits until all paths are up. */
  async recovers(): Promise<void> {
    this.isWrong = false;
    // All connections are reset, because the misbehaviour may have left a connection in the middle of a step.
    for (const link of this.server.links) link.reset();
    await this.up();
  }

  async up(): Promise<void> {
    const isUp = async (): Promise<boolean> => {
      const paths = await this.paths();
      return paths.length > 0 && paths.every(({ state }) => state === 'up');
    };
    await waitFor(isUp, DEADLINE_MS, 'All paths are up').catch(async (error: Error) => {
      throw new Error(`${error.message}; rsiod says: ${await this.said()}`);
    });
  }

  /** Opens the server's volume as an application does, over NBD. */
  async nbd(): Promise<NbdIo> {
    const isThere = (): Promise<NbdIo> => NbdIo.open(this.host.rsiodPaths.nbdSocket, `${this.namespace}/${RAW_VOLUME}`);
    const nbd = await waitFor(isThere, DEADLINE_MS, 'The volume is attached');
    this.hosts.onClean(() => nbd.close());
    return nbd;
  }

  /** Runs `rsconfig -a` for the server's volume, and returns the outcome. */
  async attach(take: 'no' | 'force' = 'no'): Promise<string> {
    const { outcomes } = await this.host.call('attach', {
      names: [`${this.namespace}:${RAW_VOLUME}`],
      readOnly: false,
      server: null,
      take,
    });
    return JSON.stringify(outcomes);
  }

  async isAttached(): Promise<boolean> {
    const { attachments } = await this.host.call('local', {});
    return attachments.some(({ namespace }) => namespace === this.namespace);
  }

  /** The names of the volumes in the server's list, as rsiod shows it. */
  async listed(): Promise<string[]> {
    const { namespaces } = await this.host.call('query', { refresh: false });
    const mine = namespaces.find(({ name }) => name === this.namespace);
    holds(mine !== undefined, `rsiod knows no namespace ${this.namespace}`);
    return mine.servers.flatMap(({ volumes }) => volumes).map(({ name }) => name);
  }

  async becomes(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await waitFor(condition, DEADLINE_MS, what);
  }
}
