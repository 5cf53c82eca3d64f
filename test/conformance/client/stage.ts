// Where a client case plays: one scripted server in a namespace of its own, as rsiod sees it. Leaves starting rsiod to client.test.ts.
// Invariant: every wait ends at a deadline, and says what rsiod shows instead.

import type { RepView } from '@rsio/protocol/control/methods';
import { PROOF_TIMEOUT_MS } from '@rsio/protocol/limits';
import type { Host } from '../../support/host.ts';
import type { Lab } from '../../support/lab.ts';
import { NbdIo } from '../../support/nbd-io.ts';
import { RAW_VOLUME, type RawServer } from '../../support/raw-server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { holds } from '../check.ts';

/** Silence ends after PROOF_TIMEOUT_MS; a retry waits up to 5 s by then. */
const DEADLINE_MS = PROOF_TIMEOUT_MS + 10_000;
const LOOK_MS = 50;

/** What rsiod shows of its paths, asked once for all stages that look at a time. */
export class PathWatch {
  private readonly host: Host;
  private asked: Promise<readonly RepView[]> | null = null;

  constructor(host: Host) {
    this.host = host;
  }

  /** As of now, or of a moment ago. */
  paths(): Promise<readonly RepView[]> {
    this.asked ??= this.ask();
    return this.asked;
  }

  private async ask(): Promise<readonly RepView[]> {
    setTimeout(() => {
      this.asked = null;
    }, LOOK_MS);
    const { interfaces } = await this.host.call('status', {});
    return interfaces.flatMap(({ reps }) => reps);
  }
}

export class ClientStage {
  readonly host: Host;
  readonly server: RawServer;
  /** While true, the server meddles. */
  isWrong = true;
  private readonly lab: Lab;
  private readonly watch: PathWatch;
  private readonly namespace: string;

  constructor(host: Host, lab: Lab, watch: PathWatch, namespace: string, server: RawServer) {
    this.host = host;
    this.watch = watch;
    this.lab = lab;
    this.namespace = namespace;
    this.server = server;
  }

  /** The paths that its `[server]` sections make, in their order. */
  async paths(): Promise<RepView[]> {
    const shown = await this.watch.paths();
    return shown.filter(({ section }) => section === this.namespace || section === `${this.namespace}-2`);
  }

  async error(): Promise<string> {
    return (await this.paths()).map(({ lastError }) => lastError ?? '').join(' | ');
  }

  /** A path was closed with this reason, and is tried again. */
  async closesWith(reason: RegExp): Promise<void> {
    const isSo = async (): Promise<boolean> => reason.test(await this.error());
    await waitFor(isSo, DEADLINE_MS, `A path is closed because of ${reason}`).catch(async (error: Error) => {
      throw new Error(`${error.message}; rsiod says: ${await this.error()}`);
    });
    await waitFor(() => this.server.links.length >= 2, DEADLINE_MS, 'It is tried again');
    await this.server.links[0]?.ended();
  }

  /** The server behaves from now on: all paths come up. */
  async recovers(): Promise<void> {
    this.isWrong = false;
    // It may have been meddled with in the middle of something.
    for (const link of this.server.links) link.reset();
    await this.up();
  }

  async up(): Promise<void> {
    const isUp = async (): Promise<boolean> => (await this.paths()).every(({ state }) => state === 'up');
    await waitFor(isUp, DEADLINE_MS, 'All paths are up').catch(async (error: Error) => {
      throw new Error(`${error.message}; rsiod says: ${await this.error()}`);
    });
  }

  /** The server's volume, as an application has it. */
  async nbd(): Promise<NbdIo> {
    const isThere = (): Promise<NbdIo> => NbdIo.open(this.host.rsiodPaths.nbdSocket, `${this.namespace}/${RAW_VOLUME}`);
    const nbd = await waitFor(isThere, DEADLINE_MS, 'The volume is attached');
    this.lab.onClean(() => nbd.close());
    return nbd;
  }

  /** The outcome of `rsconfig -a` for the server's volume. */
  async attach(): Promise<string> {
    const { outcomes } = await this.host.call('attach', { names: [`${this.namespace}:${RAW_VOLUME}`], readOnly: false, server: null });
    return JSON.stringify(outcomes);
  }

  /** What the server's list holds, as rsiod shows it: names of volumes. */
  async listed(): Promise<string[]> {
    const { namespaces } = await this.host.call('query', { refresh: false });
    const mine = namespaces.find(({ name }) => name === this.namespace);
    holds(mine !== undefined, `rsiod knows no namespace ${this.namespace}`);
    return mine.servers.flatMap(({ volumes }) => volumes).map(({ name }) => name);
  }

  /** Resolves when `condition` holds. */
  async becomes(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await waitFor(condition, DEADLINE_MS, what);
  }
}
