// The plan: the rows and the durations. A row is a load and the servers that get this load. The quick plan has the rows of the goals; the
// full plan varies one thing at a time around these rows.

import type { LoadShape, Window } from './load/orders.ts';

export const SERVER_IDS = ['rssrv', 'nbdkit', 'nbd-server', 'qemu-nbd', 'qemu-storage-daemon', 'tgt', 'epoll-server'] as const;
/** `rssrv-older`: rssrv of an older checkout, which is only measured with \`--older\`. */
export type ServerId = (typeof SERVER_IDS)[number] | 'rssrv-older';

export interface Row extends LoadShape {
  /** Name of the row, for `--only`. */
  readonly name: string;
  readonly title: string;
  /** Connections of each client; for RSIO, paths of one session. */
  readonly connections: number;
  readonly clients: number;
  /** `pinned`: the server runs on one core, and the load on another; `all`: the kernel chooses the cores. */
  readonly cores: 'pinned' | 'all';
  /** False: the pages of the file are dropped from the cache before each window. */
  readonly isCached: boolean;
  readonly servers: readonly ServerId[];
}

export interface Plan extends Window {
  readonly rounds: number;
  readonly rows: readonly Row[];
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const FILE_BYTES = 512 * MIB;
/** Every row has fewer bytes than this in flight, because the window of a session of RSIO is 32 MiB. */
const BYTES_OUT_MAX = 32 * MIB;

const KINDS = {
  read: { readPercent: 100, order: 'random', words: 'random reads' },
  write: { readPercent: 0, order: 'random', words: 'random writes' },
  mix: { readPercent: 70, order: 'random', words: 'random, 70 % reads, 30 % writes' },
  seqread: { readPercent: 100, order: 'sequential', words: 'sequential reads' },
  seqwrite: { readPercent: 0, order: 'sequential', words: 'sequential writes' },
} as const;

type RowChanges = Partial<Pick<Row, 'connections' | 'clients' | 'cores' | 'servers'>>;

function sizeText(bytes: number): string {
  return bytes >= MIB ? `${bytes / MIB}m` : `${bytes / KIB}k`;
}

export function row(kind: keyof typeof KINDS, blockBytes: number, depth: number, changes: RowChanges = {}): Row {
  const { readPercent, order, words } = KINDS[kind];
  const { connections = 1, clients = 1, cores = 'pinned', servers = SERVER_IDS } = changes;
  const size = blockBytes >= MIB ? `${blockBytes / MIB} MiB` : `${blockBytes / KIB} KiB`;
  const parts = [
    `${kind}-${sizeText(blockBytes)}-d${depth}`,
    ...(connections > 1 ? [`c${connections}`] : []),
    ...(cores === 'all' ? [`x${clients}`] : []),
  ];
  const title = [
    `${size} ${words}, depth ${depth}`,
    ...(connections > 1 ? [`${connections} connections`] : []),
    ...(cores === 'all' ? [`${clients} ${clients === 1 ? 'client' : 'clients'}, two cores for all`] : []),
  ].join(', ');
  return { name: parts.join('-'), title, readPercent, order, blockBytes, depth, connections, clients, cores, isCached: true, servers };
}

function uncached(servers: readonly ServerId[]): Row {
  const cached = row('read', 8 * KIB, 32, { servers });
  return { ...cached, name: `${cached.name}-uncached`, title: `${cached.title}, not cached`, order: 'once', isCached: false };
}

export const QUICK_PLAN: Plan = {
  rounds: 3,
  warmUpMs: 250,
  windowMs: 700,
  rows: [
    row('read', 8 * KIB, 128, { servers: ['rssrv', 'nbdkit', 'tgt', 'epoll-server'] }),
    row('write', 8 * KIB, 128, { servers: ['rssrv', 'nbdkit', 'epoll-server'] }),
    row('read', 8 * KIB, 128, { clients: 4, cores: 'all', servers: ['rssrv', 'nbdkit'] }),
    row('read', 4 * KIB, 1, { servers: ['rssrv', 'nbdkit', 'epoll-server'] }),
    row('seqread', MIB, 8, { servers: ['rssrv', 'epoll-server'] }),
    uncached(['rssrv', 'nbdkit']),
  ],
};

const SMALL = [1, 8, 32, 128].flatMap((depth) => [
  row('read', 8 * KIB, depth),
  row('write', 8 * KIB, depth),
  row('read', 4 * KIB, depth),
  row('write', 4 * KIB, depth),
  row('mix', 8 * KIB, depth),
]);

const LARGE = [1, 8, 32].flatMap((depth) => [
  row('seqread', 64 * KIB, depth),
  row('seqwrite', 64 * KIB, depth),
  ...(depth * MIB < BYTES_OUT_MAX ? [row('seqread', MIB, depth), row('seqwrite', MIB, depth)] : []),
]);

const MANY = [
  ...[4, 16].flatMap((connections) => [row('read', 8 * KIB, 128, { connections }), row('write', 8 * KIB, 128, { connections })]),
  row('seqread', MIB, 8, { connections: 4 }),
  ...[1, 2, 4].flatMap((clients) => [
    row('read', 8 * KIB, 32, { clients, cores: 'all' }),
    row('read', 8 * KIB, 128, { clients, cores: 'all' }),
  ]),
  row('read', 8 * KIB, 128, { clients: 4, connections: 4, cores: 'all' }),
];

export const FULL_PLAN: Plan = {
  rounds: 3,
  warmUpMs: 300,
  windowMs: 1_000,
  // Rows with the same connections are adjacent, so that the connections are opened once.
  rows: [...SMALL, ...LARGE, ...MANY, uncached(['rssrv', 'nbdkit', 'qemu-nbd', 'qemu-storage-daemon', 'epoll-server'])],
};

/** The row that measures the cost of the replay log. The row has many short rounds, because two processes share a core. */
export const LOG_ROW = row('write', 8 * KIB, 128, { servers: [] });
export const LOG_PLAN: Plan = { rounds: 7, warmUpMs: 500, windowMs: 2_000, rows: [LOG_ROW] };

/** Rounds beside an older build: many short ones, so that pairs of rounds show a difference of 2 % (pairsRatio). */
export const OLDER_ROUNDS = { rounds: 80, warmUpMs: 50, windowMs: 250 } as const;

/** Returns the row whose name is `part`, or all rows whose name contains `part`. */
export function findRows(plan: Plan, part: string): Row[] {
  const named = plan.rows.filter(({ name }) => name === part);
  return named.length > 0 ? named : plan.rows.filter(({ name }) => name.includes(part));
}

/** Total duration in ms of the windows that measure the cost of the log, for both clients. */
export const LOG_MS = 2 * LOG_PLAN.rounds * (LOG_PLAN.warmUpMs + LOG_PLAN.windowMs);

/** Longest total duration in ms of the windows of a plan, without the time to start servers and open connections. */
export function planMs({ rows, rounds, warmUpMs, windowMs }: Plan): number {
  return rows.reduce((sum, { servers }) => sum + servers.length, 0) * rounds * (warmUpMs + windowMs);
}
