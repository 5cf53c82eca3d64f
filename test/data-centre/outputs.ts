// Every output of the commands at the standard site, character by character, in steps that build on each other: names before the first
// contact, lists, names that match several volumes, attaching, permissions, holders, a volume on two servers, and a volume whose server is
// away. said.ts explains the placeholders in the texts. Invariant: no expected text comes from the code under test.

import { strictEqual } from 'node:assert/strict';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import type { DataCentre } from './data-centre.ts';
import { masked } from './expected.ts';
import { filled, says, withoutHolders } from './said.ts';
import type { SiteClient } from './site.ts';

const WAIT_MS = 30_000;

export interface OutputStep {
  readonly name: string;
  readonly run: (centre: DataCentre) => Promise<void>;
}

const VOLUMES = {
  oracle: '      0  oracle           disk        98304 blocks of  512 bytes\n',
  logs: '      1  logs             disk        32768 blocks of  512 bytes\n',
  pool: '      2  pool             disk        65536 blocks of  512 bytes\n',
  archive: '      0  archive          disk        16384 blocks of  512 bytes\n',
  scratch: '      0  scratch          disk       131072 blocks of  512 bytes\n',
  data9: '      0  data             disk         8192 blocks of  512 bytes\n',
  data5: '      0  data             disk        12288 blocks of  512 bytes\n',
  oraDb: '      0  ora_db           disk         8192 blocks of 4096 bytes\n',
  devOracle: '      0  oracle           disk        65536 blocks of  512 bytes\n',
  long: '      0  a-name-that-is-longer-than-its-column disk         2048 blocks of  512 bytes\n',
  play: '      0  play             disk        65536 blocks of  512 bytes\n',
};

function about(id: string, mode: string, ...holders: readonly string[]): string {
  const lines = holders.length === 0 ? ['-'] : holders.map((node) => `${node} OWN since TIME`);
  return `          id: {id ${id}}\n          mode: ${mode}\n${lines.map((line) => `          holder: ${line}\n`).join('')}`;
}

/** Expected output of -qvv, or of -qvvv if `paths` is true, on big-2 while no client holds a volume. */
function wholeView(paths: boolean): string {
  const path = (line: string): string => (paths ? `      path: N ${line} connected tx: ok rx: ok\n` : '');
  const exclusive = 'read-write exclusive';
  return `000 osl
  id: 200
  clt: big-2
  srv: 000 big-9
      state: connected
      id: 1  instance: INSTANCE
      limits: 256 slots, 33554432 bytes
      addr: {A.10}/{osl} big-9-1
      addr: {B.10}/{osl} big-9-2
${path('if0 {A.30} -> {A.10}/{osl}')}${path('if1 {B.30} -> {B.10}/{osl}')}${VOLUMES.oracle}${about('big-9:oracle', exclusive)}${
  VOLUMES.logs
}${about('big-9:logs', exclusive)}${VOLUMES.pool}${about('big-9:pool', 'read-write shared')}${VOLUMES.archive}${about(
  'big-9:archive',
  'read-only exclusive',
)}${VOLUMES.scratch}${about('big-9:scratch', exclusive)}${VOLUMES.data9}${about('big-9:data', exclusive)}  srv: 001 big-5
      state: connected
      id: 2  instance: INSTANCE
      limits: 256 slots, 33554432 bytes
      addr: {A.11}/{osl} big-5-1
      addr: {B.11}/{osl} big-5-2
${path('if0 {A.30} -> {A.11}/{osl}')}${path('if1 {B.30} -> {B.11}/{osl}')}${VOLUMES.archive}${about(
  'big-9:archive',
  'read-only exclusive',
)}${VOLUMES.scratch}${about('big-9:scratch', exclusive)}${VOLUMES.data5}${about('big-5:data', exclusive)}001 dev
  id: 300
  clt: dev-2
  srv: 000 mini-1
      state: connected
      id: 1  instance: INSTANCE
      limits: 256 slots, 33554432 bytes
      addr: {A.10}/{dev} mini-1-1
      addr: {B.10}/{dev} mini-1-if2
${path('if0 {A.30} -> {A.10}/{dev}')}${path('if1 {B.30} -> {B.10}/{dev}')}${VOLUMES.devOracle}${about('mini-1:oracle', exclusive)}`;
}

const LOCAL = [
  ['osl:oracle@0', '       98304', 1, 'osl/oracle'],
  ['osl:logs@1', '       32768', 1, 'osl/logs@1'],
  ['osl:pool@2', '       65536', 1, 'osl/pool@2'],
  ['osl:archive@0', '       16384', 2, 'osl/archive'],
  ['dev:oracle@0', '       65536', 1, 'dev/oracle'],
  ['osl:scratch@0', '      131072', 2, 'osl/scratch'],
  ['osl:data@0', '       12288', 1, 'osl/data'],
] as const;

async function before(centre: DataCentre): Promise<void> {
  const { big2 } = centre.site.clients;
  await centre.startClient(big2);
  const sections = ['big-9-1 of osl', 'big-9-2 of osl', 'big-5-1 of osl', 'big-5-2 of osl', 'mini-1-1 of dev'];
  await says(centre, big2, '-q', {
    stdout: `000 osl
  clt: big-2
  srv: 000 big-9-1
  srv: 001 big-9-2
  srv: 002 big-5-1
  srv: 003 big-5-2
001 dev
  clt: dev-2
  srv: 000 mini-1-1
`,
    stderr: sections.map((one) => `rsconfig: Server ${one} is down: see rsconfig -m status -v\n`).join(''),
  });
}

async function views(centre: DataCentre): Promise<void> {
  const { big2, venus, big6 } = centre.site.clients;
  await Promise.all(centre.servers.map((server) => centre.startServer(server)));
  await Promise.all([venus, big6].map((client) => centre.startClient(client)));
  await Promise.all(centre.clients.map((client) => centre.allPathsUp(client)));
  const { oracle, logs, pool, archive, scratch, data9, data5, oraDb, devOracle, long, play } = VOLUMES;
  const osl = `  srv: 000 big-9\n${oracle}${logs}${pool}${archive}${scratch}${data9}  srv: 001 big-5\n${archive}${scratch}${data5}`;
  await says(centre, big2, '-q', { stdout: `000 osl\n  clt: big-2\n${osl}001 dev\n  clt: dev-2\n  srv: 000 mini-1\n${devOracle}` });
  await says(centre, venus, '-q', {
    stdout: `000 osl\n  clt: venus\n  srv: 000 big-5\n${archive}${scratch}${data5}${oraDb}  srv: 001 big-9\n${oracle}${pool}${archive}${scratch}${data9}`,
  });
  await says(centre, big6, '-q', { stdout: `000 dev\n  clt: big-6\n  srv: 000 mini-1\n${devOracle}${long}${play}` });
  await says(centre, big6, '-qv', {
    stdout: `000 dev
  clt: big-6
  srv: 000 mini-1
      state: connected
      addr: {A.10}/{dev} mini-1-1
      addr: {B.10}/{dev} mini-1-2
${devOracle}${long}${play}`,
  });
  await says(centre, big2, '-qvv', { stdout: wholeView(false) });
  await says(centre, big2, '-qvvv', { stdout: wholeView(true) });
}

async function status(centre: DataCentre): Promise<void> {
  const { big2, venus } = centre.site.clients;
  await says(centre, big2, '-m status', {
    stdout: `0 if0 IP(TCP) {A.30}/5000
    rep: 000 IP(TCP) {A.10}/{osl} connected tx: ok rx: ok
    rep: 002 IP(TCP) {A.11}/{osl} connected tx: ok rx: ok
    rep: 004 IP(TCP) {A.10}/{dev} connected tx: ok rx: ok
1 if1 IP(TCP) {B.30}/5000
    rep: 001 IP(TCP) {B.10}/{osl} connected tx: ok rx: ok
    rep: 003 IP(TCP) {B.11}/{osl} connected tx: ok rx: ok
    rep: 005 IP(TCP) {B.10}/{dev} connected tx: ok rx: ok
`,
  });
  await says(centre, venus, '-m status', {
    stdout: `0 if0 IP(TCP) {A.31}/5000
    rep: 000 IP(TCP) {A.11}/{osl} connected tx: ok rx: ok
    rep: 002 IP(TCP) {A.10}/{osl} connected tx: ok rx: ok
1 if1 IP(TCP) {B.31}/5000
    rep: 001 IP(TCP) {B.11}/{osl} connected tx: ok rx: ok
    rep: 003 IP(TCP) {B.10}/{osl} connected tx: ok rx: ok
`,
  });
  const more = (await centre.host(venus).rsconfigWell('-m', 'status', '-v')).replace(/ {8}error: .*\n/g, '        error: ERROR\n');
  const path = '        path: N  since: TIME  retries: 0  round trip: RTT  cipher: plain\n        error: ERROR\n';
  const rep = (text: string): string => `    rep: ${text} connected tx: ok rx: ok\n${path}`;
  strictEqual(
    masked(more),
    filled(
      centre,
      venus,
      `0 if0 IP(TCP) {A.31}/5000\n${rep('000 IP(TCP) {A.11}/{osl}')}${rep('002 IP(TCP) {A.10}/{osl}')}1 if1 IP(TCP) {B.31}/5000\n${rep('001 IP(TCP) {B.11}/{osl}')}${rep('003 IP(TCP) {B.10}/{osl}')}`,
    ),
    'rsconfig -m status -v of venus',
  );
}

async function names(centre: DataCentre): Promise<void> {
  const { big2 } = centre.site.clients;
  const refused = (args: string, stderr: string): Promise<void> => says(centre, big2, args, { stderr: `rsconfig: ${stderr}\n`, code: 1 });
  await refused(
    '-a oracle',
    'oracle: oracle means more than one volume: osl:oracle@0 (server big-9), dev:oracle@0 (server mini-1): name one of them, or choose with --server [E_AMBIGUOUS]',
  );
  await refused(
    '-a osl:data@0',
    'osl:data@0: osl:data@0 means more than one volume: osl:data@0 (server big-9), osl:data@0 (server big-5): name one of them, or choose with --server [E_AMBIGUOUS]',
  );
  await refused('-a dat', 'dat: No server in reach offers a volume dat: rsconfig -q lists the volumes [E_UNKNOWN_VOLUME]');
  await refused('-a data --server mini-1', 'data: Server mini-1 offers no volume data: rsconfig -q lists the volumes [E_UNKNOWN_VOLUME]');
  await refused('-a --server big-7', 'No connected server big-7 offers a volume: rsconfig -q lists servers and volumes [E_UNKNOWN_VOLUME]');
}

async function attach(centre: DataCentre): Promise<void> {
  const { big2 } = centre.site.clients;
  const line = (name: string): string => {
    const uri = LOCAL.find(([label]) => label === name)?.[3] ?? '';
    return `${name} attached {nbd ${uri}}\n`;
  };
  const first = ['osl:oracle@0', 'osl:logs@1', 'osl:pool@2', 'osl:archive@0', 'dev:oracle@0'];
  await says(centre, big2, '-a osl:oracle logs@1 osl:pool@2 archive dev:oracle', { stdout: first.map(line).join('') });
  // The command names a server that rsiod would not choose without the name, so that the effect of the name can be seen.
  await says(centre, big2, '-a scratch --server big-5', { stdout: line('osl:scratch@0') });
  await says(centre, big2, '-a data --server big-5', { stdout: line('osl:data@0') });
  await says(centre, big2, '-a data --server big-9', {
    stderr:
      'rsconfig: osl:data@0: Another volume of server big-5 is attached as osl:data@0, not that of server big-9: detach it first (rsconfig -d osl:data@0) [E_IN_USE]\n',
    code: 1,
  });
  await says(centre, big2, '-a scratch', { stdout: line('osl:scratch@0') });
}

async function local(centre: DataCentre): Promise<void> {
  const { big2, venus } = centre.site.clients;
  const head = (label: string): string => (label === 'osl:archive@0' ? `${label} read-only` : label);
  await says(centre, big2, '-l', { stdout: LOCAL.map(([label]) => `${head(label)}\n`).join('') });
  await says(centre, big2, '-lv', { stdout: LOCAL.map(([label, , , uri]) => `${head(label)}\n    b: {nbd ${uri}}\n`).join('\n') });
  await says(centre, big2, '-lvv', {
    stdout: LOCAL.map(
      ([label, blocks, servers, uri]) =>
        `${head(label)}\n    c: -                     ${blocks} blocks,  ${servers} server(s)\n    b: {nbd ${uri}}\n`,
    ).join('\n'),
  });
  await says(centre, venus, '-l', {
    stderr: 'rsconfig: No volume is attached: rsconfig -q lists the offered volumes, rsconfig -a NAME attaches one\n',
  });
  await says(centre, big2, '-d oracle', {
    stderr: 'rsconfig: oracle: oracle means more than one volume: osl:oracle@0, dev:oracle@0: name one of them [E_AMBIGUOUS]\n',
    code: 1,
  });
}

async function rights(centre: DataCentre): Promise<void> {
  const { venus, big6 } = centre.site.clients;
  const unknown = (name: string): string =>
    `rsconfig: ${name}: No server in reach offers a volume ${name}: rsconfig -q lists the volumes [E_UNKNOWN_VOLUME]\n`;
  await says(centre, venus, '-a osl:logs@1', { stderr: unknown('osl:logs@1'), code: 1 });
  await says(centre, big6, '-a osl:pool', { stderr: unknown('osl:pool'), code: 1 });
  await says(centre, venus, '-a ora_db pool@2 archive', {
    stdout: 'osl:ora_db@0 attached {nbd osl/ora_db}\nosl:pool@2 attached {nbd osl/pool@2}\nosl:archive@0 attached {nbd osl/archive}\n',
  });
  await says(centre, big6, '-a play a-name-that-is-longer-than-its-column', {
    stdout:
      'dev:play@0 attached {nbd dev/play}\ndev:a-name-that-is-longer-than-its-column@0 attached {nbd dev/a-name-that-is-longer-than-its-column}\n',
  });
}

async function holders(centre: DataCentre): Promise<void> {
  const { venus, big6 } = centre.site.clients;
  const held = async (client: SiteClient, args: string, sentence: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await centre.host(client).rsconfig(...args.split(' '));
    const text = withoutHolders(centre, masked(stderr).replace(/ at 127[.\d]+ /g, ' at OWN '));
    strictEqual(sentence.test(text), true, `${args} of ${client.name}: ${text}`);
    strictEqual(`${code} ${stdout}`, '1 ');
  };
  await held(
    venus,
    '-a osl:oracle',
    /^rsconfig: osl:oracle@0: Volume oracle is held by big-2 at OWN since TIME: .*rsconfig .*\[E_HELD\]\n$/,
  );
  await held(big6, '-a oracle', /^rsconfig: dev:oracle@0: Volume oracle is held by dev-2 at OWN since TIME: .*rsconfig .*\[E_HELD\]\n$/);
  // If a volume is held at one of its two servers, no client can open it through the other one.
  await held(venus, '-a scratch', /^rsconfig: osl:scratch@0: Volume scratch is held by big-2 at OWN since TIME: .*\[E_HELD\]\n$/);
  await held(
    venus,
    '-a scratch --server big-9',
    /^rsconfig: osl:scratch@0: osl:scratch@0 is held by big-2 at OWN since TIME through server big-5: attach it from there \[E_HELD\]\n$/,
  );
  const { oracle, pool, archive, scratch, data9, data5, oraDb } = VOLUMES;
  const [exclusive, readonly] = ['read-write exclusive', 'read-only exclusive'];
  await says(centre, venus, '-qvv', {
    stdout: `000 osl
  id: 200
  clt: venus
  srv: 000 big-5
      state: connected
      id: 2  instance: INSTANCE
      limits: 256 slots, 33554432 bytes
      addr: {A.11}/{osl} big-5-1
      addr: {B.11}/{osl} big-5-2
${archive}${about('big-9:archive', readonly)}${scratch}${about('big-9:scratch', exclusive, 'big-2')}${data5}${about(
  'big-5:data',
  exclusive,
  'big-2',
)}${oraDb}${about('big-5:ora_db', exclusive, 'venus')}  srv: 001 big-9
      state: connected
      id: 1  instance: INSTANCE
      limits: 256 slots, 33554432 bytes
      addr: {A.10}/{osl} big-9-1
      addr: {B.10}/{osl} big-9-2
${oracle}${about('big-9:oracle', exclusive, 'big-2')}${pool}${about('big-9:pool', 'read-write shared', 'big-2', 'venus')}${archive}${about(
  'big-9:archive',
  readonly,
  'big-2',
  'venus',
)}${scratch}${about('big-9:scratch', exclusive)}${data9}${about('big-9:data', exclusive)}`,
  });
}

/**
 * Stops big-5. The client uses scratch from big-5, so that I/O on scratch waits. The client uses archive from big-9, although big-5 also
 * has archive, so that I/O on archive does not wait.
 */
async function serverAway(centre: DataCentre): Promise<void> {
  const { big2 } = centre.site.clients;
  const { big5 } = centre.site.servers;
  const host = centre.host(big2);
  const [scratch, archive] = [
    await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/scratch', WAIT_MS),
    await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/archive', WAIT_MS),
  ];
  try {
    await scratch.write(0, Buffer.alloc(4096));
    await centre.host(big5).stop('rssrv');
    const waits = scratch.write(4096, Buffer.alloc(4096));
    // Ignores a rejection here, because the `await` further below reports it.
    waits.catch(() => undefined);
    const waiting = /^osl:scratch@0 waits for a path to server big-5\n {4}since: TIME {2}until: TIME {2}requests: 1\n(?!.*waits for)/m;
    await waitFor(async () => waiting.test(masked(await host.rsconfigWell('-m', 'status', '-v'))), WAIT_MS, 'scratch waits');
    await archive.read(0, 4096);
    strictEqual(/^osl:scratch@0\n.* 2 server\(s\)$/m.test(await host.rsconfigWell('-lvv')), true, 'scratch is still of two servers');
    await centre.host(big5).start('rssrv');
    await waits;
    await Promise.all(centre.clients.map((client) => centre.allPathsUp(client)));
  } finally {
    scratch.close();
    archive.close();
  }
}

async function statsAndEvents(centre: DataCentre): Promise<void> {
  const { venus } = centre.site.clients;
  const number = '\\d+(?:\\.\\d+)?';
  const latency = `p50 ${number} us, p99 ${number} us, p99\\.9 ${number} us, p99\\.99 ${number} us, max ${number} us`;
  const rate = `(?:${number} MB/s|-)`;
  const path = (near: string, far: string): string =>
    [
      `path: ${near} IP\\(TCP\\) ${far}/{osl} connected`,
      `    requests: ${number} total, ${number}/s  resent: ${number}  hedged: ${number}  probed: ${number}  dropped: ${number}  deaths: ${number}  round trip: ${number} ms`,
      `    sent: ${number} bytes, ${number} MB/s  received: ${number} bytes, ${number} MB/s  unanswered: ${number} bytes`,
      `    read: ${latency}, rate ${rate}  write: ${latency}, rate ${rate}\n`,
    ].join('\n');
  const io = `${number} total, ${number}/s  ${number} bytes, ${number} MB/s  ${latency}`;
  const volume = (label: string): string =>
    `vol: ${label}\n    read: ${io}\n    write: ${io}\n    flush: ${number} total, ${number}/s  ${latency}\n    discard: ${number}  zero: ${number}  errors: 0  outstanding: 0  longest gap: ${number} ms\n`;
  const paths = [path('if0', '{A.11}'), path('if0', '{A.10}'), path('if1', '{B.11}'), path('if1', '{B.10}')].join('');
  const shape = `^${paths}${volume('osl:ora_db@0')}${volume('osl:pool@2')}${volume('osl:archive@0')}$`;
  const stats = await centre.host(venus).rsconfigWell('-m', 'stats');
  strictEqual(new RegExp(filled(centre, venus, shape)).test(stats), true, `rsconfig -m stats of venus: ${stats}`);
  const events = masked(await centre.host(venus).rsconfigWell('events'));
  for (const line of events.split('\n').slice(0, -1)) {
    strictEqual(/^TIME (path|server|volume) \S.*: .+ -> .+$/.test(line), true, `rsconfig events of venus: ${line}`);
  }
  const lines = [
    'TIME path if0 {A.11}/{osl}: proving -> connected',
    'TIME server big-5: - -> session',
    'TIME volume osl:pool@2: - -> open',
  ];
  for (const line of lines.map((text) => filled(centre, venus, text))) {
    strictEqual(events.split('\n').includes(line), true, `${line} in rsconfig events of venus: ${events}`);
  }
}

async function detach(centre: DataCentre): Promise<void> {
  const { big2, venus, big6 } = centre.site.clients;
  await says(centre, big2, '-d', { stdout: LOCAL.map(([label]) => `${label} detached\n`).join('') });
  await says(centre, venus, '-d ora_db osl:pool@2 archive', {
    stdout: 'osl:ora_db@0 detached\nosl:pool@2 detached\nosl:archive@0 detached\n',
  });
  await says(centre, venus, '-d ora_db', { stdout: 'ora_db is not attached\n' });
  await says(centre, big6, '-d', { stdout: 'dev:play@0 detached\ndev:a-name-that-is-longer-than-its-column@0 detached\n' });
  await says(centre, big2, '-qvv', { stdout: wholeView(false) });
  // The volume is free again. The client that was refused before can therefore attach it.
  await says(centre, venus, '-a scratch osl:oracle', {
    stdout: 'osl:scratch@0 attached {nbd osl/scratch}\nosl:oracle@0 attached {nbd osl/oracle}\n',
  });
  await says(centre, venus, '-d', { stdout: 'osl:scratch@0 detached\nosl:oracle@0 detached\n' });
}

/** Each step builds on all earlier steps. The first two steps start the daemons. */
export const OUTPUT_STEPS: readonly OutputStep[] = [
  { name: 'before first contact a server is called by its sections', run: before },
  { name: '-q to -qvvv: three clients see what is theirs, in the order of their files', run: views },
  { name: '-m status: positions over all namespaces, learned end points last', run: status },
  { name: '-a: a name that means two volumes, or none, is refused with all candidates', run: names },
  { name: '-a: by every form of a name, and by server', run: attach },
  { name: '-l to -lvv: one volume over two servers stands once', run: local },
  { name: 'a volume that a client may not use does not exist for it', run: rights },
  { name: 'a held volume is refused with its holder, also at the other of its servers', run: holders },
  { name: 'a volume over two servers waits for the one that it is had from, says so, and goes on', run: serverAway },
  { name: '-m stats and events', run: statsAndEvents },
  { name: '-d: everything is free again', run: detach },
];
