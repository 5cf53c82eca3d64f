// The model of an ini file and its edits. Oracle: a parsed text prints unchanged, byte for byte. An edit is refused with E_CONFIG, or it
// changes only the lines that it must change, and the document stays equal to the result of parsing its own text.

import { isDeepStrictEqual } from 'node:util';
import { type IniDocument, parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { appendLine, appendSection, removeEntry, removeSection, renameSection, setValue } from '@rsio/common/config/reader/ini-edit';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { configText } from '../../makers/config-maker.ts';
import { expectThat, type FuzzTarget, orRefused } from '../../fixtures/fuzz-target.ts';
import { encodeScript, mutatedScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

// Step 0 is the text. Each further step is an edit: its kind selects the edit, its number the section, and its bytes are words separated by
// zeros.
const EDITS = 6;

interface Edit {
  readonly document: IniDocument;
  /** `gone`: number of lines that the edit may remove. `come`: number of lines that the edit may add. */
  readonly gone: number;
  readonly come: number;
}

function edited(document: IniDocument, { kind, arg, bytes }: Step): Edit | null {
  const [first = '', second = ''] = bytes.toString('utf8').split('\0');
  const { sections } = document;
  const index = arg % Math.max(1, sections.length);
  const { contents = [], name = null } = sections[index] ?? {};
  const key = contents[second.length % Math.max(1, contents.length)]?.key ?? first;
  const all = document.lines.length;
  const given = (make: () => IniDocument, gone: number, come: number): Edit | null => {
    const made = orRefused(['E_CONFIG'], make);
    return made === null ? null : { document: made, gone, come };
  };
  if (kind % EDITS === 3) return given(() => appendSection(document, first, second === '' ? null : second, [['key', 'value']]), 0, 4);
  if (sections.length === 0) return null;
  switch (kind % EDITS) {
    case 0:
      return given(() => checkedValue(setValue(document, index, key, first), index, key, first), 1, 1);
    case 1:
      return given(() => removeEntry(document, index, key), all, 0);
    case 2:
      return given(() => appendLine(document, index, first), 0, 1);
    case 4:
      return name === null ? null : given(() => renameSection(document, index, first), 1, 1);
    default:
      return given(() => removeSection(document, index), all, 0);
  }
}

function checkedValue(document: IniDocument, index: number, key: string, value: string): IniDocument {
  const entry = document.sections[index]?.contents.find((content) => content.key === key);
  expectThat(
    entry?.value === value,
    `${JSON.stringify(key)} was set to ${JSON.stringify(value)} and reads ${JSON.stringify(entry?.value)}`,
  );
  return document;
}

/**
 * Returns the lines without carriage returns at their ends. A carriage return at the end of the file becomes part of a line end when a line
 * is added after it.
 */
function contentOf({ lines }: IniDocument): string[] {
  return lines.map(({ raw }) => raw.replace(/\r+$/, ''));
}

/**
 * Expects that at most `gone` lines of `before` are missing in `after`, and that `after` has at most `come` further lines; all other lines
 * keep their order.
 */
function judgeLines(before: IniDocument, after: IniDocument, gone: number, come: number): void {
  const [old, made] = [before, after].map(contentOf) as [string[], string[]];
  let head = 0;
  while (head < Math.min(old.length, made.length) && old[head] === made[head]) head++;
  let tail = 0;
  while (tail < Math.min(old.length, made.length) - head && old.at(-1 - tail) === made.at(-1 - tail)) tail++;
  const [lost, added] = [old.length - head - tail, made.length - head - tail];
  // If an edit only removes lines, the removed lines need not be adjacent: entries of one key may have other lines between them, and those
  // lines must stay.
  const isKept = come === 0 ? isWithin(made, old) : lost <= gone && added <= come;
  expectThat(isKept, `an edit took ${lost} lines and gave ${added}, at most ${gone} and ${come} were to change`);
}

function isWithin(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const line of whole) if (line === part[at]) at++;
  return at === part.length;
}

function run(input: Buffer): boolean {
  const [first, ...edits] = readScript(input);
  const text = (first?.bytes ?? Buffer.alloc(0)).toString('utf8');
  let document = parseIni(text);
  expectThat(printIni(document) === text, 'a text prints as another one');
  let isDeep = false;
  for (const edit of edits.slice(0, 20)) {
    const result = edited(document, edit);
    if (result === null) continue;
    judgeLines(document, result.document, result.gone, result.come);
    expectThat(isDeepStrictEqual(parseIni(printIni(result.document)), result.document), 'an edit is not what its text says');
    document = result.document;
    isDeep = true;
  }
  return isDeep;
}

const WORDS = [
  'a',
  'port',
  'nodekey',
  'x y',
  '',
  '=',
  '[',
  '#c',
  ';',
  'a=b',
  '\u2028',
  '\ufeff',
  '\t',
  ' v',
  'v ',
  '\r',
  'interface',
  'if9',
  ']',
  '$&',
];

function anEdit(random: SeededRandom): Step {
  const words = [random.pick(WORDS), random.pick(WORDS)].join('\0');
  return step(random.int(0, EDITS - 1), random.int(0, 20), Buffer.from(words));
}

function make(random: SeededRandom): Buffer {
  const tail = random.chance(0.1) ? '\n\nlast = 1' : '';
  const text = step(0, 0, Buffer.from(configText(random, random.pick(['rssrvcfg', 'rscltcfg'])) + tail));
  const edits = Array.from({ length: random.int(1, 5) }, () => anEdit(random));
  return random.chance(0.7) ? encodeScript([text, ...edits]) : mutatedScript(random, [text, ...edits], () => anEdit(random));
}

export const iniDocument: FuzzTarget = {
  name: 'ini-document',
  deep: 'an edit was accepted',
  fixedSeeds: 700,
  make,
  run,
  pieces: scriptPieces,
};
