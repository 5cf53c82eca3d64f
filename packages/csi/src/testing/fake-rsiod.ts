// An rsiod in memory for tests of the driver: it passes orders on to fake servers, and attaches volumes. A test can kill the driver before
// or after any of its requests. Invariant: a killed driver gets no further answer, and the effect of its last request remains.

import type { AttachmentView, ControlMethodName, ControlMethods } from '@rsio/api/rsiod/methods';
import { RsError } from '@rsio/base/lib/errors';
import type { RsiodCall, RsiodHold } from '../product/orders.ts';
import { FakeMirrors, FakeServer } from './fake-servers.ts';

export const CONTROLLER = 'kubernetes';

/** What a driver sees when it is killed: its request never returns. Tests throw instead, so that the call of the driver ends. */
export class Killed extends Error {}

/** Counts steps, and kills the driver at one of them. */
export class KillSwitch {
  step = 0;
  /** The step at which the driver is killed; null: never. */
  at: number | null = null;
  isDead = false;

  /** Runs one request with a step before and a step after it. */
  async through<T>(work: () => T | Promise<T>): Promise<T> {
    this.pass();
    const result = await work();
    this.pass();
    return result;
  }

  /** Starts the next driver. */
  revive(at: number | null): void {
    [this.step, this.at, this.isDead] = [0, at, false];
  }

  pass(): void {
    if (this.isDead || this.step++ === this.at) {
      this.isDead = true;
      throw new Killed('The driver was killed');
    }
  }
}

export class FakeRsiod {
  readonly servers: ReadonlyMap<string, FakeServer>;
  readonly mirrors: FakeMirrors;
  readonly kills = new KillSwitch();
  readonly attached: AttachmentView[] = [];
  /** Volumes whose I/O waits, with what it waits for. */
  readonly waiting = new Map<string, string>();
  /** Mirrors that orders of the driver have attached, by ticket. */
  readonly orders = new Map<string, string>();
  /** Takes effect in the middle of each mirror-snapshot: before the snapshots are made, and before they are confirmed. */
  meanwhile: { readonly [when in 'made' | 'proven']?: () => void | Promise<void> } = {};
  /** Whether the list of mirrors is older than the mirrors, and whether a request for a newer one ends that. */
  lag: 'until asked' | 'for long' | null = null;
  nodename = CONTROLLER;
  isRunning = true;
  /** Largest number of requests to servers that were in progress at the same time. */
  mostServerCalls = 0;
  private inProgress = 0;

  constructor(servers: readonly string[] = ['big-9'], shared?: FakeRsiod) {
    this.servers = shared?.servers ?? new Map(servers.map((name) => [name, new FakeServer(name)]));
    this.mirrors = shared?.mirrors ?? new FakeMirrors(this.servers);
  }

  get server(): FakeServer {
    return [...this.servers.values()][0]!;
  }

  readonly call: RsiodCall = async <M extends ControlMethodName>(method: M, params: ControlMethods[M]['params']) => {
    const answer = await this.kills.through(async () => {
      if (!this.isRunning) throw new RsError('E_NOT_RUNNING', 'rsiod is not running: start it');
      if (method === 'server-call') this.mostServerCalls = Math.max(this.mostServerCalls, ++this.inProgress);
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (method === 'server-call') this.inProgress--;
      const run = this.methods()[method];
      if (run === undefined) throw new RsError('E_INTERNAL', `The fake rsiod does not know ${method}`);
      return run(params as never);
    });
    return answer as ControlMethods[M]['result'];
  };

  readonly hold: RsiodHold = async ({ name }) => {
    const ticket = crypto.randomUUID();
    const base = { volume: name, already: false, device: null };
    const failed = (code: string, message: string) => ({ ...base, done: false, error: { code, message } });
    const attach = () => {
      if (!this.isRunning) throw new RsError('E_NOT_RUNNING', 'rsiod is not running: start it');
      const found = this.mirrors.all.find((one) => `osl:${one.name}@${one.universe}` === name);
      if (found === undefined) return failed('E_UNKNOWN_VOLUME', 'No server offers it');
      const { holder, mirror } = found;
      if (holder !== null && holder !== this.nodename) return failed('E_HELD', `Client ${holder} has mirror ${found.name}`);
      this.mirrors.held(mirror, this.nodename);
      this.orders.set(ticket, mirror);
      return { ...base, done: true, error: null };
    };
    try {
      const outcome = await this.kills.through(attach);
      return { result: { ticket, outcome }, close: () => this.endOrder(ticket) };
    } catch (thrown) {
      // The connection of a killed driver is closed.
      this.endOrder(ticket);
      throw thrown;
    }
  };

  /** rsiod is killed and started again. The servers still name its client as the holder of what it had attached. */
  restart(): void {
    this.orders.clear();
  }

  private endOrder(ticket: string): void {
    const mirror = this.orders.get(ticket);
    if (mirror === undefined) return;
    this.orders.delete(ticket);
    this.mirrors.held(mirror, null);
  }

  private async mirrorSnapshot({ name, snapshot }: { readonly name: string; readonly snapshot: string }): Promise<object> {
    const found = this.mirrors.all.find((one) => one.name === name);
    const check = (): void => {
      if (found === undefined || ![...this.orders.values()].includes(found.mirror))
        throw new RsError('E_RESET', `Mirror ${name} is not attached on this machine`);
    };
    check();
    await this.meanwhile.made?.();
    check();
    const prove = this.mirrors.snapshot(name, snapshot);
    await this.meanwhile.proven?.();
    check();
    return prove();
  }

  private methods(): Readonly<Partial<Record<ControlMethodName, (params: never) => unknown>>> {
    return {
      daemon: () => ({}),
      query: ({ refresh }: { readonly refresh: boolean }) => {
        if (refresh && this.lag === 'until asked') this.lag = null;
        return { namespaces: [this.namespace()] };
      },
      'server-call': ({
        server,
        method,
        params,
      }: {
        readonly server: string;
        readonly method: string;
        readonly params: Record<string, unknown>;
      }) => {
        const found = this.servers.get(server);
        if (found === undefined) throw new RsError('E_USAGE', `There is no server ${server}`);
        if (!found.isConnected) throw new RsError('E_NO_PATH', `Server ${server} of osl is not connected`);
        return { namespace: 'osl', server, result: found.order(this.nodename, method, params) };
      },
      mirrors: () => {
        const silent = [...this.servers.values()].filter((one) => !one.isConnected).map(({ name }) => `server ${name} is not connected`);
        return { mirrors: this.lag === null ? this.mirrors.all : [], gaps: silent };
      },
      'mirror-create': (params: never) => ({ mirror: this.mirrors.create(this.nodename, params), warnings: [] }),
      'mirror-allow': (params: never) => this.mirrors.access('volume-allow', this.nodename, params),
      'mirror-revoke': (params: never) => this.mirrors.access('volume-revoke', this.nodename, params),
      'mirror-remove': ({ id }: { readonly id: string | null }) => {
        this.mirrors.remove(id);
        return { namespace: 'osl', name: '', universe: 0, mirror: id ?? '', volumes: [], left: [] };
      },
      'order-detach': ({ ticket }: { readonly ticket: string }) => {
        this.endOrder(ticket);
        return {};
      },
      'mirror-snapshot': (params: never) => this.mirrorSnapshot(params),
      local: ({ orders }: { readonly orders?: boolean }) => ({
        attachments: [...this.attached, ...(orders === true ? [...this.orders.values()].map((id) => ({ id })) : [])],
        awaited: [],
      }),
      attach: ({ names, readOnly }: { readonly names: readonly string[]; readonly readOnly: boolean }) => ({
        outcomes: names.map((name) => this.attach(name, readOnly)),
      }),
      detach: ({ names }: { readonly names: readonly string[] }) => ({ outcomes: names.map((name) => this.detach(name)) }),
      status: () => ({
        interfaces: [],
        logs: [],
        mirrors: [],
        waiting: [...this.waiting].map(([volume, waitsFor]) => ({ volume, waitsFor, sinceMs: 0, untilMs: null, requests: 1 })),
      }),
    };
  }

  /** The volumes that this client may attach. */
  private offered(
    server: FakeServer,
  ): { name: string; universe: number; id: string; mirror: string | null; sizeBytes: number; shared: boolean }[] {
    return server.volumes
      .filter(({ view }) => view.clients === null || view.clients.includes(this.nodename))
      .map(({ view }) => ({
        name: view.name,
        universe: view.universe,
        id: view.id ?? '',
        mirror: view.mirror,
        shared: view.shared,
        sizeBytes: view.sizeBytes ?? 0,
      }));
  }

  private namespace(): ControlMethods['query']['result']['namespaces'][number] {
    const servers = [...this.servers.values()].map((one, index) => ({
      position: index,
      name: one.name,
      sections: [one.name],
      serverid: index + 1,
      instance: null,
      release: null,
      clockOffMs: null,
      state: one.isConnected ? ('connected' as const) : ('down' as const),
      addresses: [],
      limits: null,
      paths: [],
      volumes: one.isConnected
        ? this.offered(one).map(({ sizeBytes, ...volume }) => ({
            ...volume,
            blocks: sizeBytes / 512,
            blockSizeBytes: 512,
            readonly: false,
            holders: [],
            follows: null,
          }))
        : [],
    }));
    return { position: 0, name: 'osl', namespaceid: 200, nodename: this.nodename, servers };
  }

  private attach(name: string, readOnly: boolean): unknown {
    const base = { volume: name, done: true, already: false, device: `/dev/${name}`, error: null };
    const failed = (code: string, message: string): unknown => ({ ...base, done: false, device: null, error: { code, message } });
    const already = this.attached.find((one) => labelOf(one) === name);
    if (already !== undefined)
      return already.readonly === readOnly ? { ...base, already: true } : failed('E_IN_USE', 'It is attached in the other mode');
    for (const server of this.servers.values()) {
      const found = this.offered(server).find((one) => `osl:${one.name}@${one.universe}` === name);
      if (found === undefined) continue;
      const stored = server.named(found.name);
      const holder = stored?.view.holders.find((one) => one.node !== this.nodename);
      if (holder !== undefined && !readOnly && !found.shared) return failed('E_HELD', `It is held by ${holder.node}`);
      this.attached.push({
        namespace: 'osl',
        name: found.name,
        universe: found.universe,
        id: found.mirror ?? found.id,
        byId: '',
        state: 'attached',
        readonly: readOnly,
        shared: found.shared,
        blocks: found.sizeBytes / 512,
        blockSizeBytes: 512,
        servers: 1,
        rawDevice: null,
        blockDevice: `/dev/${name}`,
      });
      return base;
    }
    return failed('E_UNKNOWN_VOLUME', 'No server offers it');
  }

  private detach(name: string): unknown {
    const at = this.attached.findIndex((one) => labelOf(one) === name);
    if (at >= 0) this.attached.splice(at, 1);
    return { volume: name, done: true, already: at < 0, device: null, error: null };
  }
}

function labelOf({ namespace, name, universe }: AttachmentView): string {
  return `${namespace}:${name}@${universe}`;
}
