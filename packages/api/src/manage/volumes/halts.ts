// The commands of rsadm and rsconfig that pause and stop volumes. rssrv decides whether the request is permitted. Invariant: a wrong time
// is refused before the command sends anything.

import { type Command, JSON_OPTION, makeCommand, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { PAUSE_MAX_MS, PAUSE_MIN_MS, PAUSE_MS } from '@rsio/common/control/limits';
import type { ManagedVolumeView } from '../../rssrv/views.ts';
import { parseDuration, printDuration, quoteText } from '@rsio/common/lib/units';
import { haltText } from '../server-tables.ts';
import type { VolumeDoor, VolumeProgram } from './door.ts';
import { volumeShape } from './commands.ts';

type HaltCommand = Command<VolumeDoor>;

export interface HaltCommands {
  readonly pause: HaltCommand;
  readonly resume: HaltCommand;
  readonly stop: HaltCommand;
  readonly start: HaltCommand;
}

export function haltCommands(program: VolumeProgram): HaltCommands {
  return {
    pause: pauseCommand(program),
    resume: plainCommand(program, 'resume', 'lets I/O continue after volume pause', ''),
    stop: plainCommand(
      program,
      'stop',
      'refuses all I/O of a volume',
      `I/O fails on the clients until volume start, even after a restart of the server
or a reload. Data that was written before is kept, and can still be flushed.`,
    ),
    start: plainCommand(program, 'start', 'permits I/O again after volume stop', ''),
  };
}

function pauseCommand(given: VolumeProgram): HaltCommand {
  return makeCommand(given.program, {
    call: { by: 'words', words: 'volume pause' },
    synopsis: 'volume pause NAME [--for TIME]',
    summary: 'makes all I/O of a volume wait',
    details: `Programs on the clients wait until volume resume or until TIME is over, from
${printDuration(PAUSE_MIN_MS)} to ${printDuration(PAUSE_MAX_MS)}; the default is ${printDuration(PAUSE_MS)}. I/O in progress completes, and flushes do not
wait. A restart of the server ends the pause; a reload does not.`,
    options: { for: { kind: 'text', value: 'TIME', help: 'end the pause after TIME, such as 2m' }, json: JSON_OPTION },
    json: volumeShape(given),
    operands: { min: 1, max: 1 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { for: time, json }, [name = '']) => {
      const forMs = time === null ? PAUSE_MS : timeOf(time, given.program);
      const { call, volume, label, place } = await door.find(name, 'change');
      const answer = await call('volume-pause', { ...volume, forMs });
      return print(door, json, place, label, answer.volume);
    },
  });
}

function plainCommand(given: VolumeProgram, verb: 'resume' | 'stop' | 'start', summary: string, details: string): HaltCommand {
  return makeCommand(given.program, {
    call: { by: 'words', words: `volume ${verb}` },
    synopsis: `volume ${verb} NAME`,
    summary,
    ...(details === '' ? {} : { details }),
    options: { json: JSON_OPTION },
    json: volumeShape(given),
    operands: { min: 1, max: 1 },
    completes: given.completesVolumes,
    run: async (door: VolumeDoor, { json }, [name = '']) => {
      const { call, volume, label, place } = await door.find(name, 'change');
      const answer = await call(`volume-${verb}`, volume);
      return print(door, json, place, label, answer.volume);
    },
  });
}

function print(
  door: VolumeDoor,
  json: boolean,
  place: object,
  label: (volume: ManagedVolumeView) => string,
  volume: ManagedVolumeView,
): undefined {
  if (json) printJson(door, { ...place, volume });
  else door.out(toText([`${label(volume)} is ${haltText(volume) ?? 'served'}`]));
  return undefined;
}

function timeOf(text: string, program: string): number {
  const allowed = `${printDuration(PAUSE_MIN_MS)} to ${printDuration(PAUSE_MAX_MS)}, such as 30s or 2m`;
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch {
    ms = -1;
  }
  if (ms >= PAUSE_MIN_MS && ms <= PAUSE_MAX_MS) return ms;
  throw usageError(`Wrong --for ${quoteText(text)}: allowed is ${allowed}`, program);
}
