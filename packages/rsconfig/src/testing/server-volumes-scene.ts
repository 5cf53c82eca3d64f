// Runs commands about the volumes of servers, from arguments to output, for tests. The test provides rsiod on a real control socket, and
// the servers behind it. Invariant: `asked` contains exactly the requests to servers.

import type { ControlHandlers } from '@rsio/api/rsiod/call-rsiod';
import type { ServerView } from '@rsio/api/rsiod/methods';
import { HAD_NONE } from '@rsio/api/rssrv/server-methods';
import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { IMAGE, client, job, pool, removedVolume, replication, snapshot, volume } from '@rsio/api/testing/server-views';
import { beforeEach } from 'vitest';
import { serveControl, useRsconfig } from './rsconfig-run.ts';
import { namespace, path, server as serverView } from './views.ts';

export type Orders = Readonly<Record<string, (params: never) => unknown>>;

export const GIB = 1024 ** 3;
export const NOW_MS = new FakeClock().wallMs();
export const UNKNOWN = (): never => {
  throw new RsError('E_UNKNOWN_VOLUME', 'No volume oracle@0 on this server: rsadm volume list shows them');
};
export const WITHOUT_ADMIN = (): never => {
  throw new RsError('E_VERSION', 'The server takes no commands from clients: update the server');
};

const STOPPED = { kind: 'stopped', sinceMs: 0, untilMs: null, by: null } as const;

export const ORDERS: Orders = {
  'pool-list': () => ({ pools: [pool()] }),
  'volume-list': () => ({ volumes: [volume()], removed: [removedVolume({ untilMs: 5_400_000 })] }),
  'volume-show': () => ({ volume: volume(), snapshots: [] }),
  'volume-create': ({ name, universe, sizeBytes }: { name: string; universe: number; sizeBytes: number }) => ({
    volume: volume({ name, universe, sizeBytes, usedBytes: 0 }),
  }),
  'volume-grow': () => ({ volume: volume({ sizeBytes: 40 * GIB }) }),
  'volume-rename': () => ({ volume: volume({ name: 'data', universe: 1 }) }),
  'volume-set': () => ({ volume: volume({ readonly: true }) }),
  'volume-revoke': () => ({ volume: volume({ clients: ['venus'] }), client: 'big-2', wasHeld: true }),
  'volume-allow': () => ({ volume: volume({ clients: ['big-2'] }), client: 'big-2' }),
  'volume-pause': () => ({ volume: volume({ halt: STOPPED }) }),
  'volume-resume': () => ({ volume: volume() }),
  'volume-stop': () => ({ volume: volume({ halt: STOPPED }) }),
  'volume-start': () => ({ volume: volume() }),
  'volume-remove': () => ({ removed: removedVolume() }),
  'volume-restore': () => ({ volume: volume() }),
  'volume-purge': () => ({ purged: [removedVolume()], left: 0 }),
  'volume-snapshot': ({ snapshots }: { snapshots: readonly object[] }) => ({ snapshots: snapshots.map((one) => snapshot(one)) }),
  'volume-snapshot-remove': () => ({ volume: volume() }),
  'volume-clone': () => ({ volume: volume({ name: 'copy' }) }),
  'volume-rollback': () => ({ volume: volume(), kept: snapshot({ snapshot: 'before-rollback-1' }) }),
  'volume-image': ({ name, newUniverse }: { name: string; newUniverse: number }) => ({
    volume: volume({ name, universe: newUniverse }),
    job: null,
  }),
  'volume-refresh': ({ images }: { images: readonly { name: string; universe: number }[] }) => ({
    volumes: images.map((one) => volume({ ...one, image: IMAGE })),
    jobs: [],
  }),
  'volume-image-restore': () => ({ volume: volume(), kept: snapshot({ snapshot: 'before-restore-1' }), job: null }),
  'volume-replicate': () => ({ replication: replication() }),
  'replication-list': () => ({ replications: [replication()] }),
  'volume-reverse': () => ({ replication: 'r' }),
  'volume-seed': () => ({ volume: volume() }),
  'volume-demote': () => ({ volumes: [volume()], kept: 'before', lostBytes: 4096, momentMs: 0 }),
  'volume-promote': () => ({ volumes: [volume()], momentMs: 0, ageMs: 12_000 }),
  'volume-split': (name: { name: string; universe: number }) => ({ volume: volume({ name: name.name, universe: name.universe }) }),
  'volume-diff': ({ offsetBytes }: { offsetBytes: number }) => ({
    sizeBytes: 12_288,
    endBytes: offsetBytes + 4_096,
    ranges: offsetBytes === 8_192 ? [] : [{ offsetBytes, lengthBytes: 4_096 }],
    snapshotId: 'monday-id',
    untilId: null,
  }),
  'volume-move': () => ({ job: job({ state: 'waiting', doneBytes: 0, totalBytes: 0 }) }),
  'volume-copy': () => ({
    job: job({ kind: 'copy', state: 'waiting', newName: 'test', snapshot: 'monday', doneBytes: 0, totalBytes: 0 }),
  }),
  'job-list': () => ({ jobs: [job()] }),
  'job-cancel': () => ({ job: job({ state: 'cancelling' }) }),
  'job-limit': () => ({ job: job({ limitBytes: 1024 ** 2 }) }),
  'witness-list': () => ({ isWitness: false, limit: 1_024, records: [] }),
  'client-list': () => ({ clients: [client()] }),
};

/** The requests that servers have received, as texts such as `osl/big-9 volume-grow {...}`. */
export let asked: string[];

export interface Machine {
  readonly namespace: string;
  readonly view: ServerView;
  readonly orders: Orders;
  /** rsiod remembers of a server that is away that it had no volume. */
  readonly hadNone: boolean;
}

export function machine(name: string, orders: Orders = {}, changes: Partial<ServerView> = {}, of = 'osl'): Machine {
  return { namespace: of, view: serverView({ name, volumes: [], ...changes }), orders: { ...ORDERS, ...orders }, hadNone: false };
}

export const BIG_9 = machine('big-9');
/** A second server, which does not have the volume `oracle`. */
export const BIG_8 = machine('big-8', { 'volume-show': UNKNOWN, 'volume-list': () => ({ volumes: [], removed: [] }) });
export const DOWN = machine('big-7', {}, { state: 'down', paths: [path({ state: 'down', lastError: 'Connection refused' })] });

/** Like DOWN, and it has said before that it has no such volume. */
export const DOWN_WITHOUT: Machine = { ...DOWN, hadNone: true };

export async function serve(machines: readonly Machine[] = [BIG_9], handlers: Partial<ControlHandlers> = {}): Promise<void> {
  const names = [...new Set(machines.map((one) => one.namespace))];
  const all: Partial<ControlHandlers> = {
    query: () => ({
      namespaces: names.map((name) =>
        namespace({ name, servers: machines.filter((one) => one.namespace === name).map(({ view }) => view) }),
      ),
    }),
    local: () => ({ attachments: [], awaited: [] }),
    mirrors: () => ({ mirrors: [], gaps: [] }),
    'server-call': ({ namespace: at, server, method, params }) => {
      const found = machines.find((one) => one.namespace === at && one.view.name === server);
      if (found !== undefined && found.view.state !== 'connected')
        throw new RsError('E_NO_PATH', `Server ${server} of ${at} is not connected`, { [HAD_NONE]: found.hadNone });
      asked.push(`${at}/${server} ${method} ${JSON.stringify(params)}`);
      const order = found?.orders[method];
      if (order === undefined || at === null || server === null) throw new RsError('E_INTERNAL', `No ${at}/${server} ${method} here`);
      return { namespace: at, server, result: order(params as never) as Record<string, unknown> };
    },
    'await-volume': () => ({ listed: true }),
    'snapshot-begin': () => ({ ticket: null }),
    attach: ({ names: [name = ''] }) => ({
      outcomes: [{ volume: name, done: true, already: false, device: '/dev/av0/db', error: null }],
    }),
    ...handlers,
  };
  await serveControl(all);
}

export const AT = 'osl/big-9';
export const ORACLE = '"name":"oracle","universe":0';

/** Gives each test of the file its own root. The tests start rsiod themselves. */
export function useServerVolumes(): void {
  useRsconfig();
  beforeEach(() => {
    asked = [];
  });
}
