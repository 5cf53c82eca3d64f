// The command of rsadm and rsconfig that promotes followers, or makes clones of them for a drill. rssrv decides whether this is permitted.
// Invariant: the command sends an id with its request, so that the request is never executed twice.

import { type Command, JSON_OPTION, makeCommand, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { type ReplicationView, VOLUME } from '../../views/views.ts';
import { escapeControls } from '@rsio/base/lib/printable';
import { nameInUniverse } from '@rsio/base/lib/volume-name';
import { list, number, object, orNull } from '@rsio/base/lib/shape';
import { momentAge, pastTime } from '../../views/server-tables.ts';
import { sleep } from '@rsio/base/lib/waiting';
import { SOURCE_LOOK_EVERY_MS, SOURCE_LOOK_MS } from './limits.ts';
import { sameServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';

const DRILL_SUFFIX = '-drill';

export function promoteCommand(given: VolumeProgram): Command<VolumeDoor> {
  const { program } = given;
  return makeCommand(program, {
    call: { by: 'words', words: 'volume promote' },
    synopsis: 'volume promote NAME... [--from SNAPSHOT] [--yes]\nvolume promote NAME... --drill [--suffix SUFFIX]',
    summary: 'makes followers usable, for good or for a drill',
    details: `After a disaster, the command makes followers ordinary volumes. All volumes of a
replication must be named, and get the newest moment that all of them have. What
was written at the source after that moment is not in them. The replication ends
here. volume allow NAME CLIENT then lets a client attach a volume. With --from,
they get the content of another snapshot that each of them has, for example
before-demotion-..., which a demotion has kept. While the source is connected
and the replication works, the command asks, because both servers would then
have the volumes, with different content; volume reverse loses nothing. Without
a terminal, it needs --yes.

With --drill, the followers go on. The command makes clones of them at that
moment, named with SUFFIX at the end, by default ${DRILL_SUFFIX}. Remove the clones with
volume remove.`,
    options: {
      from: { kind: 'text', value: 'SNAPSHOT', help: 'take the content of this snapshot in place of the newest\nmoment' },
      drill: { kind: 'flag', help: 'make clones; the followers go on' },
      yes: { kind: 'flag', help: 'do not ask' },
      suffix: { kind: 'text', value: 'SUFFIX', help: `end of the names of the clones; default: ${DRILL_SUFFIX}` },
      json: JSON_OPTION,
    },
    json: object({
      ...given.place,
      volumes: list(VOLUME),
      momentMs: number('Moment of their content, by the clock of the source'),
      ageMs: orNull(number('Age of that moment'), 'null: a drill'),
    }),
    operands: { min: 1, max: Number.POSITIVE_INFINITY },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { from, drill, suffix, yes, json }, names) => {
      if (drill && from !== null) throw usageError('Both --drill and --from are given: give one of them', program);
      if (!drill && suffix !== null) throw usageError('--suffix is given without --drill', program);
      const found: VolumeTarget[] = [];
      for (const name of names) found.push(await door.find(name, 'change'));
      const target = sameServer(found, 'followers of one replication', program);
      const volumes = found.map(({ volume }) => volume);
      if (!drill && !yes && !(await consents(door, target, volumes, program))) {
        door.note('Nothing was changed');
        return 1;
      }
      const request = door.newId();
      const answer = drill
        ? { ...(await target.call('volume-drill', { volumes, suffix: suffix ?? DRILL_SUFFIX, request })), ageMs: null }
        : await target.call('volume-promote', { volumes, from, request });
      if (json) return printJson(door, { ...target.place, ...answer });
      const labels = answer.volumes.map((volume) => target.label(volume)).join(', ');
      const moment = pastTime(answer.momentMs, door.clock.wallMs());
      door.out(
        toText([
          answer.ageMs === null
            ? `${labels} made for a drill, with the content of ${moment}`
            : `${labels} promoted, with the content of ${moment}, ${momentAge(answer.ageMs)} old`,
        ]),
      );
      const closed = answer.volumes.filter(({ clients }) => clients?.length === 0);
      if (closed.length > 0)
        door.note(`No client may attach ${closed.map((volume) => target.label(volume)).join(', ')} yet: volume allow NAME CLIENT lets one`);
      return undefined;
    },
  });
}

type Volumes = readonly VolumeTarget['volume'][];

/** States in which the source is connected, so that it can hand its volumes over. */
const WORKING: readonly ReplicationView['state'][] = ['waiting', 'copying'];

/**
 * Asks before a promotion that splits a replication that works. Throws E_USAGE without a terminal, after the time in which a source that has
 * just failed still counts as connected: a script that goes on after a disaster needs no --yes.
 */
async function consents(door: VolumeDoor, target: VolumeTarget, volumes: Volumes, program: string): Promise<boolean> {
  const { ask, clock } = door;
  let working = await workingOf(target, volumes);
  const endMs = clock.monotonicMs() + SOURCE_LOOK_MS;
  while (ask === null && working !== undefined && clock.monotonicMs() < endMs) {
    await sleep(clock, SOURCE_LOOK_EVERY_MS);
    working = await workingOf(target, volumes);
  }
  if (working === undefined) return true;
  const labels = volumes.map((volume) => target.label(volume)).join(', ');
  const connected = `Server ${escapeControls(working.peer)}, which has the source of ${labels}, is connected`;
  const reverse = `rsadm volume reverse ${volumes.map((one) => (one.universe === 0 ? one.name : nameInUniverse(one))).join(' ')}`;
  if (ask === null)
    throw usageError(
      `${connected}: ${reverse} makes the followers the source without loss; a promotion, which splits the replication, needs --yes`,
      program,
    );
  const answer = await ask(
    `${connected}. A promotion splits the replication: both servers then have the volumes, with different content. ${reverse} loses nothing. Promote all the same? [y/N] `,
  );
  return /^y(es)?$/i.test(answer.trim());
}

/** Returns the replication of these followers if it works; undefined if not. */
async function workingOf(target: VolumeTarget, volumes: Volumes): Promise<ReplicationView | undefined> {
  const { replications } = await target.call('replication-list', {});
  const isOf = ({ volumes: followers }: ReplicationView): boolean =>
    volumes.some(({ name, universe }) => followers.some((one) => one.name === name && one.universe === universe));
  return replications.find((one) => one.direction === 'in' && WORKING.includes(one.state) && isOf(one));
}
