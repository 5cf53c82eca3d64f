// The orders of the administrator's year. Each one does what an administrator does, says what doctor must name meanwhile, and ends with
// everything in place again. Invariant: an order that could lose the writes of a running program ends these writes first.

import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NbdIo } from '../support/io/nbd-io.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import type { Year } from './year.ts';
import { CLIENT, other, type Place, POOLS, SERVERS } from './year-site.ts';

export interface YearOrder {
  readonly name: string;
  /** How often the order is chosen, in relation to the others. */
  readonly weight: number;
  readonly isPossible?: (year: Year) => boolean;
  run(year: Year): Promise<void>;
}

const [WAIT_MS, QUIET_MS, CLOCK_STEPS_S] = [60_000, 1_500, [7_200, -3_600, 40 * 86_400, -86_400]];
const PLACES: readonly Place[] = [0, 1];

export const YEAR_ORDERS: readonly YearOrder[] = [
  {
    name: 'rename a volume',
    weight: 3,
    run: async (year) => {
      const volume = year.random.pick([...year.plain, year.replicated]);
      const name = year.newName('n');
      await year.whileDetached(volume, async () => {
        const at = volume.kind === 'replicated' ? year.source : 0;
        await renamed(year, at, volume.name, name);
        volume.name = name;
      });
      await year.compare(name, volume.contents);
    },
  },
  {
    name: 'rename a follower',
    weight: 1,
    run: async (year) => {
      const [view] = (await year.site.replications(other(year.source))).filter(({ direction }) => direction === 'in');
      const follower = view?.volumes[0];
      if (follower === undefined) throw new Error('There is no follower');
      const name = year.newName('f');
      await renamed(year, other(year.source), follower.name, name);
    },
  },
  {
    name: 'snapshot, clone, roll back',
    weight: 3,
    run: async (year) => {
      const volume = year.random.pick(year.plain);
      const [snapshot, clone] = [year.newName('s'), year.newName('c')];
      await year.still(volume);
      await year.site.order('volume', 'snapshot', `${volume.name}@${snapshot}`);
      const kept = volume.contents.copy();
      await year.site.order('volume', 'clone', `${volume.name}@${snapshot}`, clone);
      await year.compareOnce(clone, kept.copy());
      await year.site.order('volume', 'remove', clone, '--yes');
      await year.whileDetached(volume, async () => void (await year.site.order('volume', 'rollback', `${volume.name}@${snapshot}`)));
      volume.contents = kept;
      await year.site.order('volume', 'remove', `${volume.name}@${snapshot}`, '--yes');
    },
  },
  {
    name: 'back up and restore',
    weight: 2,
    run: async (year) => {
      const volume = year.random.pick(year.plain);
      const snapshot = year.newName('b');
      await year.still(volume);
      await year.site.order('volume', 'snapshot', `${volume.name}@${snapshot}`);
      const kept = volume.contents.copy();
      await year.site.order('backup', `${volume.name}@${snapshot}`, year.site.backups, '--verify');
      const file = path.join(year.site.backups, `${volume.name}@${snapshot}.qcow2`);
      await year.whileDetached(volume, async () => void (await year.site.order('restore', file, volume.name, '--yes', '--verify')));
      volume.contents = kept;
      await year.site.order('volume', 'remove', `${volume.name}@${snapshot}`, '--yes');
      rmSync(file);
    },
  },
  {
    name: 'new key of the client',
    weight: 2,
    run: async (year) => {
      const { site, random } = year;
      const file = site.client.file('newkey');
      writeFileSync(file, await site.adm(0, 'client', 'rekey', CLIENT), { mode: 0o600 });
      const later = random.pick([null, 1, 2]);
      const give = async (index: number): Promise<void> => void (await site.adm(index, 'client', 'rekey', CLIENT, '--key-file', file));
      for (const index of [1, 2]) if (index !== later) await give(index);
      if (later !== null) {
        // The administrator forgot one server.
        await year.doctorSays([new RegExp(`server ${SERVERS[later]!}`)], [/It has a new key for node/]);
        const early = await site.tryOrder('namespace', 'set', 'osl', '--nodekey-file', file, '--reload');
        if (early.code === 0) throw new Error(`The key was taken although ${SERVERS[later]} does not know it`);
        await give(later);
      }
      await site.order('namespace', 'set', 'osl', '--nodekey-file', file, '--reload');
      for (const [index] of SERVERS.entries()) {
        await site.adm(index, 'client', 'kick', CLIENT);
        const isNew = async (): Promise<boolean> => (await site.adm(index, 'client', 'list')).includes('session uses new');
        await waitFor(isNew, WAIT_MS, `The client uses its new key at ${SERVERS[index]}`);
        await site.adm(index, 'client', 'rekey', CLIENT, '--finish');
      }
    },
  },
  {
    name: 'new address of a server',
    weight: 2,
    run: async (year) => {
      const index = year.random.int(0, SERVERS.length - 1);
      const tellClient = await year.site.moveServer(index);
      await year.doctorSays([/^error: path .*: /], [new RegExp(SERVERS[index]!), /mirror/, /server big-9-/]);
      await tellClient();
    },
  },
  {
    name: 'move a volume to the other pool',
    weight: 2,
    run: async (year) => {
      const { name } = year.random.pick(year.plain);
      const { stdout } = await year.site.tryOrder('volume', 'show', name, '--json');
      const { pool } = (JSON.parse(stdout) as { readonly volume: { readonly pool: string | null } }).volume;
      await year.site.order('volume', 'move', name, '--pool', pool === POOLS[0] ? POOLS[1] : POOLS[0], '--wait=2m');
    },
  },
  {
    name: 'replace a replica',
    weight: 2,
    run: async (year) => {
      const server = SERVERS[year.random.int(0, 1)]!;
      const { name } = year.mirror;
      await year.site.order('mirror', 'detach', name, '--server', server, '--volume');
      await year.doctorSays([/mirror/]);
      await year.site.order('mirror', 'add', name, '--server', server);
      await year.untilInSync();
      await year.site.order('mirror', 'verify', name);
      // A restored server would bring the old replica back.
      dropImages(year);
    },
  },
  {
    name: 'drill of the follower',
    weight: 2,
    run: async (year) => {
      const [volume, target] = [year.replicated, other(year.source)];
      await year.still(volume);
      await year.untilFollowed();
      const clone = await followerName(year).then((name) => `${name}-drill`);
      await year.site.adm(target, 'volume', 'promote', await followerName(year), '--drill');
      await year.site.adm(target, 'volume', 'allow', clone, CLIENT);
      await year.compareOnce(clone, volume.contents.copy());
      await year.site.adm(target, 'volume', 'remove', clone, '--yes');
    },
  },
  {
    name: 'reverse',
    weight: 2,
    run: async (year) => {
      const [volume, target] = [year.replicated, other(year.source)];
      const name = await followerName(year);
      await year.still(volume);
      await year.site.order('-d', volume.name);
      await year.site.adm(target, 'volume', 'reverse', name);
      await reversed(year, target);
      await year.site.adm(target, 'volume', 'allow', name, CLIENT);
      volume.name = name;
      await year.replicate();
      await year.attach(volume);
      await year.compare(volume.name, volume.contents);
      dropImages(year);
    },
  },
  {
    name: 'loss of the source, promote, demote',
    weight: 2,
    run: async (year) => {
      const { site, replicated: volume } = year;
      const [old, target] = [year.source, other(year.source)];
      const name = await followerName(year);
      await year.still(volume);
      await year.untilFollowed();
      await site.killServer(old);
      await site.adm(target, 'volume', 'promote', name);
      for (const one of [CLIENT, SERVERS[old]]) await site.adm(target, 'volume', 'allow', name, one);
      // The old source comes back, and this client still has its volume there.
      const former = volume.name;
      await site.startServer(old);
      await site.client.pathsUp(SERVERS.length, WAIT_MS);
      await site.order('-d', former);
      year.source = target;
      volume.name = name;
      await year.replicate();
      await demoted(year, old, former);
      await year.attach(volume);
      await year.compare(volume.name, volume.contents);
      dropImages(year);
    },
  },
  {
    name: 'image of a server',
    weight: 2,
    isPossible: ({ images }) => images.size === 0,
    run: async (year) => {
      const place = other(year.source);
      // Plain volumes live at one server only, and would be set back.
      if (place === 0) return;
      year.images.set(place, await year.site.takeImage(place));
    },
  },
  {
    name: 'restore a server from its old image',
    weight: 4,
    isPossible: ({ images }) => images.size > 0,
    run: async (year) => {
      const [[place, image] = []] = [...year.images];
      if (place === undefined || image === undefined) throw new Error('There is no image');
      await year.site.setBack(place, image);
      await followed(year, place);
      dropImages(year);
    },
  },
  {
    name: 'step of a clock',
    weight: 3,
    run: async (year) => {
      const index = year.random.int(0, SERVERS.length - 1);
      year.site.setClock(index, year.random.pick(CLOCK_STEPS_S));
      await sleep(year.random.int(QUIET_MS, 3 * QUIET_MS));
      await year.doctorSays([/clock/], [/moment|replicat|follow/]);
      year.site.setClock(index, 0);
      await sleep(QUIET_MS);
    },
  },
  {
    name: 'clone of the client machine',
    weight: 2,
    run: async (year) => {
      const clone = year.site.clonedClient();
      const { code, stderr } = await clone.tryStart('rsiod');
      if (code === 0) {
        await sleep(2 * QUIET_MS);
        for (const { name } of year.volumes()) {
          const isOpen = await NbdIo.open(clone.rsiodPaths.nbdSocket, `osl/${name}`).then(
            (nbd) => (nbd.close(), true),
            () => false,
          );
          if (isOpen) throw new Error(`The copy of the client has attached ${name}`);
        }
        await clone.stop('rsiod');
      } else if (stderr === '') throw new Error('The copy of the client does not start, and says nothing');
      await clone.clean();
      for (const { name } of year.volumes()) await year.site.untilAttached(name);
    },
  },
  {
    name: 'another release at a server',
    weight: 2,
    run: async (year) => {
      const index = year.random.int(0, SERVERS.length - 1);
      year.site.chooseBuild(index);
      await year.site.restartServer(index, 'stopped');
      await year.site.client.pathsUp(SERVERS.length, WAIT_MS);
      await year.doctorSays([/version|release/], [/mirror/]);
      year.site.chooseBuild(index);
      await year.site.restartServer(index, 'stopped');
    },
  },
  {
    name: 'restart of the client',
    weight: 2,
    run: async (year) => {
      const isKilled = year.random.chance(0.5);
      await year.quiet();
      if (isKilled) await year.site.client.kill('rsiod');
      else await year.site.client.stop('rsiod');
      await year.site.startClient();
    },
  },
  {
    name: 'kill of the client under writes',
    weight: 1,
    run: async (year) => {
      await year.site.client.kill('rsiod');
      await year.site.startClient();
      await year.quiet(true);
    },
  },
  {
    name: 'kill of a server',
    weight: 2,
    run: async (year) => {
      await year.site.restartServer(year.random.int(0, SERVERS.length - 1), year.random.pick(['stopped', 'killed']));
    },
  },
  {
    name: 'a server is off for a while',
    weight: 2,
    run: async (year) => {
      const index = year.random.int(0, SERVERS.length - 1);
      await year.site.killServer(index);
      await year.doctorSays([/^error: path .*: /], [new RegExp(SERVERS[index]!), /mirror/, /volume/, /server big-9-/]);
      await year.site.startServer(index);
    },
  },
  {
    name: 'full disk',
    weight: 2,
    run: async (year) => {
      const place = year.random.pick(PLACES);
      const pool = year.random.pick(POOLS);
      const filler = await year.site.fill(place, pool);
      await sleep(QUIET_MS);
      await year.doctorSays([new RegExp(`pool ${pool} of ${SERVERS[place]}: .* free`)], [/mirror|replica|space|replication/]);
      rmSync(filler);
      await year.quiet(false, /space|ENOSPC/i);
    },
  },
  {
    name: 'orders that must be refused',
    weight: 2,
    run: async (year) => {
      const { site } = year;
      const [volume] = year.plain;
      const refused = async (index: number, ...args: readonly string[]): Promise<void> => {
        const { code, stderr } = await site.servers[index]!.rsadm(...args);
        if (code === 0 || !/E_[A-Z_]+/.test(stderr)) throw new Error(`rsadm ${args.join(' ')} ends with ${code}: ${stderr}`);
      };
      await refused(0, 'client', 'remove', CLIENT);
      await refused(0, 'pool', 'remove', POOLS[0]);
      await refused(0, 'volume', 'remove', volume!.name, '--yes');
      await refused(year.source, 'volume', 'remove', year.replicated.name, '--yes');
      await refused(other(year.source), 'volume', 'remove', await followerName(year), '--yes');
      await refused(0, 'volume', 'rename', volume!.name, 'all');
    },
  },
];

async function followerName(year: Year): Promise<string> {
  const views = await year.site.replications(other(year.source));
  const volume = views.find(({ direction, state }) => direction === 'in' && state !== 'promoted')?.volumes[0];
  if (volume === undefined) throw new Error(`There is no follower: ${JSON.stringify(views)}`);
  return volume.name;
}

/** Renames a volume. While a replication copies a moment of it, the order is refused. */
async function renamed(year: Year, at: Place, name: string, to: string): Promise<void> {
  let said = '';
  const isDone = async (): Promise<boolean> => {
    const { code, stderr } = await year.site.servers[at]!.rsadm('volume', 'rename', name, to);
    said = stderr;
    if (code !== 0 && !stderr.includes('wait if a replication copies it')) throw new Error(`volume rename ${name} ${to}: ${stderr}`);
    return code === 0;
  };
  await waitFor(isDone, WAIT_MS, 'rename').catch((error: Error) => {
    throw new Error(`${error.message}: ${said}`);
  });
}

/** Waits until a server is the source after `reverse`. */
async function reversed(year: Year, target: Place): Promise<void> {
  const isSource = async (): Promise<boolean> =>
    (await year.site.replications(target)).some(({ direction, state }) => direction === 'out' && state !== 'closed');
  await waitFor(isSource, WAIT_MS, `${SERVERS[target]} is the source`);
  year.source = target;
}

/** The old source follows. The order is repeated until the new source has told it that it may. */
async function demoted(year: Year, old: Place, name: string): Promise<void> {
  let said = '';
  const isDone = async (): Promise<boolean> => {
    const { code, stderr } = await year.site.servers[old]!.rsadm('volume', 'demote', name, '--for', SERVERS[other(old)], '--yes');
    said = stderr;
    const allow = /volume allow (\S+) (\S+)/.exec(stderr);
    if (allow !== null) await year.site.adm(other(old), 'volume', 'allow', allow[1]!, allow[2]!);
    return code === 0;
  };
  await waitFor(isDone, WAIT_MS, 'demote').catch((error: Error) => {
    throw new Error(`${error.message}: ${said}`);
  });
}

/** Gives the orders that a restored server and doctor name, until it follows again and its replica is in sync. */
async function followed(year: Year, place: Place): Promise<void> {
  const { site } = year;
  const orders: string[] = [];
  let refusal = '';
  const isWell = async (): Promise<boolean> => {
    const { code, stdout } = await site.tryOrder('doctor', '--json');
    if (code !== 0 && code !== 1) return false;
    const views = await site.replications(place);
    const said = [refusal, ...views.map(({ text }) => text), stdout].join('\n');
    // A refusal names the next order.
    const given = async (order: string, action: () => Promise<unknown>): Promise<false> => {
      orders.push(order);
      refusal = '';
      await action().catch((error: Error) => {
        refusal = error.message;
      });
      return false;
    };
    const [, same, setting] = /volume set (\S+) (same-content=[\w.]+)/.exec(said) ?? [];
    if (same !== undefined && setting !== undefined)
      return given(`volume set ${same} ${setting}`, () => site.adm(place, 'volume', 'set', same, setting));
    const [detach, label, volume] =
      /rsconfig mirror detach (\S+) --server [\w-]+, then on [\w-]+ rsadm volume split (\S+)/.exec(stdout) ?? [];
    if (detach !== undefined && label !== undefined && volume !== undefined)
      return given(detach, async () => {
        // It says that the volume is left, which its server does not serve.
        await site.tryOrder('mirror', 'detach', label, '--server', SERVERS[place]);
        await site.adm(place, 'volume', 'split', volume);
        await site.adm(place, 'volume', 'remove', volume, '--yes');
        await site.order('mirror', 'add', label, '--server', SERVERS[place]);
      });
    const [, name] = /rsadm volume promote (\S+) keeps the content of this server/.exec(said) ?? [];
    if (name !== undefined)
      return given(`volume promote ${name}`, async () => {
        await site.adm(place, 'volume', 'promote', name);
        await demoted(year, place, name);
      });
    return views.every(({ state }) => state === 'waiting' || state === 'copying') && (await year.isInSync());
  };
  await waitFor(isWell, WAIT_MS, 'The restored server goes on').catch((error: Error) => {
    throw new Error(`${error.message}: ${orders.join('; ')} ${refusal}`);
  });
  if (orders.length > 0) year.say(`  ${orders.join('; ')}`);
}

function dropImages(year: Year): void {
  for (const [place, image] of year.images) year.site.dropImage(place, image);
  year.images.clear();
}
