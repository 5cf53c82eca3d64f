// The operations of the table: each is tried on a volume, and its result is checked. Invariant: after an operation, the volume has its
// former name, is attached at no client, and has its mark in its first block.

import path from 'node:path';
import { runWell } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import { SERVER_NAME } from '../support/hosts/configs.ts';
import { MATE, MIB, SIZE_MIB, type TableScene, type TableVolume } from './table-scene.ts';

const WAIT_MS = 30_000;
const PEER = 'peer';

export interface Operation {
  readonly title: string;
  readonly before?: (scene: TableScene, volumes: readonly TableVolume[]) => Promise<void>;
  readonly run: (scene: TableScene, volume: TableVolume) => Promise<void>;
  readonly after?: (scene: TableScene, volumes: readonly TableVolume[]) => Promise<void>;
}

/** Backup file for the operation `restore`. */
const backupIn = (scene: TableScene): string => path.join(scene.clients[0].root, 'backups', `${PEER}@r.qcow2`);

function equals(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: ${String(found)}, not ${String(expected)}`);
}

/** The name of the volume without its universe. */
export function plainName(name: string): string {
  return name.split('@')[0] ?? name;
}

async function writes(scene: TableScene, volume: TableVolume, mark: number): Promise<void> {
  if (!volume.isReadonly) await scene.write(volume, mark);
}

async function has(scene: TableScene, name: string, mark: number): Promise<void> {
  equals(`First byte of ${name}`, await scene.markOf(name), mark);
}

/** Makes a new volume with the content of this volume, checks it, and removes it. */
async function makes(scene: TableScene, mark: number, name: string, args: readonly string[]): Promise<void> {
  await scene.command(args);
  await has(scene, name, mark);
  await scene.command(['volume', 'remove', name, '--yes']);
}

export const OPERATIONS: readonly Operation[] = [
  {
    title: 'attach',
    run: async (scene, volume) => {
      await writes(scene, volume, 1);
      await scene.attached(volume.name, async (nbd) => equals('First byte', (await nbd.read(0, 512))[0], volume.mark));
    },
  },
  { title: 'attach read-only', run: (scene, { name, mark }) => has(scene, name, mark) },
  {
    title: 'grow',
    run: (scene, { name }) =>
      scene.attached(name, async () => {
        await scene.command(['volume', 'grow', name, `${SIZE_MIB + 4}m`]);
        const isGrown = (): Promise<boolean> => scene.withExport(name, (nbd) => Promise.resolve(nbd.sizeBytes === (SIZE_MIB + 4) * MIB));
        await waitFor(isGrown, WAIT_MS, `The client sees that ${name} has grown`);
      }),
  },
  {
    title: 'snapshot',
    run: async (scene, volume) => {
      await scene.command(['volume', 'snapshot', `${volume.name}@s`]);
      await writes(scene, volume, 2);
    },
  },
  {
    title: 'snapshot in a group',
    before: async (scene) => void (await scene.command(['volume', 'create', PEER, '--size', '1m', '--pool', 'slow'])),
    run: async (scene, { name }) => {
      await scene.command(['volume', 'snapshot', `${name}@g`, `${PEER}@g`]);
      await scene.command(['volume', 'remove', `${PEER}@g`, '--yes']);
    },
  },
  {
    title: 'roll back',
    run: async (scene, volume) => {
      await scene.command(['volume', 'rollback', `${volume.name}@s`]);
      volume.mark = volume.isReadonly ? 0 : 1;
      await has(scene, volume.name, volume.mark);
    },
  },
  { title: 'clone', run: (scene, { name, mark }) => makes(scene, mark, 'made', ['volume', 'clone', `${name}@s`, 'made']) },
  {
    title: 'image',
    run: (scene, volume) =>
      makes(scene, volume.mark, `${plainName(volume.name)}@3`, ['volume', 'image', volume.name, '--universe', '3', '--wait']),
  },
  {
    title: 'move',
    run: async (scene, { name, mark }) => {
      await scene.command(['volume', 'move', name, '--pool', 'slow', '--wait']);
      await has(scene, name, mark);
    },
  },
  {
    title: 'copy',
    run: (scene, { name, mark }) => makes(scene, mark, 'copied', ['volume', 'copy', name, 'copied', '--pool', 'fast', '--wait']),
  },
  {
    title: 'backup',
    run: async (scene, { name }) => void (await scene.command(['backup', name, path.join(scene.clients[0].root, 'backups', name)])),
  },
  {
    title: 'restore from a backup',
    before: async (scene) => {
      const peer: TableVolume = { name: PEER, isReadonly: false, mark: 0 };
      await scene.write(peer, 9);
      await scene.command(['volume', 'snapshot', `${PEER}@r`]);
      await scene.command(['backup', `${PEER}@r`, path.join(scene.clients[0].root, 'backups')]);
    },
    run: async (scene, volume) => {
      await scene.command(['restore', backupIn(scene), volume.name, '--yes']);
      volume.mark = 9;
      await has(scene, volume.name, volume.mark);
    },
  },
  {
    title: 'rename',
    run: async (scene, { name, mark }) => {
      await scene.command(['volume', 'rename', name, 'other']);
      await has(scene, 'other', mark);
      await scene.command(['volume', 'rename', 'other', name]);
    },
  },
  {
    title: 'remove, bring back',
    run: async (scene, { name, mark }) => {
      await scene.command(['volume', 'remove', name, '--yes']);
      await scene.command(['volume', 'restore', name]);
      await has(scene, name, mark);
    },
  },
  {
    title: 'limits',
    run: async (scene, { name }) => {
      for (const iops of ['5000', 'off']) await scene.command(['volume', 'set', name, `iops=${iops}`]);
    },
  },
  {
    title: 'pause',
    run: (scene, { name, mark }) =>
      scene.attached(name, async (nbd) => {
        await scene.command(['volume', 'pause', name]);
        let isRead = false;
        const reading = nbd.read(0, 512).then((bytes) => {
          isRead = true;
          return bytes[0];
        });
        await scene.command(['volume', 'show', name]);
        equals('Read during the pause', isRead, false);
        await scene.command(['volume', 'resume', name]);
        equals('First byte', await reading, mark);
      }),
  },
  {
    title: 'take over',
    run: async (scene, { name, mark }) => {
      const [, venus] = scene.clients;
      await scene.command(['-a', name]);
      await scene.command(['-a', '--take-over', name], venus);
      equals('First byte', await scene.withExport(name, async (nbd) => (await nbd.read(0, 512))[0], venus), mark);
      await scene.command(['-d', name], venus);
      await scene.command(['-d', '--force', name]).catch(() => undefined);
    },
  },
  {
    title: 'take away from its client',
    run: async (scene, { name, mark }) => {
      const [big2, venus] = scene.clients;
      await scene.command(['volume', 'set', name, 'clients=big-2,venus'], venus);
      await scene.command(['-a', name]);
      await scene.command(['volume', 'revoke', name, 'big-2'], venus);
      const hasLost = async (): Promise<boolean> => (await big2.call('local', {})).attachments.length === 0;
      await waitFor(hasLost, WAIT_MS, `The client has lost ${name}`);
      await scene.command(['-a', '--take-over', name], venus);
      equals('First byte', await scene.withExport(name, async (nbd) => (await nbd.read(0, 512))[0], venus), mark);
      await scene.command(['-d', name], venus);
      await scene.command(['volume', 'set', name, 'clients=all'], venus);
    },
  },
  {
    title: 'fence its client',
    before: async (scene, volumes) => {
      for (const { name } of volumes) await scene.command(['-a', name]);
      await scene.order('client-fence', 'big-2');
    },
    run: async (scene, { name, mark }) => {
      const [, venus] = scene.clients;
      await scene.command(['-a', '--take-over', name], venus);
      equals('First byte', await scene.withExport(name, async (nbd) => (await nbd.read(0, 512))[0], venus), mark);
      await scene.command(['-d', name], venus);
    },
    after: async (scene, volumes) => {
      await scene.order('client-unfence', 'big-2');
      // Waits until this client has learned that it has lost the volume.
      const isFree = async (): Promise<boolean> => {
        for (const { name } of volumes) await scene.command(['-d', name]).catch(() => undefined);
        return (await scene.command(['-l'])) === '';
      };
      await waitFor(isFree, WAIT_MS, 'The client has lost or detached all volumes');
    },
  },
];

/**
 * Follows the advice in all refusals of the table, one after the other. Throws if a refused operation is impossible even after its advice
 * was followed.
 */
export async function followRemedies(scene: TableScene): Promise<void> {
  for (const [name, key, is, was] of [
    ['common', 'shared', 'no', 'yes'],
    ['fixed', 'readonly', 'no', 'yes'],
  ] as const) {
    await scene.command(['volume', 'set', name, `${key}=${is}`]);
    await scene.command(['restore', backupIn(scene), name, '--yes']);
    await scene.command(['volume', 'set', name, `${key}=${was}`]);
    await has(scene, name, 9);
  }
  // The fence has put a replica out of sync. The test therefore waits until the replica is in sync again.
  const isInSync = async (): Promise<boolean> => {
    const { mirrors } = await scene.clients[0].call('mirrors', { namespace: null });
    return mirrors.every(({ replicas }) => replicas.every(({ inSync }) => inSync));
  };
  await scene.attached('mirrored', () => waitFor(isInSync, WAIT_MS, 'both replicas are in sync'));
  await scene.command(['mirror', 'remove', 'mirrored']);
  await scene.command(['volume', 'remove', 'mirrored', '--server', MATE, '--yes']);
  await scene.command(['volume', 'rename', 'mirrored', 'renamed', '--server', SERVER_NAME]);
  const isKnown = async (): Promise<boolean> => / renamed /.test(await scene.command(['-q']));
  await waitFor(isKnown, WAIT_MS, 'The client knows the volume by its new name');
  await scene.command(['mirror', 'add', 'renamed', '--server', MATE]);
  await has(scene, 'renamed', 9);
  await scene.command(['volume', 'move', 'wide', '--from', 'slow', '--pool', 'third', '--wait']);
  await scene.command(['volume', 'copy', 'wide', 'one', '--wait']);
  await makes(scene, 9, 'one@3', ['volume', 'image', 'one', '--universe', '3', '--wait']);
  await scene.command(['volume', 'split', 'base@1']);
  await scene.command(['volume', 'grow', 'base@1', `${SIZE_MIB + 4}m`]);
  await scene.command(['volume', 'create', 'pooled', '--size', `${SIZE_MIB}m`, '--attach']);
  await scene.command(['-a', 'sect']);
  const uris = ['osl/sect', 'osl/pooled'].map((name) => scene.clients[0].nbdUri(name));
  await runWell('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', ...uris], { cwd: scene.clients[0].root });
  await scene.command(['-d', 'sect', 'pooled']);
  await has(scene, 'pooled', 9);
  await scene.command(['volume', 'snapshot', 'pooled@s']);
}
