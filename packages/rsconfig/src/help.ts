// Makes the texts of --help from the command table: an overview of all commands, and the full help of one command. Invariant: no line
// exceeds 80 columns if the table keeps to the widths in command.ts.

import { type Command, listed, type OptionSpec } from './cli/command.ts';
import { COMMANDS, GROUPS } from './command-table.ts';

const COLUMNS = 80;
const FORM_COLUMNS = 26;
const OPTION_COLUMNS = 18;
/** Options that many commands share, shown once at the end of the overview. */
const SHARED = ['verbose', 'json'];

/** `rsconfig --help`. */
export function overview(): string {
  return [
    'usage: rsconfig COMMAND [OPTION...]',
    'Controls rsiod and edits its configuration file. A volume NAME is oracle,',
    'osl:oracle or osl:oracle@0. Without NAME, -a and -d apply to all volumes.',
    'For more on a command: rsconfig COMMAND --help, such as rsconfig join --help.',
    ...GROUPS.flatMap(([heading, commands]) => ['', `${heading}:`, ...commands.map(overviewLine)]),
    '',
    'Options:',
    ...optionLines(),
    '',
  ].join('\n');
}

/** Returns the text of `rsconfig COMMAND --help`. If COMMAND is the first word of several commands, the text describes all of them. */
export function helpOf(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => [
    ...modeLines(command),
    ...Object.entries(command.options).flatMap(([name, spec]) => optionLine(name, spec)),
  ]);
  const details = commands.flatMap((command) => command.details ?? []);
  return [...usageLines(commands), '', ...commands.map(sentenceOf), ...new Set(details), '', ...new Set(lines), ''].join('\n');
}

function sentenceOf({ summary }: Command): string {
  return `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
}

function usageLines(commands: readonly Command[]): string[] {
  return commands.map(({ synopsis }, index) => `${index === 0 ? 'usage:' : '      '} rsconfig ${indented(synopsis, 20)}`);
}

function overviewLine({ synopsis, summary }: Command): string {
  const form = `  ${indented(synopsis, 20)}`;
  const hasRoom = synopsis.length < FORM_COLUMNS - 1 && !synopsis.includes('\n') && FORM_COLUMNS + 2 + summary.length <= COLUMNS;
  return hasRoom ? form.padEnd(FORM_COLUMNS + 2) + summary : `${form}\n${' '.repeat(8)}${summary}`;
}

function indented(text: string, columns: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(columns)}`);
}

/**
 * Returns the overview's lines about options: the options that call a command, such as -q, and the further options of these commands. The
 * options of a command that is called by words are only in the command's own help.
 */
function optionLines(): string[] {
  const lines: string[] = [];
  for (const command of COMMANDS.filter(({ call }) => call.by !== 'words')) {
    lines.push(...modeLines(command));
    for (const [name, spec] of Object.entries(command.options)) {
      if (!SHARED.includes(name)) lines.push(...optionLine(name, spec));
    }
  }
  for (const name of SHARED) {
    const spec = COMMANDS.find(({ options }) => Object.hasOwn(options, name))?.options[name];
    if (spec !== undefined) lines.push(...optionLine(name, spec));
  }
  return [...new Set(lines)];
}

function modeLines({ call }: Command): string[] {
  if (call.by === 'option') return optionLine(call.option, { kind: 'flag', short: call.short, help: call.help });
  if (call.by === 'words') return [];
  const words = COMMANDS.flatMap((each) => (each.call.by === 'monitor' ? [each.call.word] : []));
  return optionLine('monitor', { kind: 'text', short: 'm', value: 'X', help: listed(words, 'or') });
}

function optionLine(name: string, { kind, short, value, help }: OptionSpec): string[] {
  const shownValue = value === undefined ? '' : kind === 'wait' ? `[=${value}]` : ` ${value}`;
  const shown = `${short === undefined ? '' : `-${short}, `}--${name}${shownValue}`;
  const text = indented(help, OPTION_COLUMNS + 2);
  if (shown.length >= OPTION_COLUMNS) return [`  ${shown}\n${' '.repeat(OPTION_COLUMNS + 2)}${text}`];
  return [`  ${shown.padEnd(OPTION_COLUMNS)}${text}`];
}
