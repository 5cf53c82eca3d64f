// The suite of libiscsi (iscsi-test-cu) at an iSCSI gate of a real rsiod. Behind the gate is a volume of a pool, whose paths may be reset
// all the time, or a mirror. The caller removes the hosts. Invariant: a result names all failures, and all skips that are not allowed.

import { tmpdir } from 'node:os';
import { clientConfig, keyOf, serverConfig } from '../hosts/configs.ts';
import { emptyPool } from '../hosts/empty-pool.ts';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { freePort } from '../hosts/loopback.ts';
import { pathCutter } from '../faults/path-cutter.ts';
import { run } from '../programs/programs.ts';
import { waitFor } from '../programs/wait-for.ts';
import { loopbackMirrorPlaces, MirrorSite } from './mirror-site.ts';

const WAIT_MS = 60_000;
const CUT_MS = 1_000;
const MIB = 1024 * 1024;
/**
 * Skips of libiscsi's suite that are allowed: of commands that a disk of this kind does not have, and of cases that cannot be tried here.
 * The suite also reports a skip when a target correctly refuses WRITE SAME of zero blocks (WSNZ), or REPORT SUPPORTED OPERATION CODES with
 * a wrong option.
 */
const SKIPPED =
  /allow-sanitize|not removable|not write-protected|WRITEATOMIC16|READDEFECTDATA1[02]|LBPPB < 2|WRITESAME1[06] does not support 0-blocks|REPORT_SUPPORTED_OPCODES/;
/** A mirror keeps no gate record, so that its gate announces no reservations. */
const SKIPPED_AT_MIRROR = /PERSISTENT RESERVE IN is not implemented|PROUT Not Supported/;

export interface SuiteResult {
  readonly total: number;
  readonly passed: number;
  readonly failed: number;
  readonly reports: readonly string[];
  /** Lines about skips that are not allowed. */
  readonly skipped: readonly string[];
}

/** A unit of a gate. */
export interface SuiteSite {
  readonly url: string;
  readonly mayLackReservations: boolean;
  /** How often a path was reset. */
  readonly cuts: () => number;
  /** Throws an error that happened outside of the suite. */
  readonly end: () => Promise<void>;
}

/** Runs a family, a suite or a test, such as `SCSI.Read10`, over two logins. */
export async function runSuite(
  { url, mayLackReservations }: Pick<SuiteSite, 'url' | 'mayLackReservations'>,
  tests: string,
  timeoutMs: number,
): Promise<SuiteResult> {
  const { stdout } = await run('iscsi-test-cu', ['-d', '-n', '-V', '-t', tests, url, url], { timeoutMs });
  const [, total = NaN, passed = NaN, failed = NaN] = (/^ +tests +(\d+) +\d+ +(\d+) +(\d+)/m.exec(stdout) ?? []).map(Number);
  const lines = [...new Set(stdout.match(/\[SKIPPED\].*/g))];
  const isAllowed = (line: string): boolean => SKIPPED.test(line) || (mayLackReservations && SKIPPED_AT_MIRROR.test(line));
  return {
    total,
    passed,
    failed,
    reports: stdout.match(/had failures:[\s\S]{0,300}/g) ?? [],
    skipped: lines.filter((one) => !isAllowed(one)),
  };
}

/** Opens an iSCSI gate for the volume at the client. Resolves with the URL of its unit. */
async function gateOf(client: Host, volume: string): Promise<string> {
  const port = await freePort('127.0.0.1');
  await client.rsconfigWell('gate', 'add', 'hv', `127.0.0.1:${port}`, '--hosts', 'all', '--iscsi', '--offers', volume, '--reload');
  const found = async (): Promise<string | null> => {
    const [gate] = (await client.call('gates', {})).gates;
    const unit = gate?.volumes[0];
    return gate === undefined || unit === undefined || gate.listening.length === 0
      ? null
      : `iscsi://127.0.0.1:${port}/${gate.nqn}/${unit.nsid}`;
  };
  return await waitFor(found, WAIT_MS, 'The gate offers the volume');
}

/** A volume of a pool with two paths, which are reset alternately, one each second. */
export async function cutSite(hosts: Hosts): Promise<SuiteSite> {
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const cutter = await pathCutter(hosts, network);
  const clients = { 'big-2': keyOf('big-2') };
  server.writeConfig('rssrv', serverConfig(network, { volumes: {}, pools: { fast: { path: await emptyPool(server) } }, clients }));
  await server.start('rssrv');
  await server.rsadmWell('volume', 'create', 'suite', '--size', '64m');
  client.writeConfig('rsiod', clientConfig(network, { serverAddresses: [...cutter.serverAddresses], defaults: { attach: 'all' } }));
  await client.start('rsiod');
  await client.pathsUp(2);
  const url = await gateOf(client, 'suite');
  let [cuts, isOver] = [0, false];
  const cutting = (async () => {
    for (let turn = 0; !isOver; turn++) {
      cuts += await cutter.cut(turn % 2);
      await new Promise((resolve) => setTimeout(resolve, CUT_MS));
    }
  })();
  cutting.catch(() => undefined);
  const end = async (): Promise<void> => {
    isOver = true;
    await cutting;
  };
  hosts.onClean(() => {
    isOver = true;
  });
  return { url, mayLackReservations: false, cuts: () => cuts, end };
}

/** A mirror of two servers with a third one that votes. */
export async function mirrorSite(hosts: Hosts): Promise<SuiteSite> {
  const site = await MirrorSite.start(await loopbackMirrorPlaces(hosts), { poolParent: tmpdir() }, (action) => hosts.onClean(action));
  await site.addMirror('suite', 64 * MIB);
  const url = await gateOf(site.client, 'suite');
  return { url, mayLackReservations: true, cuts: () => 0, end: () => site.untilInSync() };
}
