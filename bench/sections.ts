// The sections: everything that is measured besides the rows of the server. Each section belongs to a part of the bench and has the name
// that `--only` takes. Pure; the folder of a part has the code that measures.

export const PARTS = ['server', 'encryption', 'client', 'scale', 'mirrors', 'farm', 'garbage'] as const;
export type Part = (typeof PARTS)[number];

interface SectionShape {
  readonly name: string;
  readonly part: Exclude<Part, 'server'>;
  readonly title: string;
}

export const SECTIONS = [
  { name: 'encryption', part: 'encryption', title: 'what digests and TLS cost the server, beside NBD servers with TLS' },
  { name: 'links', part: 'client', title: 'what rsiod carries over several links of 1 Gbit/s, and its cores' },
  { name: 'unshaped', part: 'client', title: '1 MiB reads and writes through the NBD frontend, no link in between' },
  { name: 'latency', part: 'client', title: '4 KiB at depth 1 through each frontend, beside nbdkit over TCP' },
  { name: 'end-to-end', part: 'client', title: '8 KiB at depth 32 from fio to the file, beside nbdkit over TCP' },
  { name: 'relay', part: 'client', title: 'rsiod beside a relay in C that only forwards: 8 KiB, depth 32, per core' },
  { name: 'relay-latency', part: 'client', title: 'the NBD socket and the block device beside that relay: 4 KiB, depth 1' },
  { name: 'busy-poll', part: 'client', title: 'single requests with and without busy polling' },
  { name: 'many', part: 'client', title: 'what 8 paths, 100 volumes or 64 connections cost rsiod for each I/O' },
  { name: 'processes', part: 'client', title: 'what 2 and 4 data processes of rsiod cost and give, plain and with TLS' },
  { name: 'gates', part: 'client', title: 'gates beside the NBD frontend of the same rsiod, and beside tgtd, per core' },
  { name: 'map', part: 'client', title: 'what one I/O costs the client: calls, copies, wake-ups, CPU time, functions' },
  { name: 'clients', part: 'scale', title: 'memory, IOPS and cost of up to 1,000 clients' },
  { name: 'restart', part: 'scale', title: '1,000 clients come back to a server that was killed' },
  { name: 'volumes', part: 'scale', title: 'cost of a request with up to 1,024 volumes open' },
  { name: 'paths', part: 'scale', title: 'cost of a request over up to 8 paths' },
  { name: 'metrics', part: 'scale', title: 'what it costs that Prometheus reads both daemons every second' },
  { name: 'limits', part: 'scale', title: 'limits of I/O: how exactly they are met, and their cost' },
  { name: 'mirrors', part: 'mirrors', title: 'a mirror over two servers beside a volume of one server' },
  { name: 'farm', part: 'farm', title: 'a volume in a shared pool beside one in a local pool, and heartbeats at rest' },
  { name: 'garbage', part: 'garbage', title: 'heap allocated for each request, and pauses' },
] as const satisfies readonly SectionShape[];

export type Section = (typeof SECTIONS)[number];
export type SectionName = Section['name'];

export interface SectionPlan {
  readonly rounds: number;
  /** Length of a window, or of a run of fio. */
  readonly seconds: number;
  readonly links: readonly number[];
  readonly hasBlockOverLinks: boolean;
  readonly clients: readonly number[];
  /** Number of clients that reconnect. */
  readonly returning: number;
  readonly volumes: readonly number[];
  readonly paths: readonly number[];
  readonly encrypted: { readonly clients: readonly number[]; readonly blockBytes: readonly number[] };
  readonly sections: readonly SectionName[];
}

const KIB = 1024;

export const FULL_SECTIONS: SectionPlan = {
  rounds: 3,
  seconds: 3,
  links: [1, 2, 4, 8],
  hasBlockOverLinks: true,
  clients: [1, 10, 100, 1_000],
  returning: 1_000,
  volumes: [1, 64, 1_024],
  paths: [1, 2, 4, 8],
  encrypted: { clients: [1, 4], blockBytes: [8 * KIB, 128 * KIB] },
  sections: SECTIONS.map(({ name }) => name),
};

/** The sections that have goals, except mirrors, limits and farm, which take minutes. */
export const QUICK_SECTIONS: SectionPlan = {
  ...FULL_SECTIONS,
  rounds: 1,
  seconds: 1,
  links: [8],
  hasBlockOverLinks: false,
  clients: [10, 1_000],
  encrypted: { clients: [1], blockBytes: [8 * KIB] },
  sections: [
    'encryption',
    'links',
    'unshaped',
    'end-to-end',
    'relay',
    'relay-latency',
    'many',
    'processes',
    'gates',
    'clients',
    'restart',
    'metrics',
    'garbage',
  ],
};

/** Returns the section with this name, or all sections whose name contains it; only sections of the chosen parts count. */
export function findSections(plan: SectionPlan, parts: ReadonlySet<Part>, part: string): Section[] {
  const there = SECTIONS.filter((one) => parts.has(one.part) && plan.sections.includes(one.name));
  const named = there.filter(({ name }) => name === part);
  return named.length > 0 ? named : there.filter(({ name }) => name.includes(part));
}
