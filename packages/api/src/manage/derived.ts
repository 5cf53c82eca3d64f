// Makes a command of a program from the entry of a method: its options and operands, their errors, and the output (views/command-text.ts).
// The caller knows the daemon. Invariant: a wrong value is refused before a request is sent.

import { type Command, JSON_OPTION, makeCommand, type OptionSpec, type Output, printJson, usageError } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import type { ControlMethod } from '@rsio/common/control/method-table';
import { type Fields, misfit, type ObjectShape, object } from '@rsio/base/lib/shape';
import { quoteText } from '@rsio/base/lib/units';
import type { Answer, Field, Flag, NoCommand, Params, Said, Scene, StoredText } from '../views/command-text.ts';
import { valueOf, type VolumeName } from '../views/values.ts';

type Given = Readonly<Record<string, unknown>>;

/** A method whose answer is an object with fixed fields. */
type Entry = ControlMethod & { readonly result: ObjectShape<Fields> };

/** Another volume that a person named. Only the daemon's caller can read its name. */
interface Unread<S extends Scene> {
  readonly text: string;
  readonly volume: (volume: VolumeName, scene: S) => Given;
}

export interface Typed<S extends Scene> {
  /** The first operand; '' if the command has none. */
  readonly name: string;
  /** The parameters of the request that operands and options give. */
  readonly params: Given;
  readonly unread: readonly Unread<S>[];
  /** All options, as makeCommand reads them. */
  readonly values: Given;
}

export interface Answered<S extends Scene> {
  readonly scene: S;
  /** All parameters of the request. */
  readonly asked: Given;
  readonly answer: Answer;
  /** Fields that the program adds to the JSON of the answer. */
  readonly place: Given;
}

/** What the program adds to the command. */
export interface Derivation<C, S extends Scene> {
  readonly words: string;
  /** Placeholder of the first operand; null: the command has none. */
  readonly first: string | null;
  /** Shell command that completes operands. */
  readonly completes: string | undefined;
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly place: Fields;
  readonly ask: (context: C, typed: Typed<S>) => Promise<Answered<S>>;
}

type Printer = Output & { readonly note: (sentence: string) => void };

/** The command that follows from an entry; null if none does. */
export function ownCommand<T extends object>(command: T | NoCommand): T | null {
  return 'byHand' in command || 'partOf' in command || 'calledBy' in command ? null : command;
}

/** Shell command that prints the first column of the output of a command. */
export function firstColumnOf(words: string): string {
  return `"\${ask[@]}" ${words} | tail -n +2 | cut -d' ' -f1`;
}

/** Maximum width of a usage. */
const SYNOPSIS_COLUMNS = 60;

export function derivedFrom<C extends Printer, S extends Scene>(
  program: string,
  method: Entry,
  command: StoredText<S>,
  { words, first, completes, options: more, place, ask }: Derivation<C, S>,
): Command<C> {
  const { operands = [], mayEnd = false, options = {}, summary, details, says } = command;
  const shown = operands.map(({ value }, index) => (mayEnd && index === operands.length - 1 ? `[${value}]` : value));
  const uses = [...Object.entries(options).map(usage), ...Object.entries(more).map(([name, { value }]) => `[--${name} ${value}]`)];
  const count = (first === null ? 0 : 1) + operands.length;
  return makeCommand(program, {
    call: { by: 'words', words },
    synopsis: folded([words, ...(first === null ? [] : [first]), ...shown, ...uses]),
    summary,
    ...(details === undefined ? {} : { details }),
    options: { ...Object.fromEntries(Object.entries(options).map(optionSpec)), ...more, json: JSON_OPTION },
    json: object({ ...place, ...method.result.form.fields }),
    ...(count === 0 ? {} : { operands: { min: mayEnd ? count - 1 : count, max: count } }),
    ...(completes === undefined ? {} : { completes }),
    run: async (context: C, { json, ...values }, typed) => {
      const [name = '', rest] = first === null ? ['', typed] : [typed[0], typed.slice(1)];
      const { answer, scene, asked, ...at } = await ask(context, { name, values, ...read(method, command, rest, values, program) });
      return printSaid(context, says(answer, scene, asked as never), json === true ? { ...at.place, ...answer } : null);
    },
  });
}

/** Prints what a command says, or `json` if it is not null. Returns the exit code; undefined for 0. */
export function printSaid(printer: Printer, said: Said | string, json: object | null): 1 | undefined {
  const { lines = [], block, notes = [], warnings = [], code }: Said = typeof said === 'string' ? { lines: [said] } : said;
  const text = toText(lines) + (block ?? '');
  if (json !== null) printJson(printer, json);
  else if (text !== '') printer.out(text);
  for (const sentence of json === null ? [...notes, ...warnings] : warnings) printer.note(sentence);
  return code;
}

type AnyOption<S extends Scene> = readonly [name: string, option: Field<Params, S> | Flag<Params>];

function optionSpec<S extends Scene>([name, option]: AnyOption<S>): [string, OptionSpec] {
  const { help = '' } = option;
  return [name, 'flag' in option ? { kind: 'flag', help } : { kind: 'text', value: option.value, help }];
}

function usage<S extends Scene>([name, option]: AnyOption<S>): string {
  if ('flag' in option) return `[--${name}]`;
  return option.needs === undefined ? `[--${name} ${option.value}]` : `--${name} ${option.value}`;
}

function folded(parts: readonly string[]): string {
  return parts.reduce((text, part) => {
    const width = text.length - text.lastIndexOf('\n') - 1;
    return `${text}${width + 1 + part.length > SYNOPSIS_COLUMNS ? '\n' : ' '}${part}`;
  });
}

/** Reads the operands and options. Throws E_USAGE. */
function read<S extends Scene>(
  method: Entry,
  { operands = [], options = {} }: StoredText<S>,
  words: readonly string[],
  values: Given,
  program: string,
): Pick<Typed<S>, 'params' | 'unread'> {
  const params: Record<string, unknown> = {};
  const unread: Unread<S>[] = [];
  const take = (field: Field<Params, S>, what: string, text: string): void => {
    if ('volume' in field) unread.push({ text, volume: field.volume });
    else
      params[field.param] =
        field.type === undefined ? textOf(method, field.param, what, text, program) : valueOf(what, text, field.type, program);
  };
  for (const [index, field] of operands.entries()) if (words[index] !== undefined) take(field, field.value, words[index]);
  for (const [name, option] of Object.entries(options)) {
    const text = values[name];
    if ('flag' in option) params[option.flag] = text;
    else if (typeof text === 'string') take(option, `--${name}`, text);
    else if (option.needs !== undefined) throw usageError(`No ${option.needs}: give --${name} ${option.value}`, program);
  }
  return { params, unread };
}

/** Throws E_USAGE if the method does not take the text. */
function textOf({ params }: Entry, param: string, what: string, text: string, program: string): string {
  const { shape, what: allowed } = params[param]!;
  if (misfit(shape, text, 'exactly') === null) return text;
  throw usageError(`Wrong ${what} ${quoteText(text)}: allowed is ${allowed}`, program);
}
