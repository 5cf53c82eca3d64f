// Other ways to use several links, measured on the same links with the same load: NBD to one address, NBD whose client uses all addresses,
// and one NBD connection over MPTCP. Each peer is set up as its documentation says. Invariant: a peer that cannot run on this machine is
// named with the reason.

import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type LinkFault, linkFault } from '../../support/netlab/link-faults.ts';
import { LoadClient } from '../../support/netlab/load/load-client.ts';
import type { LoadShape } from '../../support/netlab/load/nbd-load.ts';
import type { NbdPlace } from '../../support/netlab/load/nbd-stream.ts';
import type { Netlab } from '../../support/netlab/netlab.ts';
import { GIGABIT, type ShapedLinks, shapedLinks } from '../../support/netlab/shaped-links.ts';
import { start } from '../../support/programs/programs.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import { MEBIBYTE, rate, type Stretch, stretch, VOLUME_BYTES } from './stage.ts';
import { megabytes, table } from '../../support/drills/table.ts';

export const PEER_NAMES = ['nbd-one', 'nbd-spread', 'mptcp'];

export interface PeerRow {
  readonly peer: string;
  readonly what: string;
  readonly result: string;
  readonly stretch: Stretch;
}

interface PeerOptions {
  readonly seconds: number;
  readonly congestion: string;
}

const PORT = 10_809;
const UP_MS = 10_000;
const WARM_UP_MS = 2_000;
const FAULT_MS = 4_000;
/** A server of a peer ends after this time, even if the netlab has not ended it. The time is longer than a run of the netlab. */
const SERVER_MS = 600_000;
const SOCKET_FD = 9;
const HELPERS = fileURLToPath(new URL('helpers/', import.meta.url));

interface Scenario {
  readonly what: string;
  readonly rates: readonly number[];
  readonly shape: LoadShape;
  readonly fault: LinkFault | null;
}

const gigabits = (count: number): number[] => Array.from({ length: count }, () => GIGABIT);
const SMALL: LoadShape = { blockBytes: 8192, depth: 32, order: 'random', readPercent: 50, sizeBytes: VOLUME_BYTES };
const SCENARIOS: readonly Scenario[] = [
  {
    what: '1 MiB sequential reads, 8 links',
    rates: gigabits(8),
    shape: { blockBytes: MEBIBYTE, depth: 24, order: 'sequential', readPercent: 100, sizeBytes: VOLUME_BYTES },
    fault: null,
  },
  { what: '8 KiB random reads, 128 out, 8 links', rates: gigabits(8), shape: { ...SMALL, depth: 128, readPercent: 100 }, fault: null },
  {
    what: '1 Gbit/s + 100 Mbit/s, 128 KiB reads, 32 out',
    rates: [GIGABIT, GIGABIT / 10],
    shape: { blockBytes: 128 * 1024, depth: 32, order: 'sequential', readPercent: 100, sizeBytes: VOLUME_BYTES },
    fault: null,
  },
  { what: 'two links, one silent', rates: gigabits(2), shape: SMALL, fault: linkFault('silent') },
  { what: 'two links, one without cable', rates: gigabits(2), shape: SMALL, fault: linkFault('cable') },
];

export async function* peerRows(
  netlab: Netlab,
  names: readonly string[],
  options: PeerOptions,
  notRun: (reason: string) => void,
): AsyncGenerator<PeerRow> {
  if (!existsSync('/dev/nbd0')) notRun("the kernel's NBD client: this kernel has no nbd module");
  for (const peer of names) {
    if (peer === 'mptcp' && !existsSync('/proc/sys/net/mptcp/enabled')) {
      notRun('mptcp: this kernel has no MPTCP');
      continue;
    }
    for (const scenario of SCENARIOS) {
      try {
        yield await measure(netlab, peer, scenario, options);
      } catch (error) {
        notRun(`${peer}, ${scenario.what}: ${error instanceof Error ? error.message : String(error)}`);
      } finally {
        await netlab.clean();
      }
    }
  }
}

async function measure(netlab: Netlab, peer: string, { what, rates, shape, fault }: Scenario, options: PeerOptions): Promise<PeerRow> {
  const scene = await shapedLinks(netlab, rates, options.congestion);
  const { client, server, network, links } = scene;
  const isMptcp = peer === 'mptcp';
  if (isMptcp) await joinAddresses(scene);
  const nbdkit = ['nbdkit', '--foreground', '--newstyle', ...(isMptcp ? [] : ['--port', String(PORT)]), 'memory', String(VOLUME_BYTES)];
  const [program = '', ...args] = [...server.command, ...(isMptcp ? ['perl', `${HELPERS}mptcp-listen.pl`, String(PORT)] : []), ...nbdkit];
  const running = start(program, args, { timeoutMs: SERVER_MS });
  await waitFor(async () => (await server.shell('ss -Htln')).includes(`:${PORT}`), UP_MS, 'nbdkit listens');
  const [first = ''] = network.serverAddresses;
  const load = new LoadClient([
    ...client.command,
    ...(isMptcp ? ['perl', `${HELPERS}mptcp-connect.pl`, first, String(PORT), String(SOCKET_FD)] : []),
  ]);
  try {
    const addresses = peer === 'nbd-one' ? [first] : network.serverAddresses;
    const places: NbdPlace[] = isMptcp ? [{ fd: SOCKET_FD }] : addresses.map((host) => ({ host, port: PORT }));
    await load.open(places, '');
    await load.begin(shape);
    await sleep(WARM_UP_MS);
    // The fault hits the second link, except for nbd-one, which uses only the first link. For all other peers, the second link is not the
    // worst case, because their connections begin on the first link.
    const hit = links[peer === 'nbd-one' ? 0 : 1];
    if (fault !== null && hit !== undefined) await fault.begin(hit);
    const processes = { client: [], server: [running.pid], load: [load.pid] };
    const figures = await stretch(scene, load, processes, fault === null ? options.seconds * 1000 : FAULT_MS);
    if (fault !== null && hit !== undefined) await fault.end(hit);
    return { peer, what, result: resultOf(figures, fault), stretch: figures };
  } finally {
    await load.close();
  }
}

/** Configures MPTCP so that the server announces its other addresses and the client connects to each of them. */
async function joinAddresses({ client, server, links }: ShapedLinks): Promise<void> {
  for (const machine of [client, server]) await machine.ip('mptcp', 'limits', 'set', 'subflows', '8', 'add_addr_accepted', '8');
  for (const { serverAddress, device } of links.slice(1)) {
    await server.ip('mptcp', 'endpoint', 'add', serverAddress, 'dev', device, 'signal');
  }
}

function resultOf(figures: Stretch, fault: LinkFault | null): string {
  const { load } = figures;
  if (fault === null) return `${megabytes(rate(figures))}, p99 ${load.p99Ms.toFixed(load.p99Ms < 10 ? 1 : 0)} ms`;
  const still = load.worstMs >= FAULT_MS ? ' (waits until the fault is over)' : '';
  return `longest gap ${load.longestGapMs.toFixed(0)} ms, slowest I/O ${load.worstMs.toFixed(0)} ms${still}, ${load.errors} errors, ${megabytes(rate(figures))}`;
}

export function peerTable(rows: readonly PeerRow[]): string {
  const lines = rows.map(({ peer, what, result, stretch: { load, serverCores, loadCores, links } }) => [
    peer,
    what,
    result,
    links.map(({ toServer, toClient }) => ((toServer + toClient) / load.seconds / 1e6).toFixed(0)).join(' '),
    `${serverCores.toFixed(2)} ${loadCores.toFixed(2)}`,
  ]);
  return `Other ways, nbdkit as the server, the same load and links\n${table([['peer', '', 'measured', 'MB/s of each link', 'cores: server, load'], ...lines])}`;
}
