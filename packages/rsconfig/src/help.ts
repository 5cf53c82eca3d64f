// The texts of --help, made from the command table: an overview of all commands, and one command with all it takes. Pure.
// Invariant: no line is longer than 80 columns as long as the table keeps to the widths that command.ts names.

import { type Command, listed, type OptionSpec } from './command.ts';
import { COMMANDS } from './command-table.ts';

const FORM_COLUMNS = 26;
const OPTION_COLUMNS = 18;
/** Options of many commands: at the end of the overview, once. */
const SHARED = ['verbose', 'json'];

/** `rsconfig --help`. */
export function overview(): string {
  return [
    ...usageLines(COMMANDS, true),
    'Asks and steers rsiod, edits its file. NAME of a volume is oracle, osl:oracle',
    'or osl:oracle@0; without one, -a and -d mean all volumes.',
    'rsconfig COMMAND --help tells more of one command, such as rsconfig join --help.',
    ...optionLines(),
    '',
  ].join('\n');
}

/** `rsconfig COMMAND --help`; of several commands when it named a family of them. */
export function helpOf(commands: readonly Command[]): string {
  const lines = commands.flatMap((command) => [
    ...modeLines(command),
    ...Object.entries(command.options).flatMap(([name, spec]) => optionLine(name, spec)),
  ]);
  const details = commands.flatMap((command) => command.details ?? []);
  return [...usageLines(commands, false), ...commands.map(sentenceOf), ...new Set(details), ...new Set(lines), ''].join('\n');
}

function sentenceOf({ summary }: Command): string {
  return `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
}

function usageLines(commands: readonly Command[], remarked: boolean): string[] {
  return commands.map(({ synopsis, summary }, index) => {
    const form = synopsis.replaceAll('\n', `\n${' '.repeat(20)}`);
    const hasRoom = remarked && synopsis.length < FORM_COLUMNS - 1 && FORM_COLUMNS + 16 + summary.length <= 80;
    return `${index === 0 ? 'usage:' : '      '} rsconfig ${hasRoom ? form.padEnd(FORM_COLUMNS) + summary : form}`;
  });
}

/** Of the commands that are options themselves; others have too many, and a help of their own. */
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

/** The line of the option that is the command itself. */
function modeLines({ call }: Command): string[] {
  if (call.by === 'option') return optionLine(call.option, { kind: 'flag', short: call.short, help: call.help });
  if (call.by === 'words') return [];
  const words = COMMANDS.flatMap((each) => (each.call.by === 'monitor' ? [each.call.word] : []));
  return optionLine('monitor', { kind: 'text', short: 'm', value: 'X', help: listed(words, 'or') });
}

function optionLine(name: string, { kind, short, value, help }: OptionSpec): string[] {
  const shownValue = value === undefined ? '' : kind === 'wait' ? `[=${value}]` : ` ${value}`;
  const shown = `${short === undefined ? '' : `-${short}, `}--${name}${shownValue}`;
  const indented = help.replaceAll('\n', `\n${' '.repeat(OPTION_COLUMNS + 2)}`);
  if (shown.length >= OPTION_COLUMNS) return [`  ${shown}\n${' '.repeat(OPTION_COLUMNS + 2)}${indented}`];
  return [`  ${shown.padEnd(OPTION_COLUMNS)}${indented}`];
}
