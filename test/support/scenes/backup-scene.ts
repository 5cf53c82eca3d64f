// A server with a pool on XFS and a client, which all tests of a file share, for backups with qemu's programs. Needs XFS and root; otherwise
// the tests are skipped with a reason. Invariant: contents are read by qemu-img or over NBD, never by the code that makes backups.

import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, type TestContext } from 'vitest';
import { reflinkDisk } from '../devices/reflink-disk.ts';
import { startClient, startServer } from '../hosts/configs.ts';
import type { Host } from '../hosts/host.ts';
import { type Hosts, useHosts } from '../hosts/hosts.ts';
import { NbdIo } from '../io/nbd-io.ts';
import { needTool, runWell } from '../programs/programs.ts';

export const MIB = 1024 * 1024;
export const BLOCK = 4096;
export const TEST_MS = 240_000;
const QEMU_MS = 60_000;

export class BackupScene {
  readonly hosts: Hosts = useHosts('file');
  server!: Host;
  client!: Host;
  private begun: Promise<void> | undefined;

  async begin(context: TestContext): Promise<void> {
    needTool(context, 'qemu-img', 'qemu-utils');
    needTool(context, 'qemu-nbd', 'qemu-utils');
    this.begun ??= this.start(context);
    await this.begun;
  }

  private async start(context: TestContext): Promise<void> {
    const { hosts } = this;
    const [server, client] = [hosts.host(), hosts.host()];
    const network = await hosts.network(2);
    const pool = path.join(reflinkDisk(hosts, server, context), 'pool');
    mkdirSync(pool);
    await startServer(server, network, { volumes: {}, rights: { 'big-2': 'manage' } });
    await server.rsadmWell('pool', 'add', 'fast', pool, '--reserve', '0%');
    await startClient(client, network);
    [this.server, this.client] = [server, client];
  }

  /** Creates and attaches a volume, and opens its export. */
  async volume(name: string, sizeMib: number): Promise<NbdIo> {
    await this.server.rsadmWell('volume', 'create', name, '--size', `${sizeMib}m`);
    await this.client.rsconfigWell('-a', name);
    return this.open(name);
  }

  /** Runs rsconfig, which must fail, and returns its errors. */
  async refused(...args: readonly string[]): Promise<string> {
    const { code, stderr } = await this.client.rsconfig(...args);
    expect(code, stderr).not.toBe(0);
    return stderr;
  }

  /** Opens the export of an attached volume or snapshot. */
  async open(name: string, client = this.client): Promise<NbdIo> {
    const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, `osl/${name}`);
    this.hosts.onClean(() => nbd.close());
    return nbd;
  }
}

/** Gives all tests of the file one scene. Each test has its own volumes. */
export function useBackupScene(): BackupScene {
  const scene = new BackupScene();
  beforeEach((context) => scene.begin(context), TEST_MS);
  return scene;
}

/** Reads the whole volume over NBD. */
export async function contentOf(nbd: NbdIo, sizeMib: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < sizeMib; at++) pieces.push(await nbd.read(at * MIB, MIB));
  return Buffer.concat(pieces);
}

/** Reads a backup with its chain, or an export. `args`: those of `qemu-img convert`. */
export async function qemuContent(host: Host, ...args: readonly string[]): Promise<Buffer> {
  const out = host.file('out');
  await runWell('qemu-img', ['convert', '-O', 'raw', ...args, out], { cwd: host.root, timeoutMs: QEMU_MS });
  return readFileSync(out);
}
