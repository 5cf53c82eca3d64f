// Makes the commands of rsadm and rsconfig from the entries of rssrv's methods (rssrv/method-command.ts). Invariant: a command whose
// repetition gets the first answer sends an id with its request.

import { type Command, usageError } from '@rsio/common/cli/command';
import { quoteText } from '@rsio/base/lib/units';
import type { CommandScene, StoredCommand } from '../../rssrv/method-command.ts';
import type { ServerMethod } from '../../rssrv/server-method.ts';
import { SERVER_METHODS, type ServerMethodName } from '../../rssrv/server-methods.ts';
import { splitSnapshot } from '../../views/values.ts';
import { type Answered, derivedFrom, firstColumnOf, ownCommand, type Typed } from '../derived.ts';
import { onlyServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';

type Given = Readonly<Record<string, unknown>>;

const FIRST = { volume: 'NAME', snapshot: 'NAME@SNAPSHOT', server: null } as const;

/** The command of a method; null if none follows from its entry. */
export function derivedCommand(given: VolumeProgram, name: ServerMethodName): Command<VolumeDoor> | null {
  const method: ServerMethod = SERVER_METHODS[name];
  const command = ownCommand(method.command);
  if (command === null) return null;
  const { about, first = FIRST[about], completes } = command;
  return derivedFrom<VolumeDoor, CommandScene>(given.program, method, command, {
    words: command.words.replace(/^jobs/, given.jobs),
    first,
    completes: completes !== undefined ? firstColumnOf(completes) : about === 'server' ? undefined : given.completesVolumes,
    options: {},
    place: given.place,
    ask: (door, typed) => execute(given, name, command, door, typed),
  });
}

async function execute(
  { program }: VolumeProgram,
  method: ServerMethodName,
  command: StoredCommand,
  door: VolumeDoor,
  { name, params, unread }: Typed<CommandScene>,
): Promise<Answered<CommandScene>> {
  const { about, purpose = 'change' } = command;
  const { volume, snapshot } = about === 'snapshot' ? snapshotIn(name, program) : { volume: name, snapshot: '' };
  const target = about === 'server' ? await onlyServer(door, program, method) : await door.find(volume, purpose);
  const { configFile, clock } = door;
  const scene: CommandScene = { ...target, program, configFile, typed: name, snapshot, nowMs: clock.wallMs() };
  const asked = { ...firstParams(command, method, target, snapshot), ...params };
  for (const { text, volume: of } of unread) Object.assign(asked, of(target.parse(text), scene));
  const { repeats }: ServerMethod = SERVER_METHODS[method];
  const request = repeats === 'journal' ? { request: door.newId() } : {};
  // The types of the entry say that the parameters are those of the method.
  const call = target.call as (method: ServerMethodName, params: Given) => Promise<Given>;
  return { scene, asked, answer: await call(method, { ...asked, ...request }), place: target.place };
}

function firstParams({ about }: StoredCommand, method: ServerMethodName, { volume }: VolumeTarget, snapshot: string): Given {
  const { params }: ServerMethod = SERVER_METHODS[method];
  if (about === 'server') return {};
  const named = Object.hasOwn(params, 'volume') ? { volume } : volume;
  return about === 'snapshot' ? { ...named, snapshot } : { ...named };
}

/** Throws E_USAGE if the text names no snapshot. */
export function snapshotIn(text: string, program: string): { readonly volume: string; readonly snapshot: string } {
  const { volume, snapshot } = splitSnapshot(text, program);
  if (snapshot !== null) return { volume, snapshot };
  throw usageError(`No snapshot in ${quoteText(text)}: give NAME@SNAPSHOT, such as oracle@monday or oracle@1@monday`, program);
}
