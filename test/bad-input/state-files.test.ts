// State files that are cut, changed in one digit, or written by a newer version: the daemon refuses to start, prints one line with file, reason and remedy,
// and does not change the file. Once the file is restored, everything works, and no byte that was written before is lost.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { sealed } from '@rsio/base/files/sealed-text';
import { unsealed } from '@rsio/base/testing/unsealed';
import { type DaemonProgram, daemonPaths } from '@rsio/common/config/root-paths';
import { startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';

const hosts = useHosts('file');
const CONTENT = Buffer.alloc(65_536, 9);
let host: Host;

/** Attaches a volume, uses it, and kills the server. Afterwards every state file has content. */
beforeAll(async () => {
  host = hosts.host();
  const network = await hosts.network(1);
  await startServer(host, network, { volumes: { oracle: { path: host.file('storage/oracle.img'), size: '1m' } } });
  await startClient(host, network);
  await host.rsconfigWell('-a');
  const nbd = await open();
  await nbd.write(0, CONTENT);
  nbd.close();
  await host.kill('rssrv');
});

async function open(): Promise<NbdIo> {
  const nbd = await NbdIo.open(host.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => nbd.close());
  return nbd;
}

const cutOff = (good: string): string => good.slice(0, good.length / 2);
const fromNewer = (good: string): string => sealed(unsealed(good).replace(/"version": ?\d+/, '"version":9'));
/** Still JSON of the right form: only the checksum says that it is damaged. */
const flipped = (good: string): string => good.replace(/[0-9](?=[^0-9]*$)/, (digit) => String((Number(digit) + 1) % 10));

/** Expects that the program refuses the damaged file in one line that ends with this text, and changes nothing. */
async function expectRefused(program: DaemonProgram, file: string, damage: (good: string) => string, words: RegExp): Promise<void> {
  const good = readFileSync(file, 'utf8');
  const damaged = damage(good);
  expect(damaged).not.toBe(good);
  writeFileSync(file, damaged);
  // The files of events are left out, because the program writes them when it ends.
  const folderNow = (): string[] => readdirSync(path.dirname(file)).filter((name) => !name.startsWith('events.jsonl'));
  const folder = folderNow();
  const before = host.processes();
  const { code, stdout, stderr } = await host.tryStart(program);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^[^\n]*\n$/);
  expect(stderr.replace(file, 'FILE').trimEnd()).toMatch(words);
  expect(before).toEqual(expect.arrayContaining(host.processes()));
  expect(existsSync(daemonPaths(host.root, program).pidFile)).toBe(false);
  expect(readFileSync(file, 'utf8')).toBe(damaged);
  expect(folderNow()).toEqual(folder);
  writeFileSync(file, good);
}

it('rssrv: volume ids, holders, process records; the client waits meanwhile and then reads what it wrote', async () => {
  const { volumesFile, holdersFile, recordsFile } = host.rssrvPaths;
  await expectRefused(
    'rssrv',
    volumesFile,
    fromNewer,
    /^rssrv: FILE has format 9, this rssrv knows up to 1: run the newer rssrv that wrote it \[E_SYSTEM\]$/,
  );
  await expectRefused(
    'rssrv',
    holdersFile,
    fromNewer,
    /^rssrv: State file FILE cannot be used: its version is 9, this program knows 3: restore it, or move it away if every client that holds a volume has ended \[E_SYSTEM\]$/,
  );
  await expectRefused(
    'rssrv',
    recordsFile,
    cutOff,
    /^rssrv: State file FILE cannot be used: its checksum is wrong: detach the volumes of this server at its clients, kill all its processes, and remove the file \[E_SYSTEM\]$/,
  );
  for (const file of [volumesFile, holdersFile, recordsFile]) await expectRefused('rssrv', file, flipped, /its checksum is wrong/);
  await host.start('rssrv');
  expect((await (await open()).read(0, CONTENT.length)).equals(CONTENT)).toBe(true);
});

it('rsiod: its identity', async () => {
  await host.stop('rsiod');
  await expectRefused(
    'rsiod',
    path.join(host.rsiodPaths.stateDir, 'identity.json'),
    cutOff,
    /^rsiod: State file FILE cannot be used: its checksum is wrong: restore it, or move it away and detach this node's volumes at the servers \[E_SYSTEM\]$/,
  );
  await host.start('rsiod');
  await host.pathsUp(1);
  await host.rsconfigWell('-a');
  expect((await (await open()).read(0, CONTENT.length)).equals(CONTENT)).toBe(true);
});
