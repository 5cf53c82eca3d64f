// Makes the commands of rsadm and rsconfig from the entries of rssrv's methods (rssrv/method-command.ts). Invariants: a wrong value is refused
// before a request is sent. A command whose repetition gets the first answer sends an id with its request.

import { type Command, JSON_OPTION, makeCommand, type OptionSpec, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import type { Param } from '@rsio/common/control/method-table';
import { misfit, object } from '@rsio/base/lib/shape';
import { quoteText } from '@rsio/base/lib/units';
import type { CommandScene, Field, Said, StoredCommand } from '../../rssrv/method-command.ts';
import type { ServerMethod } from '../../rssrv/server-method.ts';
import { SERVER_METHODS, type ServerMethodName } from '../../rssrv/server-methods.ts';
import { splitSnapshot, valueOf } from '../../views/values.ts';
import { onlyServer, type VolumeDoor, type VolumeProgram, type VolumeTarget } from './door.ts';

type AnyField = Field<Readonly<Record<string, Param>>>;
type Given = Readonly<Record<string, unknown>>;
/** Another volume that a person named; its server is that of the first one. */
interface Unread {
  readonly text: string;
  readonly volume: (volume: { readonly name: string; readonly universe: number }, scene: CommandScene) => Given;
}

const FIRST = { volume: 'NAME', snapshot: 'NAME@SNAPSHOT', server: null } as const;

/** The command of a method; null if its entry has none. */
export function derivedCommand(given: VolumeProgram, method: ServerMethodName): Command<VolumeDoor> | null {
  const { command, result }: ServerMethod = SERVER_METHODS[method];
  if (command === null) return null;
  const { about, operands = [], mayEnd = false, options = {}, summary, details } = command;
  const words = command.words.replace(/^jobs/, given.jobs);
  const shown = operands.map(({ value }, index) => (mayEnd && index === operands.length - 1 ? `[${value}]` : value));
  const flags = Object.entries(options).map(([name, { value, needs }]) =>
    needs === undefined ? `[--${name} ${value}]` : `--${name} ${value}`,
  );
  const first = command.first ?? FIRST[about];
  const count = (first === null ? 0 : 1) + operands.length;
  return makeCommand(given.program, {
    call: { by: 'words', words },
    synopsis: [words, ...(first === null ? [] : [first]), ...shown, ...flags].join(' '),
    summary,
    ...(details === undefined ? {} : { details }),
    options: { ...Object.fromEntries(Object.entries(options).map(optionSpec)), json: JSON_OPTION },
    json: object({ ...given.place, ...result.form.fields }),
    operands: { min: mayEnd ? count - 1 : count, max: count },
    ...(about === 'server' ? {} : { completes: given.completesVolumes }),
    run: (door: VolumeDoor, values, typed) => execute(given, method, command, door, values as Given, typed),
  });
}

function optionSpec([name, { value, help = '' }]: readonly [string, AnyField]): [string, OptionSpec] {
  return [name, { kind: 'text', value, help }];
}

async function execute(
  { program }: VolumeProgram,
  method: ServerMethodName,
  command: StoredCommand,
  door: VolumeDoor,
  { json, ...values }: Given,
  typed: readonly string[],
): Promise<undefined> {
  const { about, purpose = 'change', says } = command;
  const [name = '', rest] = about === 'server' ? [undefined, typed] : [typed[0], typed.slice(1)];
  const { params, unread } = read(method, command, rest, values, program);
  const { volume, snapshot } = about === 'snapshot' ? snapshotIn(name, program) : { volume: name, snapshot: '' };
  const target = about === 'server' ? await onlyServer(door, program) : await door.find(volume, purpose);
  const scene: CommandScene = { ...target, program, typed: name, snapshot, nowMs: door.clock.wallMs() };
  const asked = { ...firstParams(command, method, target, snapshot), ...params };
  for (const { text, volume: of } of unread) Object.assign(asked, of(target.parse(text), scene));
  const { repeats }: ServerMethod = SERVER_METHODS[method];
  const request = repeats === 'journal' ? { request: door.newId() } : {};
  // The types of the entry say that the parameters are those of the method.
  const answer: Given = await (target.call as (method: ServerMethodName, params: Given) => Promise<Given>)(method, {
    ...asked,
    ...request,
  });
  const said = says(answer, scene, asked as never);
  const { line, block, notes = [], warnings = [] }: Said = typeof said === 'string' ? { line: said } : said;
  for (const warning of warnings) door.note(warning);
  if (json === true) return printJson(door, { ...target.place, ...answer });
  if (line !== undefined) door.out(toText([line]));
  if (block !== undefined) door.out(block);
  for (const note of notes) door.note(note);
  return undefined;
}

/** Reads the operands and options. Throws E_USAGE. Other volumes are read when the server is known. */
function read(
  method: ServerMethodName,
  { operands = [], options = {} }: StoredCommand,
  words: readonly string[],
  values: Given,
  program: string,
): { readonly params: Record<string, unknown>; readonly unread: readonly Unread[] } {
  const params: Record<string, unknown> = {};
  const unread: Unread[] = [];
  const take = (field: AnyField, what: string, text: string): void => {
    if ('volume' in field) unread.push({ text, volume: field.volume });
    else
      params[field.param] =
        field.type === undefined ? textOf(method, field.param, what, text, program) : valueOf(what, text, field.type, program);
  };
  for (const [index, field] of operands.entries()) if (words[index] !== undefined) take(field, field.value, words[index]);
  for (const [name, field] of Object.entries(options)) {
    const text = values[name];
    if (typeof text === 'string') take(field, `--${name}`, text);
    else if (field.needs !== undefined) throw usageError(`No ${field.needs}: give --${name} ${field.value}`, program);
  }
  return { params, unread };
}

/** Throws E_USAGE if the method does not take the text. */
function textOf(method: ServerMethodName, param: string, what: string, text: string, program: string): string {
  const { params }: ServerMethod = SERVER_METHODS[method];
  const { shape, what: allowed } = params[param]!;
  if (misfit(shape, text, 'exactly') === null) return text;
  throw usageError(`Wrong ${what} ${quoteText(text)}: allowed is ${allowed}`, program);
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
