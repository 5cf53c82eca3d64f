// A real file system as a volume: an ext4 image of this project's docs passes through server, protocol and client to independent programs
// without a changed byte. Changes that are made through the client arrive on the server, and the file system remains intact.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { startClient, startServer } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool, runWell } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));
const MIB = 1024 * 1024;

const hosts = useHosts();

it('an ext4 image is copied out unchanged, and sound after it was written through the client', async (context) => {
  needTool(context, 'mke2fs', 'e2fsprogs');
  needTool(context, 'nbdcopy', 'libnbd-bin');
  const [server, client, network] = [hosts.host(), hosts.host(), await hosts.network(2)];
  const image = server.file('docs.img');
  await runWell('mke2fs', ['-q', '-t', 'ext4', '-d', DOCS, image, '48m']);
  const original = readFileSync(image);
  await startServer(server, network, { volumes: { docs: { path: image } } });
  await startClient(client, network);
  expect(await client.rsconfigWell('-a')).toBe(`osl:docs@0 attached ${client.nbdUri('osl/docs')}\n`);
  const copy = client.file('copy.img');
  const startMs = performance.now();
  await runWell('nbdcopy', [client.nbdUri('docs'), copy]);
  report('ext4 image out', { 'MB/s': original.length / MIB / ((performance.now() - startMs) / 1000) });
  expect(readFileSync(copy).equals(original)).toBe(true);
  await runWell('e2fsck', ['-fn', copy]);

  const marker = client.file('marker.md');
  writeFileSync(marker, 'Written through the client\n');
  await runWell('debugfs', ['-w', '-R', `write ${marker} marker.md`, copy]);
  await runWell('nbdcopy', ['--flush', copy, client.nbdUri('osl/docs')]);
  await client.rsconfigWell('-d');
  await server.stop('rssrv');
  await runWell('e2fsck', ['-fn', image]);
  expect(await runWell('debugfs', ['-R', 'cat marker.md', image])).toBe('Written through the client\n');
  expect(await runWell('debugfs', ['-R', 'cat HACKING.md', image])).toBe(readFileSync(`${DOCS}HACKING.md`, 'utf8'));
});
