// What encryption costs the server: IOPS per server core of rssrv plain, with digests and with TLS, beside NBD servers plain and with TLS.
// All variants are measured one after another in each round. Separate programs encrypt for the clients (load/through-tls.ts), so that only
// the server is measured.

import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { LoadClient } from '../load/load-client.ts';
import type { Measured } from '../load/orders.ts';
import { measure, warmUp } from '../measure.ts';
import { inScene } from '../scene.ts';
import type { SectionContext, SectionResult } from '../section-run.ts';
import type { Sheet } from '../sheet.ts';
import { perCore, roundsRatio, type Spread, spreadOf } from '../summary.ts';
import { row, type Row } from '../workload.ts';
import { startVariants, type Variant, type VariantId, VOLUME_BYTES } from './variants.ts';

const KIB = 1024;
/** Requests in flight for each client. */
const DEPTHS = new Map([
  [8 * KIB, 128],
  [128 * KIB, 32],
]);
const WINDOW = { warmUpMs: 200, windowMs: 1_000 };
/** `windowsMax`: even a server that gets half a core needs fewer windows than this. */
const WARMING = { windowMs: 250, windowsMax: 48 };
const THOUSAND = 1000;

/** Rounds of each variant under one load. */
type Rounds = ReadonlyMap<VariantId, readonly Measured[]>;

interface Ratio {
  readonly heading: string;
  readonly of: VariantId;
  readonly to: VariantId;
}

const RATIOS: readonly Ratio[] = [
  { heading: 'rssrv: digest / plain', of: 'digest', to: 'plain' },
  { heading: 'rssrv: TLS / plain', of: 'tls', to: 'plain' },
  { heading: 'nbdkit: TLS / plain', of: 'nbdkit-tls', to: 'nbdkit' },
  { heading: 'TLS: rssrv / nbdkit', of: 'tls', to: 'nbdkit-tls' },
  { heading: 'TLS: rssrv / qemu-nbd', of: 'tls', to: 'qemu-nbd-tls' },
];

export function measureEncryption(context: SectionContext): Promise<SectionResult> {
  return inScene(context, async ({ hosts }) => {
    const { variants, absent } = await startVariants(hosts, context.parent, context.cores.server);
    const { clients, blockBytes } = context.plan.encrypted;
    const loads = clients.flatMap((count) =>
      blockBytes.flatMap((bytes) => (['read', 'write'] as const).map((kind) => ({ row: loadOf(kind, bytes), clients: count }))),
    );
    const results: { readonly what: string; readonly rounds: Rounds }[] = [];
    for (const load of loads) {
      const what = `${load.row.blockBytes / KIB} KiB ${load.row.readPercent > 0 ? 'reads' : 'writes'}, ${plural(load.clients)}`;
      results.push({ what, rounds: await measureLoad(context, hosts, variants, load.row, load.clients) });
    }
    const figures: Sheet = {
      name: 'encryption',
      title: `Thousand IOPS per server core, random, ${[...DEPTHS].map(([bytes, depth]) => `${depth} of ${bytes / KIB} KiB`).join(' or ')} in flight for each client`,
      columns: variants.map(({ title }) => ({ heading: title, digits: 1 })),
      lines: results.map(({ what, rounds }) => ({ what, values: variants.map(({ id }) => perCoreOf(rounds, id)) })),
      notes: [],
    };
    const compared: Sheet = {
      name: 'encryption',
      title: 'The same as ratios',
      columns: RATIOS.map(({ heading }) => ({ heading, digits: 2 })),
      lines: results.map(({ what, rounds }) => ({ what, values: RATIOS.map(({ of, to }) => ratio(rounds, of, to)) })),
      notes: [],
    };
    return { sheets: [figures, compared], figures: figuresOf(results.map(({ rounds }) => rounds)), absent };
  });
}

function plural(clients: number): string {
  return `${clients} ${clients === 1 ? 'client' : 'clients'}`;
}

function loadOf(kind: 'read' | 'write', blockBytes: number): Row {
  return row(kind, blockBytes, DEPTHS.get(blockBytes) ?? 1);
}

async function measureLoad(
  context: SectionContext,
  hosts: Hosts,
  variants: readonly Variant[],
  load: Row,
  clients: number,
): Promise<Rounds> {
  const { plan, cores } = context;
  const opened = new Map<Variant, LoadClient[]>();
  const close = (): Promise<unknown> => Promise.all([...opened.values()].flat().map((client) => client.stop()));
  hosts.onClean(close);
  for (const variant of variants) {
    const mine: LoadClient[] = [];
    opened.set(variant, mine);
    for (let client = 0; client < clients; client++) {
      const how = { client, connections: 1, isReadonly: false, cores: [cores.load] };
      mine.push(await LoadClient.open(variant.target(client), how, VOLUME_BYTES));
    }
    await warmUp(mine, load, variant.processes(), { ...WARMING, cpuMs: variant.warmingCpuMs * clients });
  }
  const rounds = new Map(variants.map(({ id }) => [id, [] as Measured[]]));
  for (let round = 1; round <= plan.rounds; round++) {
    for (const [variant, mine] of opened) {
      const pids = variant.processes();
      rounds.get(variant.id)?.push(await measure(mine, load, round, WINDOW, pids));
    }
  }
  await close();
  return rounds;
}

function perCoreOf(rounds: Rounds, id: VariantId): Spread {
  return spreadOf((rounds.get(id) ?? []).map((round) => perCore(round) / THOUSAND));
}

/** Returns null if this machine cannot run one of the two variants. */
function ratio(rounds: Rounds, of: VariantId, to: VariantId): Spread | null {
  const [ours, theirs] = [rounds.get(of), rounds.get(to)];
  return ours === undefined || theirs === undefined ? null : roundsRatio(ours.map(perCore), theirs.map(perCore));
}

/** The goals hold for every load, so the least ratio counts. */
function figuresOf(all: readonly Rounds[]): SectionResult['figures'] {
  const least = (of: VariantId, to: VariantId): Spread | null => {
    const found = all.flatMap((rounds) => ratio(rounds, of, to) ?? []);
    return found.length === 0 ? null : found.reduce((worst, one) => (one.median < worst.median ? one : worst));
  };
  const [besidePlain, besideNbdkit] = [least('tls', 'plain'), least('tls', 'nbdkit-tls')];
  return {
    ...(besidePlain === null ? {} : { tlsBesidePlain: besidePlain }),
    ...(besideNbdkit === null ? {} : { tlsBesideNbdkit: besideNbdkit }),
  };
}
