// Determines which command a command line calls, and checks the options and operands for that command. The parser does not call the daemon.
// Invariant: if any option or operand does not fit the command, the whole command line is refused. Nothing is silently ignored.

import { isMistyped, nearestWord } from '../config/schema/nearest.ts';
import { assert } from '@rsio/base/lib/assert';
import { type Command, listed, type OptionSpec, type OptionValues, shownCall, usageError } from './command.ts';

/** The commands of a program, and texts of its help and errors. */
export interface CommandTable<C> {
  readonly program: string;
  /** Groups of commands, each with its heading, as `--help` lists them. */
  readonly groups: readonly (readonly [heading: string, commands: readonly Command<C>[]])[];
  /** First lines of `--help`, after the usage. */
  readonly introduction: readonly string[];
  /** Key: first word of several commands. Value: the last lines of the help for every command that begins with this word. */
  readonly guides: Readonly<Record<string, readonly string[]>>;
  /** Command that an empty command line calls. */
  readonly first: Command<C>;
  /** Remedy in the error about operands that a command does not take. */
  readonly strayOperand: string;
  /** Remedy in the error about an unknown command. */
  readonly unknownWord: (word: string) => string;
}

export interface ParsedOption {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  readonly multiple?: boolean;
}

export interface Chosen<C> {
  readonly command: Command<C>;
  /** Operands: the words that follow the command's name. */
  readonly words: readonly string[];
}

/** Parses the command lines of one program. */
export class CommandLine<C> {
  readonly table: CommandTable<C>;
  readonly commands: readonly Command<C>[];
  /** Options of all commands, in the format that parseArgs expects. */
  readonly options: Readonly<Record<string, ParsedOption>>;
  /** Options whose value may be omitted, such as --wait. */
  readonly bareOptions: readonly string[];

  constructor(table: CommandTable<C>) {
    this.table = table;
    this.commands = table.groups.flatMap(([, commands]) => commands);
    this.options = optionsOf(this.commands);
    const bare = this.commands.flatMap(({ options }) => Object.keys(options).filter((name) => options[name]?.kind === 'wait'));
    this.bareOptions = [...new Set(bare)];
  }

  /** Throws E_USAGE. */
  commandOf(values: OptionValues, positionals: readonly string[]): Chosen<C> {
    const { command, words } = this.chosenBy(values, positionals);
    // Options that are not in the table, such as --root, are common to all programs and are not checked here.
    for (const name of Object.keys(this.options)) {
      if (values[name] !== undefined && this.modeOf(name) === undefined && !Object.hasOwn(command.options, name))
        throw this.strayOption(name);
    }
    this.checkOperands(command, words);
    return { command, words };
  }

  /**
   * Returns the commands whose help was requested. The word `interface` alone selects all commands that begin with `interface`. If the
   * command line names no command, the returned list is empty. Throws E_USAGE.
   */
  commandsMeant(values: OptionValues, positionals: readonly string[]): readonly Command<C>[] {
    if (positionals.length === 0 && !Object.keys(values).some((name) => this.modeOf(name) !== undefined)) return [];
    const family = this.commands.filter(({ call }) => call.by === 'words' && call.words.startsWith(`${positionals[0]} `));
    const isFamily = positionals.length === 1 && family.length > 0 && this.commandNamed(positionals) === undefined;
    return isFamily ? family : [this.chosenBy(values, positionals).command];
  }

  private chosenBy(values: OptionValues, positionals: readonly string[]): Chosen<C> {
    const { monitor } = values;
    // An option such as --attach calls its own command, unless the words name a command that has this option.
    const named = this.commandNamed(positionals);
    const isOwn = (name: string): boolean => named !== undefined && Object.hasOwn(named.command.options, name);
    // Object.keys lists the options in the order of the command line, so that the error names them in that order.
    const given = Object.keys(values).filter((name) => values[name] !== undefined && !isOwn(name));
    const [mode, second] = given.flatMap((name) => this.modeOf(name) ?? []);
    if (second !== undefined) throw this.error(`${mode} and ${second} exclude each other: give one`);
    if (typeof monitor === 'string') return { command: this.monitorCommand(monitor), words: positionals };
    if (mode !== undefined) return { command: this.entry(({ call }) => shownCall(call) === mode), words: positionals };
    return positionals.length === 0 ? { command: this.table.first, words: [] } : this.namedCommand(positionals);
  }

  private entry(isMeant: (command: Command<C>) => boolean): Command<C> {
    const command = this.commands.find(isMeant);
    assert(command !== undefined, 'No such command in the table');
    return command;
  }

  private monitorCommand(what: string): Command<C> {
    const known = this.commands.flatMap(({ call }) => (call.by === 'monitor' ? [call.word] : []));
    if (!known.includes(what)) throw this.error(`Unknown -m ${what}: give ${listed(known, 'or')}`);
    return this.entry(({ call }) => call.by === 'monitor' && call.word === what);
  }

  /**
   * Finds the command whose name matches the first words of the command line. If several names match, chooses the longest. Returns
   * undefined if no name matches.
   */
  private commandNamed(positionals: readonly string[]): Chosen<C> | undefined {
    let best: Chosen<C> | undefined;
    for (const command of this.commands) {
      if (command.call.by !== 'words') continue;
      const named = command.call.words.split(' ');
      if (!named.every((word, index) => positionals[index] === word)) continue;
      const words = positionals.slice(named.length);
      // Prefer the longer name: `jobs cancel` is a command, but would also match the command `jobs` with the operand ID.
      if (best === undefined || words.length < best.words.length) best = { command, words };
    }
    return best;
  }

  private namedCommand(positionals: readonly string[]): Chosen<C> {
    const { program } = this.table;
    const named = this.commandNamed(positionals);
    if (named !== undefined) return named;
    const calls = this.commands.flatMap(({ call }) => (call.by === 'words' ? [call.words] : []));
    const [first = '', second] = positionals;
    const family = calls.filter((known) => known.startsWith(`${first} `));
    if (family.length > 0) {
      const what = second === undefined ? `Incomplete command ${first}` : `Unknown command ${first} ${second}`;
      throw this.error(`${what}: give ${listed(family, 'or')}`);
    }
    if (first === 'help') throw this.error(`Unknown command help: use ${program} COMMAND --help`);
    const option = this.commands.find(
      ({ call }) => (call.by === 'option' && call.option === first) || (call.by === 'monitor' && call.word === first),
    );
    if (option !== undefined) throw this.error(`Unknown command ${first}: did you mean ${program} ${shownCall(option.call)}?`);
    const meant = nearestWord(
      first,
      calls.map((known) => known.split(' ')[0] ?? ''),
    );
    if (meant !== undefined && isMistyped(first, meant)) throw this.error(`Unknown command ${first}: did you mean ${meant}?`);
    throw this.error(`Unknown command ${first}: ${this.table.unknownWord(first)}`);
  }

  /** Returns the short form, such as `-q`, of an option that calls a command; undefined for every other option. */
  private modeOf(name: string): string | undefined {
    if (name === 'monitor') return '-m';
    const call = this.commands.find((command) => command.call.by === 'option' && command.call.option === name)?.call;
    return call === undefined ? undefined : shownCall(call);
  }

  private strayOption(name: string): Error {
    const owners = this.commands.filter(({ options }) => Object.hasOwn(options, name));
    const short = owners[0]?.options[name]?.short;
    const shown = short === undefined ? `--${name}` : `-${short}`;
    const commands = owners.map(({ call }) => shownCall(call));
    return this.error(`${shown} is valid only with ${listed(commands, 'and')}`);
  }

  private checkOperands(command: Command<C>, words: readonly string[]): void {
    const { operands, synopsis } = command;
    const { program, strayOperand } = this.table;
    const stray = words[operands?.max ?? 0];
    if (stray !== undefined)
      throw this.error(
        `Unexpected argument ${stray}: ${operands === undefined ? strayOperand : `use ${formsOf(synopsis, command, program)}`}`,
      );
    if (words.length < (operands?.min ?? 0))
      throw this.error(`Too few arguments for ${shownCall(command.call)}: use ${formsOf(synopsis, command, program)}`);
  }

  private error(sentence: string): Error {
    return usageError(sentence, this.table.program);
  }
}

/** Returns the forms of a command on one line. Each form begins with the words of the command. */
function formsOf<C>(synopsis: string, { call }: Command<C>, program: string): string {
  const words = call.by === 'words' ? call.words : null;
  const forms = words === null ? [synopsis] : synopsis.split(`\n${words} `);
  return forms.map((form, index) => `${program} ${index === 0 ? '' : `${words} `}${oneLine(form)}`).join(' or ');
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

function optionsOf<C>(commands: readonly Command<C>[]): Record<string, ParsedOption> {
  const hasMonitor = commands.some(({ call }) => call.by === 'monitor');
  const all: Record<string, ParsedOption> = hasMonitor ? { monitor: { type: 'string', short: 'm' } } : {};
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
