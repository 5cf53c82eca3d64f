// The commands of docs/HYPERVISORS.md, against a real server and client: qemu over the NBD socket while rsiod is killed and started, the
// XML of libvirt against libvirt's schema. Tests that lack a program are skipped. proxmox.test.ts tests the plugin for Proxmox VE, and
// ansible.test.ts the modules for Ansible.

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, it } from 'vitest';
import { reflinkDisk } from '../support/devices/reflink-disk.ts';
import { startClient, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { launcher, needTool, run, runWell, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(path.join(REPOSITORY, 'docs/HYPERVISORS.md'), 'utf8');
const SOCKET = '/run/rsio/rsiod/nbd';
const WAIT_MS = 60_000;
/** Longer than qemu-io sleeps. */
const AWAY_MS = 3_000;
const TEST_MS = 180_000;

const hosts = useHosts('file');
let begun: Promise<Host> | undefined;
let client: Host;

beforeEach(async (context) => {
  begun ??= begin(context);
  client = await begun;
});

async function begin(context: Parameters<typeof reflinkDisk>[2]): Promise<Host> {
  const [itsServer, itsClient] = [hosts.host(), hosts.host()];
  const network = await hosts.network(1);
  const pool = path.join(reflinkDisk(hosts, itsServer, context), 'pool');
  mkdirSync(pool);
  await startServer(itsServer, network, { volumes: {}, rights: { 'big-2': 'manage' } });
  await itsServer.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
  for (const name of ['guest1', 'golden']) await itsServer.rsadmWell('volume', 'create', name, '--size', '16m');
  await startClient(itsClient, network, { defaults: { stall: 'forever' } });
  return itsClient;
}

/** The commands of the page that begin with this program, each joined to one line, with the socket of this host. */
function linesOf(program: string): string[] {
  const joined = PAGE.replaceAll(/ \\\n\s+/g, ' ');
  return joined
    .split('\n')
    .filter((line) => line.startsWith(`    ${program} `))
    .map((line) => line.trim().replaceAll(SOCKET, client.rsiodPaths.nbdSocket));
}

/** A shell whose rsconfig is the one of the client. */
function shell(command: string): Promise<string> {
  const folder = path.dirname(client.file('tools/rsconfig'));
  if (!existsSync(path.join(folder, 'rsconfig'))) symlinkSync(launcher('rsconfig'), path.join(folder, 'rsconfig'));
  const env = { RSIO_ROOT: client.root, PATH: `${folder}:${process.env['PATH'] ?? ''}` };
  return runWell('sh', ['-c', command], { timeoutMs: WAIT_MS, env });
}

it('the commands for qemu: information, a write, and a clone of a golden image', { timeout: TEST_MS }, async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  const commands = ['rsconfig', 'qemu-img', 'qemu-io'].flatMap(linesOf);
  expect(commands).toHaveLength(6);
  for (const command of commands) await shell(command);
  const image = await shell(
    `qemu-io -r --image-opts driver=nbd,server.type=unix,server.path=${client.rsiodPaths.nbdSocket},export=osl/guest2 -c 'read -P 0 0 1M'`,
  );
  expect(image).toContain('read 1048576/1048576');
});

it('qemu with reconnect-delay waits while rsiod is killed and started', { timeout: TEST_MS }, async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  const [line = ''] = linesOf('qemu-io');
  const options = /--image-opts (\S+)/.exec(line)?.[1] ?? '';
  await client.rsconfigWell('-a', 'guest1');
  // rsiod is down while qemu-io sleeps, and is still down when qemu-io begins to write again.
  const commands = ['write -P 1 0 1M', 'flush', 'sleep 2000', 'write -P 2 1M 1M', 'flush', 'read -P 1 0 1M', 'read -P 2 1M 1M'];
  const given = commands.flatMap((command) => ['-c', command]);
  const io = start('stdbuf', ['-oL', 'qemu-io', '--image-opts', options, ...given], { timeoutMs: WAIT_MS });
  await waitFor(() => io.stdout().includes('wrote 1048576/1048576'), WAIT_MS, 'The first write');
  await client.kill('rsiod');
  await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
  expect(io.stdout()).not.toContain('offset 1048576');
  await client.start('rsiod');
  const { code, stdout } = await io.ended;
  expect([code, stdout.match(/(?:wrote|read) 1048576\/1048576/g)?.length]).toEqual([0, 4]);
  expect(stdout).not.toMatch(/failed|verification/);
});

it("the disks for libvirt are valid in libvirt's schema", { timeout: TEST_MS }, async (context) => {
  needTool(context, 'virt-xml-validate', 'libvirt-clients');
  needTool(context, 'xmllint', 'libxml2-utils');
  const disks = [...PAGE.matchAll(/^ {4}<disk [\s\S]*?^ {4}<\/disk>$/gm)].map(([xml]) => xml);
  expect(disks).toHaveLength(2);
  const file = client.file('guest.xml');
  const domain = (inside: string): string =>
    `<domain type='qemu'><name>g</name><memory>1024</memory><os><type arch='x86_64'>hvm</type></os><devices>${inside}</devices></domain>`;
  writeFileSync(file, domain(disks.join('\n')));
  await runWell('virt-xml-validate', [file, 'domain']);
  writeFileSync(file, domain(disks.join('\n').replace("transport='unix'", "transport='none'")));
  expect((await run('virt-xml-validate', [file, 'domain'])).code).not.toBe(0);
});
