// What the section compares: rssrv plain, with digests and with TLS, and NBD servers plain and with TLS over a pre-shared key. A client of
// rssrv has its own file, because a volume has one writer; an NBD server offers one file to all. The load is the job of encryption.ts.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from '@rsio/test/support/hosts/configs';
import type { Hosts } from '@rsio/test/support/hosts/hosts';
import { freePort } from '../child.ts';
import type { NbdVolume, SharedKey, Target } from '../load/orders.ts';
import { processTree } from '../proc.ts';
import { dataFile } from '../scene.ts';
import { EXPORT, HOST, type NbdCommand, nbdkitCommand, qemuNbdCommand } from '../servers/nbd-commands.ts';
import { startListening } from '../servers/server.ts';
import { missingTool } from '../tools.ts';

const MIB = 1024 * 1024;
/** Size of each file: more than the caches of the processor hold. */
export const VOLUME_BYTES = 64 * MIB;
export const CLIENTS_MAX = 4;
const NAMESPACEID = 200;
const NODEKEY = '0xsecret-of-the-encrypted-bench';
const PSK_BYTES = 32;
/** File name of the key, as QEMU expects it. */
const KEY_FILE = 'keys.psk';
/**
 * Each client of rssrv has its own process, in which V8 compiles for about a second. With a shorter warm-up, this compilation would count
 * as a cost of TLS.
 */
const WARMING_CPU_MS = { rssrv: 1_200, nbd: 200 } as const;

export type VariantId = 'plain' | 'digest' | 'tls' | 'nbdkit' | 'nbdkit-tls' | 'qemu-nbd-tls';

export interface Variant {
  readonly id: VariantId;
  readonly title: string;
  /** CPU time of the server for each client before the load counts. */
  readonly warmingCpuMs: number;
  /** Where this client finds its volume. */
  target(client: number): Target;
  processes(): number[];
}

/** Returns the variants that this machine can run, and the reasons why the other variants are missing. */
export async function startVariants(
  hosts: Hosts,
  parent: string,
  core: number,
): Promise<{ readonly variants: Variant[]; readonly absent: string[] }> {
  const file = dataFile(hosts, parent, VOLUME_BYTES);
  const variants = await rssrvVariants(hosts, parent, core);
  const absent: string[] = [];
  for (const { program, debianPackage, start } of [NBDKIT, QEMU_NBD]) {
    const reason = missingTool(program, debianPackage);
    if (reason !== null) absent.push(`encryption: ${reason}`);
    else variants.push(...(await start(hosts, core, file, { identity: program, psk: randomBytes(PSK_BYTES) })));
  }
  return { variants, absent };
}

/** Starts one rssrv for all variants of RSIO. Each variant has its own nodes and volumes, because a volume has one writer. */
async function rssrvVariants(hosts: Hosts, parent: string, core: number): Promise<Variant[]> {
  const [host, network] = [hosts.host(), await hosts.network(1)];
  const kinds = [
    { id: 'plain', title: 'rssrv, plain' },
    { id: 'digest', title: 'rssrv, digest', protection: 'digest' },
    { id: 'tls', title: 'rssrv, TLS', protection: 'tls' },
  ] as const;
  const names = kinds.flatMap(({ id }) => Array.from({ length: CLIENTS_MAX }, (_unused, client) => `${id}${client}`));
  await startServer(host, network, {
    volumes: Object.fromEntries(names.map((name) => [name, { path: dataFile(hosts, parent, VOLUME_BYTES) }])),
    clients: Object.fromEntries(names.map((name) => [name, NODEKEY])),
  });
  const processes = (): number[] => processTree(host.pid('rssrv'));
  // Processes that start later inherit the cores.
  for (const pid of processes()) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)]);
  const place = { host: network.serverAddresses[0] ?? '', port: network.port };
  return kinds.map((kind) => ({
    ...kind,
    warmingCpuMs: WARMING_CPU_MS.rssrv,
    target: (client) => ({
      ...place,
      volume: {
        kind: 'rsio',
        namespaceid: NAMESPACEID,
        nodes: names.filter((name) => name.startsWith(kind.id)),
        nodekey: NODEKEY,
        volumes: [`${kind.id}${client}`],
        ...('protection' in kind ? { protection: kind.protection } : {}),
      },
    }),
    processes,
  }));
}

interface NbdServer {
  readonly program: string;
  readonly debianPackage: string;
  readonly start: (hosts: Hosts, core: number, file: string, key: SharedKey) => Promise<Variant[]>;
}

async function startNbd(
  hosts: Hosts,
  core: number,
  shown: Pick<Variant, 'id' | 'title'>,
  volume: NbdVolume,
  command: (port: number) => NbdCommand,
): Promise<Variant> {
  const port = await freePort(HOST);
  const child = await startListening(shown.id, core, command(port), HOST, port);
  hosts.onClean(() => child.stop());
  return {
    ...shown,
    warmingCpuMs: WARMING_CPU_MS.nbd,
    target: () => ({ host: HOST, port, volume }),
    processes: () => processTree(child.pid),
  };
}

/** Writes the key into a new folder, in the format that nbdkit and QEMU read, and returns the folder. */
function keyFolder(hosts: Hosts, { identity, psk }: SharedKey): string {
  const folder = hosts.host().root;
  writeFileSync(join(folder, KEY_FILE), `${identity}:${psk.toString('hex')}\n`, { mode: 0o600 });
  return folder;
}

const NBDKIT: NbdServer = {
  program: 'nbdkit',
  debianPackage: 'nbdkit',
  start: async (hosts, core, file, key) => {
    const keys = `--tls-psk=${join(keyFolder(hosts, key), KEY_FILE)}`;
    const plain = (port: number): NbdCommand => nbdkitCommand(file, port);
    const secure = (port: number): NbdCommand => nbdkitCommand(file, port, '--tls=require', keys);
    return [
      await startNbd(hosts, core, { id: 'nbdkit', title: 'nbdkit, plain' }, { kind: 'nbd', export: '' }, plain),
      await startNbd(hosts, core, { id: 'nbdkit-tls', title: 'nbdkit, TLS' }, { kind: 'nbd', export: '', tls: key }, secure),
    ];
  },
};

const QEMU_NBD: NbdServer = {
  program: 'qemu-nbd',
  debianPackage: 'qemu-utils',
  start: async (hosts, core, file, key) => {
    const credentials = `tls-creds-psk,id=tls0,dir=${keyFolder(hosts, key)},endpoint=server`;
    const shown = { id: 'qemu-nbd-tls', title: 'qemu-nbd, TLS' } as const;
    const command = (port: number): NbdCommand => qemuNbdCommand(file, port, '--object', credentials, '--tls-creds', 'tls0');
    return [await startNbd(hosts, core, shown, { kind: 'nbd', export: EXPORT, tls: key }, command)];
  },
};
