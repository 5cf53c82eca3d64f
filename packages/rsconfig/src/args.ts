// Finds the command that the command line names, and checks its options and operands. Invariant: if any option or operand does not fit the
// command, the whole command line is refused; nothing is silently ignored.

import { isMistyped, nearestWord } from '@rsio/common/config/schema/nearest';
import { assert } from '@rsio/common/lib/assert';
import { type Command, listed, type OptionSpec, type OptionValues, shownCall, usageError } from './cli/command.ts';
import { COMMANDS } from './command-table.ts';

interface ParsedOption {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  readonly multiple?: boolean;
}

/** Options of all commands, in the format that parseArgs expects. */
export const OPTIONS: Readonly<Record<string, ParsedOption>> = optionsOf(COMMANDS);

/** Options whose value may be omitted, such as --wait. */
export const BARE_OPTIONS: readonly string[] = [
  ...new Set(COMMANDS.flatMap(({ options }) => Object.keys(options).filter((name) => options[name]?.kind === 'wait'))),
];

export interface Chosen {
  readonly command: Command;
  /** Operands: the words that follow the command's name. */
  readonly words: readonly string[];
}

/** Throws E_USAGE. */
export function commandOf(values: OptionValues, positionals: readonly string[]): Chosen {
  const { command, words } = chosenBy(values, positionals);
  // Options that are not in OPTIONS, such as --root, are common to all programs and are not checked here.
  for (const name of Object.keys(OPTIONS)) {
    if (values[name] !== undefined && modeOf(name) === undefined && !Object.hasOwn(command.options, name)) throw strayOption(name);
  }
  checkOperands(command, words);
  return { command, words };
}

/**
 * Returns the commands for which the user requested help. The word `interface` alone selects all commands that begin with `interface`. If
 * the command line names no command, the returned list is empty. Throws E_USAGE.
 */
export function commandsMeant(values: OptionValues, positionals: readonly string[]): readonly Command[] {
  if (positionals.length === 0 && !Object.keys(values).some((name) => modeOf(name) !== undefined)) return [];
  const family = COMMANDS.filter(({ call }) => call.by === 'words' && call.words.startsWith(`${positionals[0]} `));
  return positionals.length === 1 && family.length > 0 ? family : [chosenBy(values, positionals).command];
}

function chosenBy(values: OptionValues, positionals: readonly string[]): Chosen {
  const { monitor } = values;
  // Object.keys keeps the order of the command line, so the error names the options in that order.
  const [mode, second] = Object.keys(values).flatMap((name) => (values[name] === undefined ? [] : (modeOf(name) ?? [])));
  if (second !== undefined) throw usageError(`${mode} and ${second} exclude each other: give one`);
  if (typeof monitor === 'string') return { command: monitorCommand(monitor), words: positionals };
  if (mode !== undefined) return { command: entry(({ call }) => shownCall(call) === mode), words: positionals };
  if (positionals.length === 0) return { command: entry(({ call }) => call.by === 'option' && call.short === 'l'), words: [] };
  return namedCommand(positionals);
}

function entry(isMeant: (command: Command) => boolean): Command {
  const command = COMMANDS.find(isMeant);
  assert(command !== undefined, 'No such command in the table');
  return command;
}

function monitorCommand(what: string): Command {
  const known = COMMANDS.flatMap(({ call }) => (call.by === 'monitor' ? [call.word] : []));
  if (!known.includes(what)) throw usageError(`Unknown -m ${what}: give ${listed(known, 'or')}`);
  return entry(({ call }) => call.by === 'monitor' && call.word === what);
}

function namedCommand(positionals: readonly string[]): Chosen {
  const calls = COMMANDS.flatMap(({ call }) => (call.by === 'words' ? [call.words] : []));
  const words = calls.find((known) => known.split(' ').every((word, index) => positionals[index] === word));
  if (words !== undefined) {
    return { command: entry(({ call }) => call.by === 'words' && call.words === words), words: positionals.slice(words.split(' ').length) };
  }
  const [first = '', second] = positionals;
  const family = calls.filter((known) => known.startsWith(`${first} `));
  if (family.length > 0) {
    throw usageError(
      `${second === undefined ? `Incomplete command ${first}` : `Unknown command ${first} ${second}`}: give ${listed(family, 'or')}`,
    );
  }
  if (first === 'help') throw usageError('Unknown command help: use rsconfig COMMAND --help');
  const option = COMMANDS.find(
    ({ call }) => (call.by === 'option' && call.option === first) || (call.by === 'monitor' && call.word === first),
  );
  if (option !== undefined) throw usageError(`Unknown command ${first}: did you mean rsconfig ${shownCall(option.call)}?`);
  const meant = nearestWord(
    first,
    calls.map((known) => known.split(' ')[0] ?? ''),
  );
  if (meant !== undefined && isMistyped(first, meant)) throw usageError(`Unknown command ${first}: did you mean ${meant}?`);
  throw usageError(`Unknown command ${first}: to attach a volume of that name, use rsconfig -a ${first}`);
}

/** Returns the short form, such as `-q`, of an option that calls a command; undefined for every other option. */
function modeOf(name: string): string | undefined {
  if (name === 'monitor') return '-m';
  const call = COMMANDS.find((command) => command.call.by === 'option' && command.call.option === name)?.call;
  return call === undefined ? undefined : shownCall(call);
}

function strayOption(name: string): Error {
  const owners = COMMANDS.filter(({ options }) => Object.hasOwn(options, name));
  const short = owners[0]?.options[name]?.short;
  const shown = short === undefined ? `--${name}` : `-${short}`;
  const commands = owners.map(({ call }) => shownCall(call));
  return usageError(`${shown} is valid only with ${listed(commands, 'and')}`);
}

function checkOperands(command: Command, words: readonly string[]): void {
  const { operands, synopsis } = command;
  const stray = words[operands?.max ?? 0];
  if (stray !== undefined) {
    throw usageError(
      `Unexpected argument ${stray}: ${operands === undefined ? 'only -a and -d take names' : `use rsconfig ${oneLine(synopsis)}`}`,
    );
  }
  if (words.length < (operands?.min ?? 0))
    throw usageError(`Too few arguments for ${shownCall(command.call)}: use rsconfig ${oneLine(synopsis)}`);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

function optionsOf(commands: readonly Command[]): Record<string, ParsedOption> {
  const all: Record<string, ParsedOption> = { monitor: { type: 'string', short: 'm' } };
  const add = (name: string, option: ParsedOption): void => {
    const other = all[name];
    assert(other === undefined || JSON.stringify(other) === JSON.stringify(option), `Option ${name} means two things`);
    all[name] = option;
  };
  for (const { call, options } of commands) {
    if (call.by === 'option') add(call.option, { type: 'boolean', short: call.short });
    for (const [name, spec] of Object.entries(options)) add(name, parsedOption(spec));
  }
  return all;
}

function parsedOption({ kind, short }: OptionSpec): ParsedOption {
  return {
    type: kind === 'text' || kind === 'list' || kind === 'wait' ? 'string' : 'boolean',
    ...(short === undefined ? {} : { short }),
    ...(kind === 'count' || kind === 'list' ? { multiple: true } : {}),
  };
}
