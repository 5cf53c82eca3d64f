// After rsiod was killed or stopped, it attaches the same volumes again without a command, and no others. Programs that use these volumes
// over NBD reconnect and find every acknowledged write.

import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { clientConfig, serverConfig, startClient } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { startPair } from '../support/hosts/pair.ts';
import { needTool, start, wellOf } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const BLOCK_BYTES = 4_096;
const BLOCKS = 64;
const BACK_MS = 20_000;

const hosts = useHosts();
let server: Host;
let client: Host;
let network: TestNetwork;

beforeEach(async () => {
  const file = (host: Host, name: string): Record<string, string> => ({ path: host.file(name), size: '16m' });
  const volumes = (host: Host) => ({ oracle: file(host, 'oracle.img'), tvol1: file(host, 'tvol1.img') });
  ({ server, client, network } = await startPair(hosts, volumes));
});

async function attached(host: Host): Promise<string[]> {
  const { attachments } = await host.call('local', {});
  return attachments.map(({ namespace, name }) => `${namespace}:${name}`).sort();
}

async function awaited(host: Host): Promise<string[]> {
  return (await host.call('local', {})).awaited.map(({ namespace, name }) => `${namespace}:${name}`).sort();
}

/**
 * Waits until exactly these volumes are attached. rsiod may be up before its old session has ended, so the test also expects that the
 * volumes stay attached after new lists.
 */
async function whenAttached(host: Host, ...labels: readonly string[]): Promise<void> {
  await waitFor(async () => (await attached(host)).join() === labels.join(), BACK_MS, `${labels.join(', ')} attached again`);
  await host.rsconfigWell('-q');
  expect(await attached(host)).toEqual(labels);
}

/** Returns the names of the volumes that the next daemon would attach again. */
function keptFile(host: Host): string[] {
  const { content } = JSON.parse(readFileSync(host.rsiodPaths.attachedFile, 'utf8')) as { content: { attached: { name: string }[] } };
  return content.attached.map(({ name }) => name);
}

/** Waits until the server's list has this number of holders. */
async function whenHeld(holders: number): Promise<void> {
  const said = async (): Promise<number> => ((await client.rsconfigWell('-qvv')).match(/holder: (?!-)\S+/g) ?? []).length;
  await waitFor(async () => (await said()) === holders, BACK_MS, `${holders} volumes are held`);
}

/** Opens an export as soon as it exists, like a client that reconnects. */
function open(host: Host, name: string): Promise<NbdIo> {
  return waitFor(() => NbdIo.open(host.rsiodPaths.nbdSocket, name), BACK_MS, `${name} can be opened`);
}

/**
 * Writes new content to one block after the other until the connection breaks. Adds the acknowledged writes to the map. Returns the block
 * whose write was in flight.
 */
async function writeUntilBroken(nbd: NbdIo, acknowledged: Map<number, Buffer>): Promise<number> {
  for (let at = 0; ; at = (at + 1) % BLOCKS) {
    const data = randomBytes(BLOCK_BYTES);
    try {
      await nbd.write(at * BLOCK_BYTES, data);
    } catch {
      return at;
    }
    acknowledged.set(at, data);
  }
}

it('rsiod killed under writes and restarted: the volume is attached again, with every acknowledged write', async () => {
  await client.rsconfigWell('-a');
  const first = await open(client, 'osl/oracle');
  const acknowledged = new Map<number, Buffer>();
  const written = writeUntilBroken(first, acknowledged);
  await waitFor(() => acknowledged.size === BLOCKS, BACK_MS, 'Every block is written');
  await client.kill('rsiod');
  const broken = await written;
  await client.start('rsiod');
  await whenAttached(client, 'osl:oracle', 'osl:tvol1');
  expect((await client.rsconfigWell('-l')).split('\n').sort()).toEqual(['', 'osl:oracle@0', 'osl:tvol1@0']);
  const second = await open(client, 'osl/oracle');
  for (const [at, data] of acknowledged) {
    const read = await second.read(at * BLOCK_BYTES, BLOCK_BYTES);
    // The write that was in flight is not compared, because its outcome is unknown.
    if (at !== broken) expect(read.equals(data), `block ${at}`).toBe(true);
  }
  await second.verify(0, BLOCKS * BLOCK_BYTES);
  second.close();
});

it('qemu-io, which reconnects by itself, sees only a pause over a restart', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  await client.rsconfigWell('-a', 'oracle');
  const socket = `file.server.type=unix,file.server.path=${client.rsiodPaths.nbdSocket}`;
  const image = `driver=raw,file.driver=nbd,${socket},file.export=osl/oracle,file.reconnect-delay=60`;
  const qemu = start('qemu-io', ['--image-opts', image], { timeoutMs: 120_000, isWrittenTo: true });
  const done = (): number => qemu.stdout().match(/(read|wrote) 1048576\/1048576/g)?.length ?? 0;
  // The test sends one line at a time: if two lines arrive together, the program reads the second one only when more data arrives.
  const does = async (line: string): Promise<void> => {
    const before = done();
    qemu.write(`${line}\n`);
    await waitFor(() => done() > before, BACK_MS, `qemu-io has done ${line}`);
  };
  await does('write -P 0xab 0 1M');
  qemu.write('flush\n');
  const flushes = async (): Promise<number> => (await client.call('stats', {})).volumes[0]?.flushes ?? 0;
  await waitFor(async () => (await flushes()) > 0, BACK_MS, 'qemu-io has flushed');
  await client.kill('rsiod');
  // Sends a read while no daemon runs that could answer it.
  const read = does('read -P 0xab 0 1M');
  read.catch(() => undefined);
  await client.start('rsiod');
  await read;
  await does('write -P 0xcd 1M 1M');
  await does('read -P 0xcd 1M 1M');
  qemu.write('quit\n');
  const text = wellOf('qemu-io', await qemu.ended);
  expect(text).not.toContain('failed');
  expect(text.match(/(read|wrote) 1048576\/1048576/g)).toHaveLength(4);
});

it('after a stop and a start every volume returns as it was, including read-only', async () => {
  await client.rsconfigWell('-a', '--read-only', 'oracle');
  await client.stop('rsiod');
  await client.start('rsiod');
  await whenAttached(client, 'osl:oracle');
  const { attachments } = await client.call('local', {});
  expect(attachments).toMatchObject([{ name: 'oracle', readonly: true }]);
});

it('a lost server is reported at the start and by -l, and its volumes are attached when it returns', async () => {
  await client.rsconfigWell('-a', 'oracle');
  await server.stop('rssrv');
  await client.kill('rsiod');
  const up = await client.start('rsiod');
  expect(up.stderr).toContain('osl:oracle@0 is not attached again yet: Server big-9 is not in reach');
  const shown = await client.rsconfig('-l');
  expect(shown).toMatchObject({ code: 0, stdout: '' });
  expect(shown.stderr).toBe(
    'rsconfig: osl:oracle@0 was attached before rsiod restarted and is not attached again yet: Server big-9 is not in reach; rsconfig -d osl:oracle@0 ends the attempts\n',
  );
  await server.start('rssrv');
  await whenAttached(client, 'osl:oracle');
  const nbd = await open(client, 'osl/oracle');
  await nbd.verify(0, BLOCK_BYTES);
  nbd.close();
});

it('a detached volume stays detached over a restart, before it or while it was awaited, even with attach = all', async () => {
  client.writeConfig('rsiod', clientConfig(network, { defaults: { attach: 'all' } }));
  await client.stop('rsiod');
  await client.start('rsiod');
  await whenAttached(client, 'osl:oracle', 'osl:tvol1');
  await client.rsconfigWell('-d', 'tvol1');
  await client.kill('rsiod');
  await client.start('rsiod');
  await whenAttached(client, 'osl:oracle');
  await server.stop('rssrv');
  await client.kill('rsiod');
  await client.start('rsiod');
  expect(await client.rsconfigWell('-d', 'oracle')).toBe('osl:oracle@0 detached\n');
  await server.start('rssrv');
  await client.pathsUp(2);
  expect(await client.rsconfigWell('-q')).toContain('oracle');
  expect(await attached(client)).toEqual([]);
  // The client could not tell the server that the client has detached the volume, so the hold remains. The same command now releases the
  // hold.
  await whenHeld(1);
  await client.rsconfigWell('-d', 'oracle');
  await whenHeld(0);
  // Attaches at once, while the daemon that has just started has no path yet.
  await client.rsconfigWell('-a', 'oracle');
  await whenHeld(1);
  await client.kill('rsiod');
  await client.start('rsiod');
  await client.rsconfigWell('-d', 'oracle');
  await whenHeld(0);
  // Without the kept list of volumes, as after a boot, rsiod attaches only the volumes that the configuration names.
  await client.stop('rsiod');
  rmSync(client.rsiodPaths.attachedFile);
  await client.start('rsiod');
  await whenAttached(client, 'osl:oracle', 'osl:tvol1');
});

it('a volume that another client has taken meanwhile is reported once and not tried again', async () => {
  const venus = hosts.host();
  await startClient(venus, network, { node: 'venus', client: 1 });
  await client.rsconfigWell('-a');
  await client.stop('rsiod');
  await venus.rsconfigWell('-a', 'oracle');
  await client.start('rsiod');
  await whenAttached(client, 'osl:tvol1');
  await client.logged('rsiod', /osl:oracle@0, attached before this daemon was started: .*venus.*: attach it with rsconfig -a/);
  await venus.rsconfigWell('-d');
  await client.kill('rsiod');
  await client.start('rsiod');
  await whenAttached(client, 'osl:tvol1');
});

it('a volume that another client took over, while rsiod ran or was dead, stays with that client', async () => {
  const venus = hosts.host();
  await startClient(venus, network, { node: 'venus', client: 1 });
  await client.rsconfigWell('-a');
  await venus.rsconfigWell('-a', '--take-over', 'oracle');
  await whenAttached(client, 'osl:tvol1');
  // The kill must come after rsiod has stored the detach. After an earlier kill, the next daemon would ask for the volume.
  await waitFor(() => !keptFile(client).includes('oracle'), BACK_MS, 'rsiod has noted that it has lost the volume');
  await client.kill('rsiod');
  await venus.rsconfigWell('-a', '--take-over', 'tvol1');
  await client.start('rsiod');
  await waitFor(async () => (await awaited(client)).length === 0, BACK_MS, 'Nothing is awaited any more');
  expect(await attached(client)).toEqual([]);
  await client.logged('rsiod', /osl:tvol1@0, attached before this daemon was started: .*venus.*: attach it with rsconfig -a/);
  expect(client.log('rsiod')).not.toContain('osl:oracle@0, attached before');
  expect(await attached(venus)).toEqual(['osl:oracle', 'osl:tvol1']);
});

it('two namespaces with a volume of the same name: each returns from its own server', async () => {
  const other = hosts.host();
  const subnet = await hosts.network(1);
  const volumes = { oracle: { path: other.file('other.img'), size: '8m' } };
  other.writeConfig('rssrv', serverConfig(subnet, { volumes }).replace('namespaceid = 200', 'namespaceid = 201'));
  await other.start('rssrv');
  const file = `${clientConfig(network)}\n${clientConfig(subnet, { namespaceid: 201 })
    .replace(/\[defaults\][^[]*/, '')
    .replace('[interface if0]', '[interface if9]')
    .replace('[namespace osl]', `[namespace lab]\nport = ${subnet.port}`)}`;
  client.writeConfig('rsiod', file);
  await client.stop('rsiod');
  await client.start('rsiod');
  await client.rsconfigWell('-a', 'osl:oracle', 'lab:oracle');
  const named = async (): Promise<string[]> =>
    (await client.call('local', {})).attachments.map(({ namespace, id, byId }) => `${namespace} ${id} ${byId}`).sort();
  const before = await named();
  expect(before).toEqual([expect.stringMatching(/^lab (\S+) rsio-201-\1$/), expect.stringMatching(/^osl (\S+) rsio-200-\1$/)]);
  await other.stop('rssrv');
  await client.kill('rsiod');
  await client.start('rsiod');
  await whenAttached(client, 'osl:oracle');
  expect(await awaited(client)).toEqual(['lab:oracle']);
  await other.start('rssrv');
  await whenAttached(client, 'lab:oracle', 'osl:oracle');
  expect(await named()).toEqual(before);
});

it('a record that is damaged or of a newer release is reported and kept aside, and the daemon starts', async () => {
  await client.rsconfigWell('-a');
  const file = client.rsiodPaths.attachedFile;
  for (const text of [readFileSync(file, 'utf8').slice(0, 40), '{"version":99,"content":{"volumes":[]}}\n']) {
    await client.stop('rsiod');
    writeFileSync(file, text);
    const up = await client.start('rsiod');
    expect(up.stderr).toMatch(
      /^rsiod: Warning: Volumes are not attached again after the restart: .+; it is kept as .+attached\.json\.unusable$/m,
    );
    expect(readFileSync(`${file}.unusable`, 'utf8')).toBe(text);
    expect(await attached(client)).toEqual([]);
  }
  await client.rsconfigWell('-a', 'oracle');
  await client.kill('rsiod');
  await client.start('rsiod');
  await whenAttached(client, 'osl:oracle');
});
