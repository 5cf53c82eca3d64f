// A fake rssrv for the tests of rsadm: a control socket with the test's handlers, and a root directory with rssrvcfg. Tests run rsadm
// against both in this process. Invariant: after each test, the socket is closed and the root is removed.

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunOnMachine } from '@rsio/appliance/machine';
import { type ControlServer, type HandlersOf, startControlServer } from '@rsio/common/control/control-server';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { executeProgram } from '@rsio/base/daemon/arguments';
import { type ErrorCode, RsError } from '@rsio/base/lib/errors';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import {
  IMAGE,
  client,
  DAEMON_ANSWER,
  job,
  listeningInterface,
  pool,
  removedVolume,
  replication,
  sessionStats,
  sharedPool,
  snapshot,
  volume,
} from '@rsio/api/testing/server-views';
import { SERVER_FILE_HEAD } from '@rsio/common/testing/sample-rssrvcfg';
import { afterEach, beforeEach } from 'vitest';
import { rsadm, rsadmSpec } from '../program.ts';

export type Handlers = Partial<HandlersOf<typeof SERVER_METHODS>>;

export const CONFIG = `${SERVER_FILE_HEAD}[pool fast]
# the disks
path = /srv/fast

[clients]
big-2 z2bqehhz57cbs2vh8e9vvyhue9sfr8eb`;

const NOW_MS = new FakeClock().wallMs();

const READY = {
  server: 'big-9',
  version: '1.0.0',
  startedMs: 0,
  pools: { ready: 1, total: 1 },
  sessions: 2,
  mirrors: 0,
  votes: 0,
  isReady: true,
  reasons: [],
  warnings: ['1 client with a single path to this server: big-2'],
};

const STOPPED = { kind: 'stopped', sinceMs: 0, untilMs: null, by: null } as const;

export const ANSWERS: Handlers = {
  daemon: () => DAEMON_ANSWER,
  'pool-make': () => ({ isNew: true, volumes: 0 }),
  'pool-check': () => ({ pool: pool() }),
  'pool-list': () => ({ pools: [pool()] }),
  'pool-move': ({ to }) => ({ server: to, tookMs: 3_200 }),
  readiness: () => READY,
  'farm-show': () => ({ server: 'big-9', pools: [sharedPool()] }),
  'pool-grow': () => ({ beforeBytes: 2 ** 40, sizeBytes: 2 ** 41 }),
  'pool-release': () => ({}),
  'farm-make': () => ({ isNew: true }),
  'peer-list': () => ({ peers: [] }),
  'volume-list': () => ({ volumes: [volume()], removed: [removedVolume({ untilMs: NOW_MS + 5_400_000 })] }),
  'volume-show': () => ({ volume: volume(), snapshots: [] }),
  'volume-create': () => ({ volume: volume() }),
  'volume-grow': () => ({ volume: volume({ sizeBytes: 2 ** 40 }) }),
  'volume-rename': () => ({ volume: volume({ name: 'data', universe: 1 }) }),
  'volume-set': () => ({ volume: volume({ readonly: true }) }),
  'volume-revoke': () => ({ volume: volume({ clients: ['venus'] }), client: 'big-2', wasHeld: true }),
  'volume-allow': () => ({ volume: volume({ clients: ['big-2'] }), client: 'big-2' }),
  'client-rename': ({ name, to }) => ({ name, to, volumes: 2, snapshots: 1 }),
  'volume-pause': () => ({ volume: volume({ halt: STOPPED }) }),
  'volume-resume': () => ({ volume: volume() }),
  'volume-stop': () => ({ volume: volume({ halt: STOPPED }) }),
  'volume-start': () => ({ volume: volume() }),
  'volume-remove': () => ({ removed: removedVolume() }),
  'volume-restore': () => ({ volume: volume() }),
  'volume-purge': () => ({ purged: [removedVolume()], left: 0 }),
  'volume-snapshot': ({ snapshots }) => ({ snapshots: snapshots.map((one) => snapshot(one)) }),
  'volume-snapshot-remove': () => ({ volume: volume() }),
  'volume-clone': () => ({ volume: volume({ name: 'copy' }) }),
  'volume-rollback': () => ({ volume: volume(), kept: snapshot({ snapshot: 'before-rollback-1' }) }),
  'volume-image': () => ({ volume: volume({ universe: 2 }), job: null }),
  'volume-refresh': () => ({ volumes: ['oracle', 'log'].map((name) => volume({ name, universe: 1, image: IMAGE })), jobs: [] }),
  'volume-image-restore': () => ({ volume: volume(), kept: snapshot({ snapshot: 'before-restore-1' }), job: null }),
  'volume-replicate': () => ({ replication: replication() }),
  'volume-replicate-end': () => ({ replication: replication({ state: 'ended', nextMs: null }) }),
  'volume-reverse': () => ({ replication: 'r' }),
  'volume-seed': () => ({ volume: volume() }),
  'volume-demote': () => ({ volumes: [volume()], kept: 'before', lostBytes: 4096, momentMs: 0 }),
  'volume-promote': () => ({ volumes: [volume()], momentMs: 0, ageMs: 12_000 }),
  'replication-list': () => ({ replications: [replication()] }),
  'volume-split': () => ({ volume: volume({ universe: 1 }) }),
  'volume-diff': ({ offsetBytes }) => ({
    sizeBytes: 12_288,
    endBytes: offsetBytes + 4_096,
    ranges: offsetBytes === 8_192 ? [] : [{ offsetBytes, lengthBytes: 4_096 }],
    snapshotId: 'monday-id',
    untilId: null,
  }),
  'volume-import': () => ({ job: job({ kind: 'import', newName: 'oracle', state: 'waiting', doneBytes: 0, totalBytes: 0 }) }),
  'volume-move': () => ({ job: job({ state: 'waiting', doneBytes: 0, totalBytes: 0 }) }),
  'volume-copy': () => ({
    job: job({ kind: 'copy', state: 'waiting', newName: 'test', snapshot: 'monday', doneBytes: 0, totalBytes: 0 }),
  }),
  'volume-export': () => ({
    job: job({ kind: 'copy', state: 'waiting', to: '/backup/oracle.qcow2', target: 'file', doneBytes: 0, totalBytes: 0 }),
  }),
  'job-list': () => ({ jobs: [job()] }),
  'job-cancel': () => ({ job: job({ state: 'cancelling' }) }),
  'job-limit': () => ({ job: job({ limitBytes: 1024 ** 2 }) }),
  'client-list': () => ({ clients: [client()] }),
  stats: () => ({ sessions: [sessionStats()], waits: [] }),
  events: () => ({ events: [], missed: 0, last: 0, beganMs: 0 }),
  'client-kick': ({ name }) => ({ name, wasConnected: true, isClean: true, volumes: [] }),
  'client-fence': ({ name }) => ({ name, wasConnected: true, isClean: true, volumes: ['oracle@0', 'data@1'] }),
  'client-unfence': ({ name }) => ({ name, wasFenced: true }),
  'client-release': ({ name }) => ({ name, released: ['oracle@0'], left: 1 }),
  'interface-list': () => ({ interfaces: [listeningInterface()] }),
  'config-check': () => ({ changes: ['pool x is added'], warnings: [] }),
  'change-show': () => ({ change: null }),
  reload: () => ({ applied: ['pool x is added'] }),
};

export const INTERFACES = 'INTERFACE  ADDRESS   PORT  STATE\nif1        10.0.0.9  5000  listening\n';
export const POOLS =
  'POOL    SIZE  USED   FREE  PROMISED  LIMIT  FULL  VOLUMES  PATH\nfast  100.0G   40%  55.0G     20.0G      -     -        1  /srv/fast\n';
export const FARM =
  'POOL  DISK           OWNER  GENERATION                      SINCE  HEARTBEAT  NEXT   STATE\n' +
  'fast  rbd:rsio/fast  big-9          17  1970_01_01-00:00:00 (GMT)      0.4 s  big-8  serving\n';
export const VOLUMES = 'VOLUME     SIZE  USED  POOL  SNAPSHOTS  HELD BY\noracle@0  20.0G  1.5K  fast          0  -\n';
export const CLIENTS =
  'CLIENT  STATE      ADDRESS          READS    WRITES  RIGHTS  HOLDS\nbig-2   connected  192.168.10.2  0.8 MB/s  0.0 MB/s  use     oracle@0\n';

export type Ask = ((question: string) => Promise<string>) | null;

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export class AdmScene {
  root = '';
  /** The requests that rssrv received, in order. */
  asked: (readonly [method: string, params: unknown])[] = [];
  daemon: ControlServer | null = null;

  get configFile(): string {
    return join(this.root, 'etc/dvsc/rssrvcfg');
  }

  config(): string {
    return readFileSync(this.configFile, 'utf8');
  }

  write(config: string): void {
    writeFileSync(this.configFile, config, { mode: 0o600 });
  }

  begin(): void {
    this.root = mkdtempSync(join(tmpdir(), 'rsio-ra-'));
    mkdirSync(join(this.root, 'etc/dvsc'), { recursive: true });
    this.write(CONFIG);
    this.daemon = null;
    this.asked = [];
  }

  async end(): Promise<void> {
    await this.daemon?.close();
    await removeFolder(this.root);
  }

  /** Starts a fake rssrv. A method without a handler in `handlers` has the handler in ANSWERS. */
  async serve(handlers: Handlers = {}): Promise<void> {
    const all = { ...ANSWERS, ...handlers };
    const noted = Object.fromEntries(
      Object.entries(all).map(([method, handler]) => [
        method,
        (params: never) => {
          // The program also calls `daemon` before a slow request. `asked` omits these calls, because no test checks them.
          if (method !== 'daemon') this.asked.push([method, params]);
          return handler(params);
        },
      ]),
    );
    this.daemon = await startControlServer(join(this.root, 'run/rsio/rssrv/control'), SERVER_METHODS, noted, quietLog);
  }

  /** The programs of an appliance. */
  programs: RunOnMachine = () => Promise.reject(new RsError('E_SYSTEM', 'No program in this test'));

  async run(argv: readonly string[], ask: Ask = null, clock = new FakeClock()): Promise<Outcome> {
    let out = '';
    let err = '';
    const machine = { hostName: 'big-9.example.com', addresses: ['192.168.10.9', '192.168.11.9'] };
    const waiting = { progress: null, onStop: () => () => undefined };
    const ports = { clock, ask, newId: () => 'id-1', machine, run: this.programs, waiting };
    const code = await executeProgram(rsadmSpec, (invocation) => rsadm(invocation, ports), {
      argv,
      env: { RSIO_ROOT: this.root },
      out: (text) => {
        out += text.replaceAll(this.root, 'ROOT');
      },
      err: (text) => {
        err += text.replaceAll(this.root, 'ROOT');
      },
    });
    return { code, out, err };
  }
}

/** Gives each test of the file a new scene. */
export function useAdmScene(): AdmScene {
  const scene = new AdmScene();
  beforeEach(() => scene.begin());
  afterEach(() => scene.end());
  return scene;
}

export function refusing(code: ErrorCode, message: string): () => never {
  return () => {
    throw new RsError(code, message);
  };
}
