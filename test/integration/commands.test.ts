// Commands as the administrator types them, with their output compared character by character. Only times, instances and path numbers are
// masked, because the test cannot choose these.

import { beforeAll, expect, it } from 'vitest';
import { serverConfig, startClient } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const ORACLE_ID = '7d444840-9dc0-11d1-b245-5ffdce74fad2';
const TVOL_ID = '7d444840-9dc0-11d1-b245-5ffdce74fad3';
const BIG_ID = '7d444840-9dc0-11d1-b245-5ffdce74fad4';
const TIME = /\d{4}_\d\d_\d\d-\d\d:\d\d:\d\d \(GMT\)/g;

const PRINT_DEADLINE_MS = 10_000;

const hosts = useHosts('file', 'programs');
let server: Host;
let client: Host;
let network: TestNetwork;
let ends: { readonly near: readonly string[]; readonly far: readonly string[] };

beforeAll(async () => {
  server = hosts.host();
  client = hosts.host();
  network = await hosts.network(2);
  const volumes = {
    oracle: { path: server.file('oracle.img'), size: '15g', id: ORACLE_ID },
    tvol1: { type: 'null', size: '1g', id: TVOL_ID, readonly: 'yes', shared: 'yes' },
    big: { type: 'memory', size: '16m', id: BIG_ID, universe: '1', blocksize: '4096' },
  };
  server.writeConfig('rssrv', serverConfig(network, { volumes }));
  const up = await server.start('rssrv');
  expect([up.stdout, up.stderr]).toEqual(['', '']);
  await startClient(client, network);
  const { port, serverAddresses } = network;
  ends = { near: network.clientAddresses(), far: serverAddresses.map((address) => `${address}/${port}`) };
});

function masked(text: string): string {
  return text
    .replace(TIME, 'TIME')
    .replace(/instance: [0-9a-f]{32}$/gm, 'instance: INSTANCE')
    .replace(/path: \d+ /g, 'path: N ');
}

/** Waits until rsconfig prints this text, because a path may be suspect for a moment on a slow machine. */
async function comesToPrint(text: string, ...args: readonly string[]): Promise<void> {
  let last = '';
  const isPrinted = async (): Promise<boolean> => {
    last = await printed(...args);
    return last === text;
  };
  await waitFor(isPrinted, PRINT_DEADLINE_MS, `rsconfig ${args.join(' ')}`).catch((error: Error) => expect(last, error.message).toBe(text));
}

/** Returns stdout of a command that must end with 0 and print nothing on stderr. */
async function printed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await client.rsconfig(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return masked(stdout);
}

async function detachAll(): Promise<void> {
  await client.rsconfigWell('-d');
}

const VOLUME_LINES = {
  oracle: '      0  oracle           disk     31457280 blocks of  512 bytes\n',
  tvol1: '      0  tvol1            disk      2097152 blocks of  512 bytes\n',
  big: '      1  big              disk         4096 blocks of 4096 bytes\n',
};

it('rsconfig -q and -qv do not count blocks of 4096 bytes as 512', async () => {
  const volumes = VOLUME_LINES.oracle + VOLUME_LINES.tvol1 + VOLUME_LINES.big;
  expect(await printed('-q')).toBe(`000 osl\n  clt: big-2\n  srv: 000 big-9\n${volumes}`);
  const addresses = `      addr: ${ends.far[0]} big-9-1\n      addr: ${ends.far[1]} big-9-2\n`;
  expect(await printed('-qv')).toBe(`000 osl\n  clt: big-2\n  srv: 000 big-9\n      state: connected\n${addresses}${volumes}`);
});

it('rsconfig -qvvv shows ids, limits, paths and holders', async () => {
  await client.rsconfigWell('-a', 'oracle');
  await comesToPrint(
    `000 osl
  id: 200
  clt: big-2
  srv: 000 big-9
      state: connected
      id: 1  instance: INSTANCE
      limits: 256 slots, 33554432 bytes
      addr: ${ends.far[0]} big-9-1
      addr: ${ends.far[1]} big-9-2
      path: N if0 ${ends.near[0]} -> ${ends.far[0]} connected tx: ok rx: ok
      path: N if1 ${ends.near[1]} -> ${ends.far[1]} connected tx: ok rx: ok
${VOLUME_LINES.oracle}          id: ${ORACLE_ID}
          mode: read-write exclusive
          holder: big-2 HOLDER since TIME
${VOLUME_LINES.tvol1}          id: ${TVOL_ID}
          mode: read-only shared
          holder: -
${VOLUME_LINES.big}          id: ${BIG_ID}
          mode: read-write exclusive
          holder: -
`.replace('HOLDER', await holderAddress()),
    '-qvvv',
  );
  await detachAll();
});

/** Returns the address that the server shows for the holder: the address of its first path. */
async function holderAddress(): Promise<string> {
  const { namespaces } = await client.call('query', { refresh: true });
  const address = namespaces[0]?.servers[0]?.volumes[0]?.holders[0]?.address ?? '';
  expect(ends.near).toContain(address);
  return address;
}

it('rsconfig -a, -l, -lv, -lvv and -d', async () => {
  const uri = (name: string): string => client.nbdUri(`osl/${name}`);
  const lines = { oracle: 'osl:oracle@0', tvol1: 'osl:tvol1@0', big: 'osl:big@1' };
  const devices = { oracle: uri('oracle'), tvol1: uri('tvol1'), big: uri('big@1') };
  const attached = `${lines.oracle} attached ${devices.oracle}\n${lines.tvol1} attached ${devices.tvol1}\n${lines.big} attached ${devices.big}\n`;
  expect(await printed('-a')).toBe(attached);
  expect(await printed('-a'), 'already so is success').toBe(attached);
  expect(await printed('-a', 'oracle', 'osl:tvol1', 'osl:big@1')).toBe(attached);
  expect(await printed('-l')).toBe(`${lines.oracle}\n${lines.tvol1} read-only\n${lines.big}\n`);
  expect(await printed()).toBe(await printed('-l'));
  expect(await printed('-lv')).toBe(
    `${lines.oracle}\n    b: ${devices.oracle}\n\n${lines.tvol1} read-only\n    b: ${devices.tvol1}\n\n${lines.big}\n    b: ${devices.big}\n`,
  );
  expect(await printed('-lvv')).toBe(`osl:oracle@0
    c: -                         31457280 blocks,  1 server(s)
    b: ${devices.oracle}

osl:tvol1@0 read-only
    c: -                          2097152 blocks,  1 server(s)
    b: ${devices.tvol1}

osl:big@1
    c: -                             4096 blocks,  1 server(s)
    b: ${devices.big}
`);
  expect(await printed('-d', 'tvol1')).toBe(`${lines.tvol1} detached\n`);
  expect(await printed('-d')).toBe(`${lines.oracle} detached\n${lines.big} detached\n`);
  const none = await client.rsconfig('-l');
  expect(none).toMatchObject({ code: 0, stdout: '' });
  expect(none.stderr).toBe('rsconfig: No volume is attached: rsconfig -q lists the offered volumes, rsconfig -a NAME attaches one\n');
});

it('one failure does not stop the rest of a command', async () => {
  const { code, stdout, stderr } = await client.rsconfig('-a', 'nosuch', 'oracle');
  expect({ code, stdout }).toEqual({ code: 1, stdout: `osl:oracle@0 attached ${client.nbdUri('osl/oracle')}\n` });
  expect(stderr).toMatch(/^rsconfig: .*nosuch.*: .+ \[E_UNKNOWN_VOLUME\]\n$/);
  await detachAll();
});

it('rsconfig -m status and -m status -v', async () => {
  const rep = (index: number): string => `    rep: 00${index} IP(TCP) ${ends.far[index]} connected tx: ok rx: ok\n`;
  const near = (index: number): string => `${index} if${index} IP(TCP) ${ends.near[index]}/${network.port}\n`;
  await comesToPrint(near(0) + rep(0) + near(1) + rep(1), '-m', 'status');
  const more = /^ {8}path: \d+ {2}since: TIME {2}retries: \d+ {2}round trip: \d+\.\d{3} ms {2}cipher: plain\n {8}error: .+\n/;
  // Both paths connect at once. The second path waits for the session that the first path begins, and may therefore show a retry.
  const measured = async (): Promise<string | null> => {
    const shown = await client.rsconfigWell('-m', 'status', '-v');
    return shown.match(/round trip: \d/g)?.length === 2 && shown.match(/ connected tx: ok rx: ok$/gm)?.length === 2 ? shown : null;
  };
  const text = (await waitFor(measured, PRINT_DEADLINE_MS, 'Both round trips are measured')).replace(TIME, 'TIME');
  const parts = text.split(/^(?=\d if\d)/m);
  expect(parts).toHaveLength(2);
  for (const [index, part] of parts.entries()) {
    expect(part.startsWith(near(index) + rep(index))).toBe(true);
    expect(part.slice((near(index) + rep(index)).length)).toMatch(more);
  }
});

it('rsconfig -m stats and events', async () => {
  await client.rsconfigWell('-a', 'oracle');
  const stats = await printed('-m', 'stats');
  expect(stats).toContain(`path: if0 IP(TCP) ${network.serverAddresses[0]}/${network.port} connected\n    requests: `);
  const latency = String.raw`p50 \d+ us, p99 \d+ us, p99\.9 \d+ us, p99\.99 \d+ us, max \d+ us\n`;
  expect(stats).toMatch(new RegExp(String.raw`^vol: osl:oracle@0\n {4}read: \d+ total, \d+/s {2}\d+ bytes, .+ MB/s {2}${latency}`, 'm'));
  expect(stats).toMatch(
    new RegExp(String.raw` {4}flush: \d+ total, \d+/s {2}${latency} {4}discard: 0 {2}zero: 0 {2}errors: 0 {2}outstanding`),
  );
  expect(stats).toMatch(/errors: 0 {2}outstanding: 0 {2}longest gap: \d+ ms\n$/);
  expect(await printed('events')).toMatch(/^TIME path if0 \S+: proving -> connected/m);
  await detachAll();
});

it('--json of every query is valid JSON with the same content', async () => {
  await client.rsconfigWell('-a', 'oracle');
  const views = ['-q', '-l', '-m status', '-m stats', 'events'];
  for (const view of views) {
    const result = JSON.parse(await client.rsconfigWell(...view.split(' '), '--json')) as Record<string, unknown[]>;
    expect(Object.values(result)[0]?.length, view).toBeGreaterThan(0);
  }
  const detached = JSON.parse(await client.rsconfigWell('-d', '--json', 'oracle')) as unknown;
  expect(detached).toEqual({ outcomes: [{ volume: 'osl:oracle@0', done: true, already: false, device: null, error: null }] });
});

it('wrong usage exits with 2, and every program has --help and --version', async () => {
  expect(await client.rsconfig('-q', '-l')).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('[E_USAGE]') as string });
  expect(await client.rsconfig('-m', 'nothing')).toMatchObject({ code: 2, stdout: '' });
  for (const program of ['rssrv', 'rsiod', 'rsconfig', 'rsclogcat', 'rsslogcat']) {
    expect((await client.run(program, ['--help'])).stdout, program).toMatch(/^usage: /i);
    expect((await client.run(program, ['--version'])).stdout, program).toMatch(new RegExp(`^${program} \\(RSIO\\) \\d+\\.\\d+\\.\\d+\n$`));
    expect((await client.run(program, ['--nonsense'])).code, program).toBe(2);
  }
});

it('rsclogcat -f follows the log, and rsslogcat -n shows its end', async () => {
  const follower = client.beside('rsclogcat', ['-f', '-n', '1']);
  await waitFor(() => follower.stdout() !== '', 10_000, 'rsclogcat prints the last line');
  await client.rsconfigWell('-a', 'oracle');
  await waitFor(() => follower.stdout().includes('Attached osl:oracle@0'), 10_000, 'rsclogcat shows the new line');
  follower.kill('SIGTERM');
  expect(masked(follower.stdout())).toMatch(/^big-2@rsio TIME INFO \(main\): Attached osl:oracle@0 of server big-9: 16106127360 bytes$/m);
  await follower.ended;
  const all = masked((await client.run('rsclogcat')).stdout);
  expect(all).toMatch(
    new RegExp(`^big-2@rsio TIME INFO \\(\\d+-if0-tx0\\): started transmit for rep ${ends.far[0]?.replaceAll('.', '\\.')}$`, 'm'),
  );
  const two = (await server.run('rsslogcat', ['-n', '2'])).stdout.replace(TIME, 'TIME').split('\n');
  expect(two).toHaveLength(3);
  for (const line of two.slice(0, 2)) expect(line).toMatch(/^big-9@rsio TIME (INFO|WARN) \((main|process-\d+( \d+-if\d-rx0)?)\): .+/);
  await detachAll();
});
