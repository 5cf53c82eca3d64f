// Follows the page "Rolling upgrade of many servers" of docs/OPERATING.md: restarts three servers one after the other while a client writes to
// a mirror. Each command is repeated until it prints what the page shows and exits with 0; releases and times are masked. The load fails at
// an error or at a lost or reverted block. Rules: G33.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { clientConfig, keyOf, serverConfig } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { sectionOf } from '../support/programs/page-steps.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const PAGE = readFileSync(fileURLToPath(new URL('../../docs/OPERATING.md', import.meta.url)), 'utf8');
const SECTION = sectionOf(PAGE, '### Rolling upgrade of many servers');
const NAMES = ['big-9', 'big-8', 'pi-1'];
const STEPS_MIN = 10;
const SHOWN_MS = 60_000;
const LONG_MS = 180_000;
const BLOCK_BYTES = 4096;
const BLOCKS = 16;
const QUICK = { heartbeat: '400ms', suspect: '100ms', dead: '1s', 'mirror-patience': '300ms' };

const hosts = useHosts();

/** Writes to one block after the other, and reads each block back before it is written again. */
async function load(nbd: NbdIo, isOver: () => boolean): Promise<number> {
  let writes = 0;
  for (; !isOver(); writes++) {
    const at = (writes % BLOCKS) * BLOCK_BYTES;
    if (writes >= BLOCKS) expect((await nbd.read(at, BLOCK_BYTES)).readUInt32BE(0)).toBe(writes - BLOCKS);
    const block = Buffer.alloc(BLOCK_BYTES);
    block.writeUInt32BE(writes, 0);
    await nbd.write(at, block);
  }
  return writes;
}

function masked(text: string): string {
  return text
    .replace(/\d{4}_\d\d_\d\d-[\d:]+ \(GMT\)/g, 'TIME')
    .replace(/\b\d+\.\d+\.\d+\S*/g, 'RELEASE')
    .replace(/ +/g, ' ');
}

it('three servers are restarted in turn by the page, and the I/O of a mirror continues', { timeout: LONG_MS }, async () => {
  const network = await hosts.network(2);
  const servers = new Map<string, Host>();
  const addresses: string[] = [];
  for (const [index, name] of NAMES.entries()) {
    const host = hosts.host();
    const isWitness = name === 'pi-1';
    const own = network.subnets.map((subnet) => subnet.address(10 + index));
    addresses.push(...own);
    const pools: Record<string, Record<string, string>> = isWitness ? {} : { fast: { path: await emptyPool(host) } };
    const server = { serverid: String(index + 1), ...(isWitness ? { witness: 'yes' } : {}) };
    const about = { name, server, volumes: {}, pools, clients: { ops: keyOf('ops') }, rights: { ops: 'admin' } };
    host.writeConfig('rssrv', serverConfig({ port: network.port, serverAddresses: own }, about));
    await host.start('rssrv');
    servers.set(name, host);
  }
  const ops = hosts.host();
  ops.writeConfig('rsiod', clientConfig(network, { node: 'ops', serverAddresses: addresses, defaults: QUICK }));
  await ops.start('rsiod');
  await waitFor(async () => (await ops.rsconfig('servers')).code === 0, SHOWN_MS, 'All servers answer');
  await ops.rsconfigWell('mirror', 'create', 'db', '--size', '1m', '--servers', 'big-9,big-8', '--witness', 'pi-1', '--attach');
  const nbd = await NbdIo.open(ops.rsiodPaths.nbdSocket, 'osl/db');
  let isOver = false;
  const writing = load(nbd, () => isOver);
  writing.catch(() => undefined);
  let steps = 0;
  for (const [, at = '', command = '', output = ''] of SECTION.matchAll(/^(\S+)# (.*)\n((?:(?!\S+# |```).*\n)*)/gm)) {
    steps++;
    const host = at === 'ops' ? ops : servers.get(at)!;
    if (command.startsWith('apt-get')) {
      await host.stop('rssrv');
      // Without this server, the other replica is the only one with all writes.
      const [other] = at === 'pi-1' ? [] : NAMES.filter((name) => name !== at && name !== 'pi-1');
      const isAlone = async (): Promise<boolean> => (await servers.get(other ?? '')!.rsadm('ready-to-restart')).code === 1;
      if (other !== undefined) await waitFor(isAlone, SHOWN_MS, `${other} must not be restarted now`);
      await host.start('rssrv');
      continue;
    }
    let shown = '';
    const [program = '', ...words] = command.split(' ');
    const isShown = async (): Promise<boolean> => {
      const { code, stdout } = await (program === 'rsadm' ? host.rsadm(...words) : host.rsconfig(...words));
      shown = masked(stdout);
      return code === 0 && shown === masked(output);
    };
    await waitFor(isShown, SHOWN_MS, `${command} prints what the page shows`).catch((error: Error) => {
      throw new Error(`${error.message}: ${shown}, not ${masked(output)}`);
    });
  }
  isOver = true;
  expect(await writing).toBeGreaterThan(BLOCKS);
  expect(steps).toBeGreaterThanOrEqual(STEPS_MIN);
  nbd.close();
});
