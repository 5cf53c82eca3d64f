// Runs the cases in which a server tests rsiod. One daemon is connected to the scripted servers of all cases at the same time, each in its
// own namespace. The daemon is also connected to a real rssrv, whose I/O must continue whatever the scripted servers do. Rules: G10.

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clientConfig, keyOf, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { RawServer } from '../support/peers/raw-server.ts';
import { deathsOfPaths } from '../support/io/volume-stats.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { CLIENT_CASES } from './client-cases.ts';
import type { ClientCase } from './base/case.ts';
import { ENDING_CASES } from './client/conduct.ts';
import { ClientStage, PathWatch } from './base/stage.ts';
import { ALONE_CASES } from './client/volumes.ts';

const hosts = useHosts('file');
const NODE = 'big-2';
const VERIFY_BYTES = 64 * 1024;
const RESIDENT_MAX_BYTES = 512 * 1024 * 1024;
const SHOWN_DEADLINE_MS = 20_000;
/**
 * Values of `dead` in the sections. Only cases about silence use the short time `usual`, because all scripted servers share this process
 * and may be slow. `well` is for the real server.
 */
const DEAD = { long: 'dead = 30s\n', usual: 'dead = 3s\n', well: '12s' };
const FIRST_HOST = 30;
const FIRST_NAMESPACEID = 1_000;

let host: Host;
let good: NbdIo;
const stages = new Map<ClientCase, ClientStage>();
const playing = new Map<ClientCase, Promise<void>>();
/** Cases whose servers misbehave until the test has read the output of `-m status -v`. All other cases play from the beginning. */
const CLOSING = CLIENT_CASES.filter(({ error, hasTwoPaths, id }) => error !== null && !hasTwoPaths && !id.startsWith('client.io.'));

beforeAll(async () => {
  host = hosts.host();
  const watch = new PathWatch(host);
  const network = await hosts.network(2);
  await startServer(host, network, { volumes: { oracle: { type: 'memory', size: '1m' } } });
  host.writeConfig('rsiod', clientConfig(network, { defaults: { dead: DEAD.well } }));
  await host.start('rsiod');
  await host.pathsUp(2);
  await host.rsconfigWell('-a', '--wait=60s', 'osl:oracle');
  good = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => good.close());
  // Sections that a reload adds. If rsiod started with all these misbehaving servers at once, the start could take longer than the launcher
  // waits.
  const sections: string[] = [];
  for (const [index, one] of CLIENT_CASES.entries()) sections.push(await begin(one, index));
  host.writeConfig('rsiod', `${clientConfig(network, { defaults: { dead: DEAD.well } })}\n${sections.join('\n')}`);
  process.kill(host.pid('rsiod'), 'SIGHUP');
  playAll(CLIENT_CASES.filter((one) => ![...CLOSING, ...ALONE_CASES, ...ENDING_CASES].includes(one)));

  /**
   * Starts the server of a case. Returns the sections for the client's file. Both addresses of the server are in the client's first subnet.
   */
  async function begin(one: ClientCase, index: number): Promise<string> {
    const { port, subnets } = network;
    const [address = '', further = ''] = subnets.map((subnet) => subnet.address(FIRST_HOST + index));
    const namespaceid = FIRST_NAMESPACEID + index;
    const name = one.id.replaceAll('.', '_');
    const server: RawServer = await RawServer.listen({
      address,
      port,
      namespaceid,
      nodekey: keyOf(NODE),
      furtherAddresses: one.hasTwoPaths ? [further] : [],
      features: one.hasDigests ? ['digest'] : [],
      meddle: (step, link, frame) => stages.get(one)?.isWrong === true && one.meddle(step, link, frame),
    });
    hosts.onClean(() => server.close());
    stages.set(one, new ClientStage(host, hosts, watch, name, server));
    const keys = `namespaceid = ${namespaceid}\nnodename = ${NODE}\nnodekey = ${keyOf(NODE)}\ndigest = ${one.hasDigests ? 'on' : 'off'}\n`;
    // The cases in CLOSING concern only connections, and need no volume.
    const attach = CLOSING.includes(one) ? '' : 'attach = all\n';
    const dead = one.id.startsWith('client.dead.') ? DEAD.usual : DEAD.long;
    const second = one.hasTwoPaths ? `[server ${name}-2]\naddress = ${further}\n` : '';
    return `[namespace ${name}]\n${keys}${attach}${dead}[server ${name}]\naddress = ${address}\n${second}`;
  }
});

afterAll(() => {
  expect(host.log('rsiod')).not.toMatch(/AssertionError|TypeError|RangeError/);
});

/** Plays all cases at the same time, because they mostly wait. */
function playAll(cases: readonly ClientCase[]): void {
  for (const one of cases) {
    const played = play(one);
    // Ignores a rejection here, because the test of this case awaits `played` and reports the failure.
    played.catch(() => undefined);
    playing.set(one, played);
  }
}

function play(one: ClientCase): Promise<void> {
  const stage = stages.get(one);
  if (stage === undefined) throw new Error(`Case ${one.id} has no server`);
  return one.run(stage);
}

describe('all cases together', () => {
  afterAll(() => playAll(CLOSING));

  it('rsconfig -m status -v shows the reason beside the path', async () => {
    // The status is read several times, and each reason must appear at least once. A slow handshake may hide a reason until the path has
    // failed again.
    let missing = CLOSING;
    const look = async (): Promise<boolean> => {
      const status = await host.rsconfigWell('-m', 'status', '-v');
      const isShown = (one: ClientCase): boolean => {
        const address = stages.get(one)?.server.options.address.replaceAll('.', '\\.');
        return new RegExp(`IP\\(TCP\\) ${address}/.*\\n.*\\n {8}error: .*(${one.error?.source})`).test(status);
      };
      missing = missing.filter((one) => !isShown(one));
      return missing.length === 0;
    };
    await waitFor(look, SHOWN_DEADLINE_MS, 'Every reason is shown').catch((error: Error) => {
      expect(
        missing.map(({ id }) => id),
        error.message,
      ).toEqual([]);
    });
  });
});

describe.each(CLIENT_CASES.filter((one) => !ENDING_CASES.includes(one)))('$id', (one) => {
  afterEach(async () => {
    await good.verify(0, VERIFY_BYTES);
    expect(await deathsOfPaths(host, 2)).toEqual([0, 0]);
  });

  it(one.expects, () => playing.get(one) ?? play(one));
});

it('rsiod has not grown because of the cases', () => {
  const resident = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${host.pid('rsiod')}/status`, 'utf8'))?.[1]) * 1024;
  expect(resident).toBeLessThan(RESIDENT_MAX_BYTES);
});

describe.each(ENDING_CASES)('$id', (one) => {
  beforeAll(() => {
    for (const stage of stages.values()) stage.isWrong = stages.get(one) === stage;
  });

  it(one.expects, () => play(one));
});
