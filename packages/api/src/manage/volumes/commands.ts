// The commands of rsadm and rsconfig that change settings of a volume, remove it and bring it back. rssrv decides whether a change is
// permitted, and executes the change. Invariants: each command that changes something sends an id with its request, so that the
// request is never executed twice. Removing a volume needs the person's consent.

import { shownSize } from '@rsio/base/lib/units';
import { type Command, JSON_OPTION, makeCommand, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { JOB, REMOVED, SNAPSHOT, VOLUME } from '../../views/views.ts';
import { object, orNull, type Shape } from '@rsio/base/lib/shape';
import { escapeControls } from '@rsio/base/lib/printable';
import { formatTime } from '@rsio/base/log/log-line';
import { poolsText, volumeDetails } from '../../views/server-tables.ts';
import { noteUnknownClients } from './create.ts';
import type { VolumeDoor, VolumeProgram, VolumeTarget } from './door.ts';
import { JOB_OPTIONS, restoreFrom } from './images.ts';
import { splitSnapshot } from '../../views/values.ts';

type VolumeCommand = Command<VolumeDoor>;

/** Returns the shape of the JSON that a command about one volume prints. */
export function volumeShape({ place }: VolumeProgram): Shape {
  return object({ ...place, volume: VOLUME });
}

/** Returns the parts that all commands about one volume have in common. */
function volumeCommand(given: VolumeProgram, verb: string) {
  return {
    call: { by: 'words', words: `volume ${verb}` },
    options: { json: JSON_OPTION },
    json: volumeShape(given),
    completes: given.completesVolumes,
  } as const;
}

/** Prints the answer of rssrv as JSON, or prints `text`. */
function print(door: VolumeDoor, json: boolean, { place }: Pick<VolumeTarget, 'place'>, answer: object, text: string): undefined {
  if (json) return printJson(door, { ...place, ...answer });
  door.out(text);
  return undefined;
}

export function setCommand(given: VolumeProgram): VolumeCommand {
  return makeCommand(given.program, {
    ...volumeCommand(given, 'set'),
    synopsis: 'volume set NAME KEY=VALUE...',
    summary: 'changes settings of a volume',
    details: `The keys readonly, shared, clients, take-over, take-over-force and same-content
have the same meaning as in a section [volume] of rssrvcfg(5). The key managers
names clients that may change the volume like the client that has created it, or
yes or no for all or none. The key snapshots is the schedule by which the server
makes snapshots, such as "snapshots=hourly keep 24, daily keep 7". A rule is
hourly, daily, weekly, monthly, yearly or every TIME, such as every 15m, with
keep and the number of snapshots to keep. Each rule has its own snapshots.
Periods are in UTC, months and years are those of the calendar, and weeks begin
on Mondays. The server makes the first snapshot at once. The name of a snapshot
contains the rule and the time, such as hourly-20261122T1000Z. If the server was
down or a snapshot failed, the server later makes only the snapshot of the
current period. The server removes the oldest snapshots of each rule, but never
a snapshot that a command made or that a client has attached. If a rule is
dropped, its snapshots are kept. snapshots=none ends the schedule. The keys
iops, bandwidth and burst limit the I/O of the volume, as in "iops=500
bandwidth=50m burst=2s"; off removes a limit. Limits take effect at once, even
during I/O, and need the right admin.`,
    operands: { min: 2, max: 12 },
    run: async (door: VolumeDoor, { json }, [name = '', ...settings]) => {
      const target = await door.find(name, 'change');
      const answer = await target.call('volume-set', { ...target.volume, settings, request: door.newId() });
      if (settings.some((setting) => setting.startsWith('clients='))) await noteUnknownClients(door, target, answer.volume);
      return print(door, json, target, answer, volumeDetails(answer.volume, target.label(answer.volume), target.server));
    },
  });
}

export function removeCommand(given: VolumeProgram): VolumeCommand {
  return makeCommand(given.program, {
    ...volumeCommand(given, 'remove'),
    synopsis: 'volume remove NAME[@SNAPSHOT] [--yes]',
    summary: 'removes a volume that no client holds, or a snapshot',
    details: `A removed volume is kept for a day. Until then, ${given.program} volume restore brings
it back with its content and its snapshots. A snapshot is removed for good, even
while clients use the volume. The command asks for confirmation; without a
terminal, it needs --yes.`,
    options: { yes: { kind: 'flag', help: 'do not ask' }, json: JSON_OPTION },
    json: object({
      ...given.place,
      removed: orNull(REMOVED, 'null: a snapshot was removed'),
      volume: orNull(VOLUME, 'Volume of the removed snapshot; null: the volume was removed'),
    }),
    operands: { min: 1, max: 1 },
    run: async (door: VolumeDoor, { yes, json }, [name = '']) => {
      if (!yes && door.ask === null) throw usageError('Removing needs consent: give --yes', given.program);
      const { volume, snapshot } = splitSnapshot(name, given.program);
      const target = await door.find(volume, snapshot === null ? 'remove' : 'change');
      if (!yes && !(await consents(door, target, snapshot))) {
        door.note('Nothing was removed');
        return 1;
      }
      if (snapshot !== null) return removeSnapshot(door, target, snapshot, json);
      const answer = await target.call('volume-remove', { ...target.volume, request: door.newId() });
      const until = formatTime(answer.removed.untilMs);
      const text = `${target.label(target.volume)} removed; until ${until}, ${given.program} volume restore ${name} brings it back`;
      return print(door, json, target, { ...answer, volume: null }, toText([text]));
    },
  });
}

async function removeSnapshot(door: VolumeDoor, target: VolumeTarget, snapshot: string, json: boolean): Promise<undefined> {
  const answer = await target.call('volume-snapshot-remove', { ...target.volume, snapshot, request: door.newId() });
  const text = toText([`${target.label(answer.volume)}@${snapshot} removed`]);
  return print(door, json, target, { removed: null, ...answer }, text);
}

export function restoreCommand(given: VolumeProgram): VolumeCommand {
  return makeCommand(given.program, {
    ...volumeCommand(given, 'restore'),
    synopsis: 'volume restore NAME [--from N] [--limit RATE]\n[--wait[=T] | --background]',
    summary: 'brings back a removed volume, or the content of an image',
    details: `Without --from, the command brings back a removed volume with its content and
its snapshots. With --from, the volume gets the content of its image in universe
N; no client may hold the volume. The current content becomes a snapshot whose
name begins with before-restore, so that nothing is lost. The volume keeps its
size: if it has grown since the image was refreshed, the added part becomes
zeros. If the image is in another pool, a job copies what differs, and the
volume keeps its current content until the job ends. The command waits for the
job; with --background, it does not. Without a job, the options for jobs have no
effect. To write a backup to a volume, use rsconfig restore FILE NAME.`,
    options: { from: { kind: 'text', value: 'N', help: 'universe of the image' }, ...JOB_OPTIONS },
    json: object({
      ...given.place,
      volume: orNull(VOLUME, 'null: a job restores it'),
      kept: orNull(SNAPSHOT, 'The content before; null: a removed volume was brought back, or a job restores the volume'),
      job: orNull(JOB, 'Restores the volume from another pool; null: it is restored'),
    }),
    operands: { min: 1, max: 1 },
    completes: given.completesRemoved,
    run: async (door: VolumeDoor, { from, json, ...options }, [name = '']) => {
      if (from !== null) return restoreFrom(door, name, from, { ...options, json }, given);
      const { call, volume, ...target } = await door.findRemoved(name);
      const answer = await call('volume-restore', { ...volume, request: door.newId() });
      const text = `${target.label(answer.volume)} restored in pool ${poolsText(answer.volume)}${target.ofServer}`;
      return print(door, json, target, { ...answer, kept: null, job: null }, toText([text]));
    },
  });
}

async function consents({ ask }: VolumeDoor, target: VolumeTarget, snapshot: string | null): Promise<boolean> {
  const { label, ofServer } = target;
  const { volume } = await target.call('volume-show', target.volume);
  const what =
    snapshot === null
      ? `Remove volume ${label(volume)}, ${shownSize(volume.sizeBytes)}, from pool ${poolsText(volume)}${ofServer}`
      : `Remove snapshot ${label(volume)}@${snapshot} for good`;
  const question = `${what}? [y/N] `;
  const answer = await ask?.(escapeControls(question));
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}
