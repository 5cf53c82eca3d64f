// Commands of clients about volumes of servers, with real daemons: the effect of each right, one command that creates and attaches a
// volume, the list of volumes of several servers and namespaces, and servers that are killed during a change. Tests in
// packages/rsconfig/src/commands/server-volumes cover the choice of a server and all texts. Rules: G17.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { ServerMethods } from '@rsio/api/rssrv/server-methods';
import { beforeEach, describe, expect, it } from 'vitest';
import { clientConfig, keyOf, type ServerConfigOptions, startClient, startServer } from '../support/hosts/configs.ts';
import { emptyPool } from '../support/hosts/empty-pool.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import type { RunResult } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

/** A client learns of changes at a server within this time. */
const KNOWN_MS = 10_000;
const KILLS = 6;

const hosts = useHosts();
let server: Host;
let client: Host;
let network: TestNetwork;

beforeEach(async () => {
  server = hosts.host();
  client = hosts.host();
  network = await hosts.network(2);
});

/** Starts server big-9 with pool `fast`, and client big-2 with this right. Returns the directory of the pool. */
async function startWith(right: string, more: Partial<ServerConfigOptions> = {}): Promise<string> {
  const pool = await emptyPool(server);
  await startServer(server, network, { volumes: {}, pools: { fast: { path: pool } }, rights: { 'big-2': right }, ...more });
  await startClient(client, network);
  return pool;
}

async function listed(host = server): Promise<ServerMethods['volume-list']['result']> {
  return JSON.parse(await host.rsadmWell('volume', 'list', '--json')) as ServerMethods['volume-list']['result'];
}

function namesOf({ volumes }: ServerMethods['volume-list']['result']): string[] {
  return volumes.map(({ name, universe }) => `${name}@${universe}`);
}

describe('rights', () => {
  it('a client with the right use is told for each change which right it lacks, and nothing changes', async () => {
    await startWith('use');
    await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    await server.rsadmWell('volume', 'create', 'old', '--size', '16m');
    await server.rsadmWell('volume', 'remove', 'old', '--yes');
    // The age of a removed volume grows, and the forecast of its end follows the wall clock.
    const listedNow = async () => {
      const { volumes, removed } = await listed();
      return { volumes, removed: removed.map(({ ageMs: _age, untilMs: _until, ...one }) => one) };
    };
    const before = await listedNow();
    for (const line of [
      'volume create x --size 16m',
      'volume grow oracle 32m',
      'volume rename oracle data',
      'volume set oracle readonly=yes',
      'volume remove oracle --yes',
      'volume restore old',
    ]) {
      const { code, stdout, stderr } = await client.rsconfig(...line.split(' '));
      expect({ code, stdout }, line).toEqual({ code: 1, stdout: '' });
      expect(stderr, line).toMatch(
        /^rsconfig: Client big-2 may not .*: its right is use, and manage is needed; rsadm client rights big-2 manage gives it \[E_RIGHTS\]\n$/,
      );
      expect(await listedNow(), line).toEqual(before);
    }
    expect(await client.rsconfigWell('volume', 'list')).toContain('osl:oracle@0');
    expect(await client.rsconfigWell('volume', 'show', 'oracle')).toMatch(/^osl:oracle@0\n/);
  });

  it('a client with the right view sees everything, attaches nothing and changes nothing, and gets no view while it uses a volume', async () => {
    await startWith('use');
    await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    await server.rsadmWell('volume', 'create', 'hers', '--size', '16m', '--clients', 'venus');
    const toView = (): Promise<RunResult> => server.rsadm('client', 'rights', 'big-2', 'view');
    await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('oracle'), KNOWN_MS, 'The client knows the volume');
    await client.rsconfigWell('-a', 'oracle');
    expect((await toView()).stderr).toContain(
      'Client big-2 gets the right view in [rights], but uses volume oracle: detach it there first (rsconfig -d oracle)',
    );
    await client.rsconfigWell('-d', 'oracle');
    expect((await toView()).code).toBe(0);
    await waitFor(async () => (await client.rsconfig('-q')).stdout.includes('hers'), KNOWN_MS, 'The client knows all volumes');
    const attached = await client.rsconfig('-a', 'oracle');
    expect([attached.code, attached.stderr]).toEqual([
      1,
      expect.stringContaining(
        'Client big-2 may not open volume oracle: its right is view, and use is needed; rsadm client rights big-2 use gives it',
      ),
    ]);
    const refused = await client.rsconfig('volume', 'grow', 'hers', '32m');
    expect(refused.stderr).toMatch(/its right is view, and manage is needed; .* \[E_RIGHTS\]\n$/);
    expect(await client.rsconfigWell('volume', 'show', 'hers')).toMatch(/clients: +venus/);
    expect(await client.rsconfigWell('audit')).toContain('volume-create');
    expect(await client.rsconfigWell('pool', 'list')).toContain('fast');
  });

  it('a client with the right manage does everything in its pool and within its limit, and is refused beyond with numbers', async () => {
    await startWith('manage pool=fast limit=100m');
    expect(await client.rsconfigWell('volume', 'create', 'a', '--size', '64m')).toBe(
      'osl:a@0 created in pool fast of server big-9, 64.0M\n',
    );
    const beyond = await client.rsconfig('volume', 'create', 'b', '--size', '64m');
    expect(beyond.code).toBe(1);
    expect(beyond.stderr).toContain(
      'Client big-2 asks for 64m and has 64m of its limit 100m: remove a snapshot, or remove a volume and delete it for good (volume purge NAME), or raise its limit=',
    );
    expect((await client.rsconfig('volume', 'grow', 'a', '101m')).stderr).toContain(
      'Client big-2 asks for 37m and has 64m of its limit 100m',
    );
    expect(await client.rsconfigWell('volume', 'grow', 'osl:a@0', '100m')).toBe('osl:a@0 now has 100.0M\n');
    expect(await client.rsconfigWell('volume', 'rename', 'a', 'c@1')).toBe('osl:a@0 is now osl:c@1\n');
    expect(await client.rsconfigWell('volume', 'set', 'c@1', 'readonly=yes')).toContain('mode:      read-only');
    expect(await client.rsconfigWell('volume', 'remove', 'c@1', '--yes')).toMatch(
      /^osl:c@1 removed; until .*, rsconfig volume restore c@1 brings it back\n$/,
    );
    expect(await client.rsconfigWell('volume', 'list', '--removed')).toMatch(/\nosl:c@1 +100\.0M +big-9 +fast .* big-2 +23h 59m|24h 0m\n/);
    expect(await client.rsconfigWell('volume', 'restore', 'c@1')).toBe('osl:c@1 restored in pool fast of server big-9\n');
    expect(namesOf(await listed())).toEqual(['c@1']);
    await server.logged('rssrv', /Volume c@1 of pool fast, 100m: restored, by client big-2/);
  });

  it('a volume that is attached here is not removed, and one that another client holds is not either', async () => {
    await startWith('manage');
    await client.rsconfigWell('volume', 'create', 'oracle', '--size', '16m', '--attach');
    const here = await client.rsconfig('volume', 'remove', 'oracle', '--yes');
    expect(here).toMatchObject({
      code: 1,
      stderr: 'rsconfig: osl:oracle@0 is attached here: detach it first (rsconfig -d osl:oracle@0) [E_IN_USE]\n',
    });
    await client.rsconfigWell('-d', 'osl:oracle@0');
    const venus = hosts.host();
    await startClient(venus, network, { node: 'venus', client: 1 });
    await venus.rsconfigWell('-a', 'oracle');
    const there = await client.rsconfig('volume', 'remove', 'oracle', '--yes');
    expect({ code: there.code, names: namesOf(await listed()) }).toEqual({ code: 1, names: ['oracle@0'] });
    expect(there.stderr).toContain('venus');
  });
});

describe('create --attach', () => {
  it('is one command from nothing to a device', async () => {
    await startWith('manage');
    const uri = client.nbdUri('osl/db');
    const out = `osl:db@0 created in pool fast of server big-9, 16.0M\nosl:db@0 attached ${uri}\n`;
    expect(await client.rsconfigWell('volume', 'create', 'db', '--size', '16m', '--attach')).toBe(out);
    const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/db');
    hosts.onClean(() => nbd.close());
    const block = Buffer.alloc(4096, 7);
    await nbd.write(0, block);
    expect((await nbd.read(0, 4096)).equals(block)).toBe(true);
  });

  it('repeated, it changes nothing and says how to go on', async () => {
    await startWith('manage');
    await client.rsconfigWell('volume', 'create', 'db', '--size', '16m', '--attach');
    const again = await client.rsconfig('volume', 'create', 'db', '--size', '16m', '--attach');
    expect({ code: again.code, stdout: again.stdout }).toEqual({ code: 1, stdout: '' });
    expect(again.stderr).toContain('rsconfig volume show db shows the volume that exists, and rsconfig -a db attaches it\n');
    expect(again.stderr).toMatch(/\[E_EXISTS\]\n$/);
    expect(namesOf(await listed())).toEqual(['db@0']);
  });

  it('is one for a volume of this client only: for others, nothing is created', async () => {
    await startWith('admin');
    const { code, stderr } = await client.rsconfig('volume', 'create', 'db', '--size', '16m', '--clients', 'venus', '--attach');
    expect({ code, names: namesOf(await listed()) }).toEqual({ code: 2, names: [] });
    expect(stderr).toContain('--attach needs this client in --clients: add big-2');
  });
});

describe('several servers', () => {
  /** Starts three servers, each with a pool: big-9 and big-8 in namespace osl, and big-5 in namespace lab. */
  async function startThree(): Promise<{ readonly big8: Host; readonly big5: Host }> {
    const [big8, big5] = [hosts.host(), hosts.host()];
    const [second, third] = [await hosts.network(1), await hosts.network(1)];
    const common = { volumes: {}, rights: { 'big-2': 'manage' } };
    await startServer(server, network, { ...common, pools: { fast: { path: await emptyPool(server), limit: '1g' } } });
    await startServer(big8, second, {
      ...common,
      name: 'big-8',
      server: { serverid: '2' },
      pools: { slow: { path: await emptyPool(big8), limit: '2g' } },
    });
    await startServer(big5, third, {
      ...common,
      name: 'big-5',
      namespace: { name: 'lab', id: 201 },
      volumes: { tvol1: { path: big5.file('tvol1.img'), size: '8m' } },
      pools: { fast: { path: await emptyPool(big5), limit: '512m' } },
    });
    const address = (of: TestNetwork): string => of.serverAddresses[0] ?? '';
    const own = (of: TestNetwork): string => of.clientAddresses()[0] ?? '';
    const more = [
      `[server big-8]\naddress = ${address(second)}\nport = ${second.port}\n`,
      `[interface if8]\naddress = ${own(second)}\n`,
      `[interface if5]\naddress = ${own(third)}\n`,
      `[namespace lab]\nnamespaceid = 201\nnodename = big-2\nnodekey = ${keyOf('big-2')}\n`,
      `[server big-5]\naddress = ${address(third)}\nport = ${third.port}\n`,
    ];
    client.writeConfig('rsiod', `${clientConfig(network)}\n${more.join('\n')}`);
    await client.start('rsiod');
    await waitFor(
      async () => {
        const { namespaces } = await client.call('query', { refresh: false });
        return namespaces.flatMap(({ servers }) => servers).filter(({ state }) => state === 'connected').length === 3;
      },
      KNOWN_MS,
      'Three servers are connected',
    );
    return { big8, big5 };
  }

  it('are one inventory; a server that is gone is named, and the others are shown', async () => {
    const { big8, big5 } = await startThree();
    await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    await big8.rsadmWell('volume', 'create', 'oracle@1', '--size', '16m');
    await big5.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    const rows = (await client.rsconfigWell('volume', 'list')).split('\n').map((line) => line.replaceAll(/ +/g, ' '));
    expect(rows).toEqual([
      'VOLUME SIZE USED SERVER POOL SNAPSHOTS HELD BY',
      expect.stringMatching(/^osl:oracle@0 16\.0M \S+ big-9 fast 0 -$/),
      expect.stringMatching(/^osl:oracle@1 16\.0M \S+ big-8 slow 0 -$/),
      expect.stringMatching(/^lab:oracle@0 16\.0M \S+ big-5 fast 0 -$/),
      expect.stringMatching(/^lab:tvol1@0 8\.0M \S+ big-5 - 0 -$/),
      '',
    ]);
    const ambiguous = await client.rsconfig('volume', 'show', 'oracle');
    expect(ambiguous.stderr).toContain('oracle@0 means more than one volume: osl:oracle@0 (server big-9), lab:oracle@0 (server big-5)');
    await big8.kill('rssrv');
    await waitFor(async () => (await client.rsconfig('volume', 'list')).code === 1, KNOWN_MS, 'rsiod notices that big-8 is gone');
    const { code, stdout, stderr } = await client.rsconfig('volume', 'list');
    expect({ code, rows: stdout.split('\n').length }).toEqual({ code: 1, rows: 5 });
    expect(stderr).toContain('rsconfig: Server big-8 of osl is ');
  });

  it('a server that is away blocks only changes of volumes that it may have, over restarts of rsiod', async () => {
    const { big8 } = await startThree();
    await server.rsadmWell('volume', 'create', 'oracle', '--size', '16m');
    for (const host of [server, big8]) await host.rsadmWell('volume', 'create', 'twice', '--size', '16m');
    await client.rsconfigWell('volume', 'show', 'osl:oracle');
    expect((await client.rsconfig('volume', 'set', 'osl:twice', 'readonly=yes')).stderr).toContain('[E_AMBIGUOUS]');
    await client.kill('rsiod');
    await big8.kill('rssrv');
    await client.start('rsiod');
    await waitFor(async () => (await client.rsconfig('volume', 'show', 'osl:twice')).code === 0, KNOWN_MS, 'big-9 is there');
    await client.rsconfigWell('volume', 'set', 'osl:oracle', 'readonly=yes');
    const refused = await client.rsconfig('volume', 'set', 'osl:twice', 'readonly=yes');
    expect(refused.stderr).toContain('osl:twice@0 of server big-9 may not be the only volume twice@0');
    expect(refused.stderr).toContain('give --server big-9 if you mean it [E_NO_PATH]');
  });

  it('without --server, a new volume comes to the emptiest pool, once', async () => {
    const { big8 } = await startThree();
    expect(await client.rsconfigWell('volume', 'create', 'db', '--size', '16m')).toBe(
      'osl:db@0 created in pool slow of server big-8, 16.0M\n',
    );
    const again = await client.rsconfig('volume', 'create', 'db', '--size', '16m', '--pool', 'fast');
    expect(again.stderr).toContain('Volume osl:db@0 exists on server big-8: choose another name [E_EXISTS]');
    expect([namesOf(await listed()), namesOf(await listed(big8))]).toEqual([[], ['db@0']]);
    expect(await client.rsconfigWell('volume', 'grow', 'db', '32m')).toBe('osl:db@0 now has 32.0M\n');
    expect(await client.rsconfigWell('volume', 'create', 'db', '--size', '16m', '--namespace', 'lab', '--attach')).toContain(
      'lab:db@0 created in pool fast of server big-5, 16.0M\nlab:db@0 attached nbd+unix',
    );
  });
});

describe('a server that is killed', () => {
  /** Returns how many requests with this method rsiod has passed on to the server. */
  const passedOn = (method: string): number => client.log('rsiod').split(`Change "${method}" is passed on`).length - 1;
  const sessionsBegun = (): number => server.log('rssrv').split(' began a session, ').length - 1;

  it(`in the middle of a creation, ${KILLS} times: each command ends with its volume, which exists once`, async () => {
    const pool = await startWith('manage');
    const entries = (): number => readdirSync(path.join(pool, 'volumes')).length;
    for (let round = 0; round < KILLS; round++) {
      const before = entries();
      const name = `v${round}`;
      const creating = client.beside('rsconfig', ['volume', 'create', name, '--size', '16m']);
      let ended: RunResult | null = null;
      void creating.ended.then((result) => (ended = result));
      // In half of the rounds, the kill comes when the creation has begun on disk. In the other half, the kill comes as soon as rsiod has
      // passed the request on.
      const isBegun = (): boolean => (round % 2 === 0 ? entries() > before : passedOn('volume-create') > round);
      await waitFor(() => isBegun() || ended !== null, KNOWN_MS, `The creation of ${name} has begun`);
      expect(isBegun(), `The command has ended: ${JSON.stringify(ended)}`).toBe(true);
      const sessions = sessionsBegun();
      await server.kill('rssrv');
      await server.start('rssrv');
      const { code, stdout, stderr } = await creating.ended;
      expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: `osl:${name}@0 created in pool fast of server big-9, 16.0M\n` });
      // Waits until rsiod has a new session, because without a session the next command is refused.
      await waitFor(() => sessionsBegun() > sessions, KNOWN_MS, 'rsiod is connected to the next rssrv');
      await client.pathsUp(2);
    }
    const names = Array.from({ length: KILLS }, (_, round) => `v${round}@0`);
    expect(namesOf(await listed())).toEqual(names);
    expect(entries()).toBe(KILLS);
  });

  it('an rsiod that is killed in the middle of a creation: the command continues with the next one, and the volume exists once', async () => {
    await startWith('manage');
    const listener = server.pid('rssrv');
    process.kill(listener, 'SIGSTOP');
    const creating = client.beside('rsconfig', ['volume', 'create', 'db', '--size', '16m']);
    await waitFor(() => passedOn('volume-create') === 1, KNOWN_MS, 'rsiod has the request');
    await client.kill('rsiod');
    process.kill(listener, 'SIGCONT');
    await client.start('rsiod');
    const { code, stdout } = await creating.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'osl:db@0 created in pool fast of server big-9, 16.0M\n' });
    expect(namesOf(await listed())).toEqual(['db@0']);
  });

  it('a change says what it waits for, and is made when the server is back', async () => {
    await startWith('manage');
    await client.rsconfigWell('volume', 'create', 'oracle', '--size', '16m');
    process.kill(server.pid('rssrv'), 'SIGSTOP');
    const growing = client.beside('rsconfig', ['volume', 'grow', 'oracle', '32m']);
    const isDown = async (): Promise<boolean> => {
      const { namespaces } = await client.call('query', { refresh: false });
      return namespaces.every(({ servers }) => servers.every(({ state }) => state !== 'connected'));
    };
    await waitFor(() => passedOn('volume-grow') === 1, KNOWN_MS, 'rsiod has the request');
    await server.kill('rssrv');
    await waitFor(isDown, KNOWN_MS, 'rsiod notices that the server is gone');
    await server.start('rssrv');
    const { code, stdout } = await growing.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'osl:oracle@0 now has 32.0M\n' });
    expect((await listed()).volumes.map(({ sizeBytes }) => sizeBytes)).toEqual([32 * 1024 * 1024]);
  });
});
