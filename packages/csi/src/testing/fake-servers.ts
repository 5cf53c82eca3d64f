// Servers in memory for tests of the driver, with the orders that the controller sends: volumes, snapshots, clones, jobs, clients and
// mirrors. They keep the rules that the driver relies on: names are unique, a change with a known request id is answered and not made
// again, a held volume is not removed. Invariant: an order either takes effect as a whole or not at all, as with rssrv.

import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import type { JobView, ManagedVolumeView, SnapshotView } from '@rsio/api/views/views';
import { RsError } from '@rsio/base/lib/errors';
import { client, job, pool, removedVolume, snapshot as snapshotView, volume as volumeView } from '@rsio/api/testing/server-views';

export const GIB = 1024 ** 3;
const MADE_MS = Date.UTC(2026, 0, 1);

type Params = Readonly<Record<string, unknown>>;
type Named = { readonly name: string; readonly universe: number };

interface Stored {
  view: ManagedVolumeView;
  snapshots: SnapshotView[];
}

/** One server with a pool `fast` and a pool `slow`. */
export class FakeServer {
  readonly name: string;
  readonly volumes: Stored[] = [];
  readonly jobs: JobView[] = [];
  nodes: string[] = ['node-1', 'node-2', 'node-3', 'kubernetes'];
  isConnected = true;
  /** Jobs stay `running` until the test finishes them. */
  holdsJobs = false;
  /** The answer to volume-revoke, before it takes effect; throws if the proof cannot be given. */
  proof: (name: string, node: string) => void = () => undefined;
  /** Every order that has taken effect. */
  readonly done: string[] = [];
  private readonly answers = new Map<string, unknown>();
  private made = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Answers an order of the client `asker`. */
  order(asker: string, method: string, params: Params): unknown {
    const request = typeof params['request'] === 'string' ? `${method} ${params['request']}` : null;
    const known = request === null ? undefined : this.answers.get(request);
    if (known !== undefined) return known;
    const run = this.orders(asker)[method];
    if (run === undefined) throw new RsError('E_INTERNAL', `The fake server does not know ${method}`);
    const answer = run(params as never);
    if (request !== null) {
      this.answers.set(request, answer);
      this.done.push(method);
    }
    return answer;
  }

  /** Number of orders of this method that have taken effect. */
  count(method: string): number {
    return this.done.filter((one) => one === method).length;
  }

  named(name: string): Stored | null {
    return this.volumes.find(({ view }) => view.name === name) ?? null;
  }

  add(changes: Partial<ManagedVolumeView>): Stored {
    const base = {
      id: crypto.randomUUID() as string,
      snapshots: 0,
      holders: [],
      usedBytes: 0,
      mirror: null,
      createdMs: MADE_MS,
      limits: null,
      halt: null,
      image: null,
      schedule: null,
      origin: null,
    };
    const stored: Stored = { view: volumeView({ ...base, ...changes }), snapshots: [] };
    this.volumes.push(stored);
    return stored;
  }

  finishJobs(): void {
    for (const [at, one] of this.jobs.entries()) {
      if (one.state !== 'running') continue;
      this.jobs[at] = { ...one, state: 'done' };
      this.addCopy(one);
    }
  }

  private find({ name, universe }: Named): Stored {
    const found = this.volumes.find(({ view }) => view.name === name && view.universe === universe);
    if (found === undefined) throw new RsError('E_UNKNOWN_VOLUME', `No volume ${name}@${universe} on this server`);
    return found;
  }

  private free(name: string): void {
    if (this.named(name) !== null) throw new RsError('E_EXISTS', `Volume ${name}@0 exists`);
  }

  private set(named: Named, changes: Partial<ManagedVolumeView>): { volume: ManagedVolumeView } {
    const stored = this.find(named);
    stored.view = { ...stored.view, ...changes };
    return { volume: stored.view };
  }

  private addCopy({ name, newName, by, snapshot, to }: JobView): void {
    const { view, snapshots } = this.find({ name, universe: 0 });
    this.add({
      name: newName ?? '',
      universe: 0,
      sizeBytes: view.sizeBytes,
      clients: view.clients,
      owner: by,
      pool: to,
      origin: { volumeId: view.id ?? '', snapshotId: snapshots.find((one) => one.snapshot === snapshot)?.id ?? null },
    });
  }

  private orders(asker: string): Readonly<Record<string, (params: never) => unknown>> {
    return {
      'volume-list': () => ({ volumes: this.volumes.map(({ view }) => view), removed: [] }),
      'volume-show': (params: Named) => {
        const { view, snapshots } = this.find(params);
        return { volume: view, snapshots: [...snapshots] };
      },
      'pool-list': () => ({
        pools: [
          pool({ name: 'fast', usableBytes: 100 * GIB, limitBytes: null }),
          pool({ name: 'slow', usableBytes: 900 * GIB, limitBytes: 40 * GIB, promisedBytes: 10 * GIB }),
        ],
      }),
      'client-list': () => ({ clients: this.nodes.map((name) => client({ name })) }),
      'job-list': ({ id }: { readonly id: string | null }) => ({ jobs: this.jobs.filter((one) => id === null || one.id === id) }),
      ...this.volumeOrders(asker),
      ...this.copyOrders(asker),
      ...this.snapshotOrders(),
    };
  }

  private volumeOrders(asker: string): Readonly<Record<string, (params: never) => unknown>> {
    return {
      'volume-create': (
        params: Named & { sizeBytes: number; pool: string | null; shared: boolean; clients: string[]; thick: boolean; settings: string[] },
      ) => {
        this.free(params.name);
        if (params.pool !== null && !['fast', 'slow'].includes(params.pool)) throw new RsError('E_UNKNOWN_POOL', `No pool ${params.pool}`);
        const { name, universe, sizeBytes, shared, clients, thick } = params;
        return { volume: this.add({ name, universe, sizeBytes, shared, clients, thick, owner: asker, pool: params.pool ?? 'fast' }).view };
      },
      'volume-grow': (params: Named & { sizeBytes: number }) => this.set(params, { sizeBytes: params.sizeBytes }),
      'volume-rename': (params: Named & { newName: string }) => {
        this.free(params.newName);
        return this.set(params, { name: params.newName });
      },
      'volume-set': (params: Named & { settings: string[] }) => {
        const wrong = params.settings.find((one) => one === 'iops=many');
        if (wrong !== undefined) throw new RsError('E_USAGE', `Wrong setting ${wrong}`);
        const of = (key: string): string | undefined => params.settings.find((one) => one.startsWith(`${key}=`))?.slice(key.length + 1);
        const [clients, shared] = [of('clients'), of('shared')];
        return this.set(params, {
          ...(clients === undefined ? {} : { clients: clients === 'all' ? null : clients.split(',') }),
          ...(shared === undefined ? {} : { shared: shared === 'yes' }),
        });
      },
      'volume-remove': (params: Named) => {
        const stored = this.find(params);
        if (stored.view.holders.length > 0) throw new RsError('E_HELD', `Volume ${params.name} is held by ${stored.view.holders[0]?.node}`);
        this.volumes.splice(this.volumes.indexOf(stored), 1);
        return { removed: removedVolume({ name: params.name }) };
      },
      'volume-allow': (params: Named & { client: string }) => {
        const others = this.find(params).view.clients?.filter((name) => name !== params.client);
        return { ...this.set(params, others === undefined ? {} : { clients: [...others, params.client] }), client: params.client };
      },
      'volume-revoke': (params: Named & { client: string }) => {
        this.proof(params.name, params.client);
        const { clients, holders } = this.find(params).view;
        const left = {
          clients: clients?.filter((name) => name !== params.client) ?? null,
          holders: holders.filter(({ node }) => node !== params.client),
        };
        return { ...this.set(params, left), client: params.client, wasHeld: holders.length !== left.holders.length };
      },
    };
  }

  private copyOrders(asker: string): Readonly<Record<string, (params: never) => unknown>> {
    return {
      'volume-clone': (params: Named & { snapshot: string; newName: string }) => {
        this.free(params.newName);
        const { view, snapshots } = this.find(params);
        const source = snapshots.find(({ snapshot }) => snapshot === params.snapshot);
        if (source === undefined) throw new RsError('E_UNKNOWN_SNAPSHOT', `No snapshot ${params.snapshot}`);
        const { sizeBytes } = source;
        return {
          volume: this.add({
            name: params.newName,
            universe: 0,
            sizeBytes,
            clients: view.clients,
            owner: asker,
            pool: view.pool,
            origin: { volumeId: view.id ?? '', snapshotId: source.id },
          }).view,
        };
      },
      'volume-copy': (params: Named & { newName: string; snapshot: string | null; pool: string | null }) => {
        this.free(params.newName);
        const { name, newName, snapshot, pool: to } = params;
        const made = job({
          to: to ?? 'fast',
          id: `job-${this.made++}`,
          kind: 'copy',
          name,
          snapshot,
          newName,
          by: asker,
          state: 'running',
          reason: null,
        });
        this.jobs.push(made);
        if (!this.holdsJobs) this.finishJobs();
        return { job: made };
      },
    };
  }

  private snapshotOrders(): Readonly<Record<string, (params: never) => unknown>> {
    return {
      'volume-snapshot': ({ snapshots }: { readonly snapshots: readonly (Named & { readonly snapshot: string })[] }) => {
        const group = `00000000-0000-4000-9000-${String(this.made++).padStart(12, '0')}`;
        for (const one of snapshots)
          if (this.find(one).snapshots.some(({ snapshot }) => snapshot === one.snapshot))
            throw new RsError('E_EXISTS', `Snapshot ${one.snapshot} exists`);
        return {
          snapshots: snapshots.map((one) => {
            const stored = this.find(one);
            const id = `00000000-0000-4000-a000-${String(this.made++).padStart(12, '0')}`;
            const { name, universe } = stored.view;
            const createdMs = MADE_MS + this.made;
            const made = snapshotView({
              name,
              universe,
              snapshot: one.snapshot,
              id,
              group,
              sizeBytes: stored.view.sizeBytes ?? 0,
              createdMs,
            });
            stored.snapshots.push(made);
            stored.view = { ...stored.view, snapshots: stored.snapshots.length };
            return made;
          }),
        };
      },
      'volume-snapshot-remove': (params: Named & { snapshot: string; onlyId?: string }) => {
        const stored = this.find(params);
        const at = stored.snapshots.findIndex(({ snapshot, id }) => snapshot === params.snapshot && (params.onlyId ?? id) === id);
        if (at < 0) throw new RsError('E_UNKNOWN_SNAPSHOT', `No snapshot ${params.snapshot}`);
        stored.snapshots.splice(at, 1);
        return this.set(params, { snapshots: stored.snapshots.length });
      },
      'volume-diff': ({
        snapshot,
        until,
        offsetBytes,
        ...named
      }: Named & { snapshot: string; until: string | null; offsetBytes: number }) => {
        const { snapshots } = this.find(named);
        const idOf = (name: string | null): string | null => snapshots.find((one) => one.snapshot === name)?.id ?? null;
        const sizeBytes = snapshots.find((one) => one.snapshot === until)?.sizeBytes ?? 0;
        // The answer has two parts with two ranges each.
        const half = sizeBytes / 2;
        const ranges = [0, 8_192].map((offset) => ({ offsetBytes: offsetBytes + offset, lengthBytes: 4_096 }));
        return { sizeBytes, endBytes: offsetBytes < half ? half : sizeBytes, ranges, snapshotId: idOf(snapshot), untilId: idOf(until) };
      },
    };
  }
}

/** The mirrors of all servers. */
interface AccessOrder {
  readonly name: string;
  readonly client: string;
  readonly id?: string | null;
  readonly endClaim?: boolean;
}

export class FakeMirrors {
  readonly all: MirrorSummary[] = [];
  /** True if a majority of the voters proves what a missing server cannot. */
  isVoted = false;
  /** Why the claim of a client cannot be ended. */
  stillHolds: string | null = null;
  /** Number of the last moment of a snapshot. */
  private moments = 0;
  private readonly servers: ReadonlyMap<string, FakeServer>;

  constructor(servers: ReadonlyMap<string, FakeServer>) {
    this.servers = servers;
  }

  create(asker: string, params: { name: string; sizeBytes: number; servers: readonly string[]; witness: string | null }): MirrorSummary {
    const { name, sizeBytes, servers, witness } = params;
    const known = this.all.find((one) => one.name === name);
    if (known !== undefined) throw new RsError('E_EXISTS', `Mirror ${name} exists`);
    const mirror = `b${String(this.all.length).padStart(31, '0')}`;
    for (const server of servers) this.servers.get(server)?.add({ name, universe: 0, sizeBytes, clients: null, owner: asker, mirror });
    const place = { volume: name, universe: 0, inSync: true, isReachable: true, isSilent: false, copy: null };
    const voters = [...servers, ...(witness === null ? [] : [witness])];
    const made: MirrorSummary = {
      namespace: 'osl',
      name,
      universe: 0,
      mirror,
      state: 'known',
      sizeBytes,
      majority: 2,
      holder: null,
      replicas: servers.map((server, index) => ({ server, serverid: index + 1, ...place })),
      voters: voters.map((server, index) => ({ server, serverid: index + 1, answers: true, isSilent: false, trouble: null })),
    };
    this.all.push(made);
    return made;
  }

  /** Answers mirror-allow and mirror-revoke. */
  access(method: 'volume-allow' | 'volume-revoke', asker: string, order: AccessOrder): object {
    const { name, client: node, id = null, endClaim = false } = order;
    const found = this.all.find((one) => one.name === name && (id === null || one.mirror === id));
    if (found === undefined) throw new RsError('E_UNKNOWN_VOLUME', 'No such mirror');
    const { namespace, universe, mirror, replicas } = found;
    const left: object[] = [];
    const servers = replicas.flatMap(({ server }) => {
      try {
        if (this.servers.get(server)?.isConnected !== true) throw new RsError('E_NO_PATH', `Server ${server} is not connected`);
        this.servers.get(server)?.order(asker, method, { name, universe, client: node });
        return [server];
      } catch (thrown) {
        left.push({ server, reason: (thrown as Error).message });
        return [];
      }
    });
    const isProven = method === 'volume-revoke' && (left.length === 0 || this.isVoted);
    const { stillHolds } = this;
    if (endClaim && isProven && stillHolds === null && found.holder === node) this.held(mirror, asker, true);
    return { namespace, name, universe, mirror, client: node, servers, wasHeld: false, isProven, stillHolds, left };
  }

  held(uuid: string, holder: string | null, isOnlyClaimed = false): void {
    const at = this.all.findIndex(({ mirror }) => mirror === uuid);
    if (at >= 0) this.all[at] = { ...this.all[at]!, holder, isOnlyClaimed };
  }

  /** Makes snapshots of the replicas that are not yet proven. Returns what proves them. */
  snapshot(name: string, snapshot: string): () => object {
    const { mirror, sizeBytes, replicas } = this.all.find((one) => one.name === name)!;
    const servers = replicas.map(({ server }) => this.servers.get(server)!).filter(({ isConnected }) => isConnected);
    const stored = servers.map((server) => server.named(name)!);
    if (stored.some(({ snapshots }) => snapshots.some((one) => one.snapshot === snapshot && one.moment?.isProven !== false)))
      throw new RsError('E_EXISTS', `Snapshot ${name}@${snapshot} exists`);
    const number = ++this.moments;
    const id = `00000000-0000-4000-c000-${String(number).padStart(12, '0')}`;
    const moment = { mirror, term: 1, number, isProven: false };
    const made = { name, universe: 0, snapshot, id, group: id, sizeBytes: sizeBytes ?? 0, moment };
    for (const [index, one] of stored.entries()) {
      const others = one.snapshots.filter((each) => each.moment?.isProven !== false);
      // Each server has its own clock.
      one.snapshots = [...others, snapshotView({ ...made, createdMs: MADE_MS + 10 * number + index })];
      one.view = { ...one.view, snapshots: one.snapshots.length };
    }
    return () => {
      for (const one of stored)
        one.snapshots = one.snapshots.map((each) => (each.id === id ? { ...each, moment: { ...moment, isProven: true } } : each));
      return { ...made, mirror, servers: servers.map((server) => server.name), missing: [] };
    };
  }

  remove(uuid: string | null): void {
    const at = this.all.findIndex(({ mirror }) => mirror === uuid);
    if (at < 0) throw new RsError('E_UNKNOWN_VOLUME', 'No such mirror');
    const { replicas, name } = this.all[at]!;
    for (const { server } of replicas) {
      const volumes = this.servers.get(server)?.volumes ?? [];
      volumes.splice(
        volumes.findIndex(({ view }) => view.name === name),
        1,
      );
    }
    this.all.splice(at, 1);
  }
}
