// Makes the texts of --help from the command table: an overview of all commands, and the full help of one command. Invariant: no line
// exceeds 80 columns if the table keeps to the widths in command.ts.

import { type Command, listed, type OptionSpec, shownCall } from './command.ts';
import type { CommandTable } from './command-line.ts';

const COLUMNS = 80;
const FORM_COLUMNS = 26;
const OPTION_COLUMNS = 18;
/** Options that many commands share, shown once at the end of the overview. */
const SHARED = ['verbose', 'json'];

/** Returns the text of `PROGRAM --help`. */
export function overview<C>({ program, groups, introduction }: CommandTable<C>): string {
  const commands = groups.flatMap(([, group]) => group);
  return [
    `usage: ${program} COMMAND [OPTION...]`,
    ...introduction,
    ...groups.flatMap(([heading, group]) => ['', `${heading}:`, ...group.map(overviewLine)]),
    '',
    'Options:',
    ...optionLines(commands),
    '',
  ].join('\n');
}

/** Returns the text of `PROGRAM COMMAND --help`. If COMMAND is the first word of several commands, the text describes all of them. */
export function helpOf<C>({ program, groups, guides }: CommandTable<C>, meant: readonly Command<C>[]): string {
  const commands = groups.flatMap(([, group]) => group);
  const lines = meant.flatMap((command) => [
    ...modeLines(command, commands),
    ...Object.entries(command.options).flatMap(([name, spec]) => optionLine(name, spec)),
  ]);
  const details = meant.flatMap((command) => command.details ?? []);
  const [family = ''] = meant.map(({ call }) => shownCall(call).split(' ')[0]);
  const guide = meant.length > 1 && Object.hasOwn(guides, family) ? ['', ...(guides[family] ?? [])] : [];
  return [...usageLines(program, meant), '', ...meant.map(sentenceOf), ...new Set(details), ...guide, '', ...new Set(lines), ''].join('\n');
}

function sentenceOf<C>({ summary }: Command<C>): string {
  return `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
}

function usageLines<C>(program: string, commands: readonly Command<C>[]): string[] {
  const columns = 'usage: '.length + program.length + 5;
  return commands.map(({ synopsis }, index) => `${index === 0 ? 'usage:' : '      '} ${program} ${indented(synopsis, columns)}`);
}

/** Returns one entry of the overview: the synopsis, with the summary beside or below it. */
function overviewLine<C>({ synopsis, summary }: Command<C>): string {
  const form = `  ${indented(synopsis, 20)}`;
  const hasRoom = synopsis.length < FORM_COLUMNS - 1 && !synopsis.includes('\n') && FORM_COLUMNS + 2 + summary.length <= COLUMNS;
  return hasRoom ? form.padEnd(FORM_COLUMNS + 2) + summary : `${form}\n${' '.repeat(8)}${summary}`;
}

function indented(text: string, columns: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(columns)}`);
}

/**
 * Returns the overview's lines about options: the options that call a command, such as -q, and the further options of these commands. The
 * overview omits the options of commands that are called by words.
 */
function optionLines<C>(commands: readonly Command<C>[]): string[] {
  const lines: string[] = [];
  for (const command of commands.filter(({ call }) => call.by !== 'words')) {
    lines.push(...modeLines(command, commands));
    for (const [name, spec] of Object.entries(command.options)) {
      if (!SHARED.includes(name)) lines.push(...optionLine(name, spec));
    }
  }
  for (const name of SHARED) {
    const spec = commands.find(({ options }) => Object.hasOwn(options, name))?.options[name];
    if (spec !== undefined) lines.push(...optionLine(name, spec));
  }
  return [...new Set(lines)];
}

/** Returns the help line of an option that calls a command. */
function modeLines<C>({ call }: Command<C>, commands: readonly Command<C>[]): string[] {
  if (call.by === 'option') return optionLine(call.option, { kind: 'flag', short: call.short, help: call.help });
  if (call.by === 'words') return [];
  const words = commands.flatMap((each) => (each.call.by === 'monitor' ? [each.call.word] : []));
  return optionLine('monitor', { kind: 'text', short: 'm', value: 'X', help: listed(words, 'or') });
}

function optionLine(name: string, { kind, short, value, help }: OptionSpec): string[] {
  const shownValue = value === undefined ? '' : kind === 'wait' ? `[=${value}]` : ` ${value}`;
  const shown = `${short === undefined ? '' : `-${short}, `}--${name}${shownValue}`;
  const text = indented(help, OPTION_COLUMNS + 2);
  if (shown.length >= OPTION_COLUMNS) return [`  ${shown}\n${' '.repeat(OPTION_COLUMNS + 2)}${text}`];
  return [`  ${shown.padEnd(OPTION_COLUMNS)}${text}`];
}
