// The readers of the two configuration files, and edits of the client's file. Oracle: each text gives a configuration, or E_CONFIG with
// numbers of existing lines. No message contains a key or a control character. An edit of a valid file is refused with E_CONFIG, or gives a
// document that equals the result of parsing its own text.

import { isDeepStrictEqual } from 'node:util';
import { checkEdit } from '@rsio/common/config/config-file';
import { type IniDocument, parseIni, printIni } from '@rsio/common/config/reader/ini-document';
import { examineRscltConfig, parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import {
  addInterface,
  addNamespace,
  addServer,
  removeConfigSection,
  renameConfigSection,
  type SectionRef,
  setKey,
} from '@rsio/common/config/rscltcfg-edit';
import { RsError } from '@rsio/base/lib/errors';
import { INTERFACES_MAX } from '@rsio/base/lib/limits';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expectPrintable, expectThat, type FuzzTarget, orRefused } from '../../fixtures/fuzz-target.ts';
import { configText, SECRET } from '../../makers/config-maker.ts';
import { encodeScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

interface Problem {
  readonly line: number;
  readonly message: string;
}

/**
 * Lines in which the secret is the value of a secret key. Errors in lines of secret keys must not show the secret. A mutation may have
 * moved the secret to any other place, where a message may quote it.
 */
const SECRET_LINE = new RegExp(`^\\s*(?:(?:nodekey|serverkey|namespacekey)\\s*=.*|(?:big-2|venus) ${SECRET}\\s*)$`);

function judgeProblems(problems: readonly Problem[], text: string): void {
  const lines = text.split('\n');
  const isSecretOnlyAsKey = lines.every((line) => !line.includes(SECRET) || SECRET_LINE.test(line));
  for (const { line, message } of problems) {
    expectThat(line >= 0 && line <= lines.length, `line ${line} of ${lines.length} is blamed`);
    expectPrintable(message, 'a message');
    const isClient = /^\s*(?:big-2|venus) /.test(lines[line - 1] ?? '');
    expectThat(!isSecretOnlyAsKey || isClient || !message.includes(SECRET), `a message shows a key: ${message}`);
  }
}

function parsed<T extends { readonly warnings: readonly Problem[] }>(parse: () => T, text: string): T | null {
  try {
    const config = parse();
    judgeProblems(config.warnings, text);
    return config;
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_CONFIG') throw thrown;
    const problems = thrown.context['problems'] as readonly Problem[];
    expectThat(problems.length > 0, 'a file was refused without a problem');
    judgeProblems([...problems, { line: 0, message: thrown.message }], text);
    return null;
  }
}

function runServer(input: Buffer): boolean {
  const text = input.toString('utf8');
  const config = parsed(() => parseRssrvConfig(text, 'rssrvcfg'), text);
  if (config === null) return false;
  expectThat(config.interfaces.length <= INTERFACES_MAX, `${config.interfaces.length} interfaces`);
  expectThat(new Set(config.clients.map(({ name }) => name)).size === config.clients.length, 'a client is there twice');
  return true;
}

// Step 0 is the text. Each further step is an edit: its kind selects the edit, and its bytes are words separated by zeros.
const EDITS = 6;

function placeOf(words: readonly string[]): Exclude<SectionRef, { type: 'defaults' }> {
  const [first = '', second = '', third = ''] = words;
  if (third === 'server' || third === 'volume') return { type: third, namespace: first, name: second };
  return { type: third === 'interface' ? 'interface' : 'namespace', name: first };
}

function edited(document: IniDocument, { kind, bytes }: Step): IniDocument | null {
  const words = bytes.toString('utf8').split('\0');
  const [first = '', second = '', , fourth = ''] = words;
  return orRefused(['E_CONFIG'], () => {
    switch (kind % EDITS) {
      case 0:
        return addInterface(document, first, { address: second });
      case 1:
        return addNamespace(document, first, { namespaceid: second, nodename: 'a', nodekey: 'b' });
      case 2:
        return addServer(document, first, second, { address: fourth });
      case 3:
        return setKey(document, first === '' ? { type: 'defaults' } : placeOf(words), second, fourth === '' ? null : fourth);
      case 4:
        return renameConfigSection(document, placeOf(words), fourth);
      default:
        return removeConfigSection(document, placeOf(words));
    }
  });
}

function runClient(input: Buffer): boolean {
  const [first, ...edits] = readScript(input);
  const text = (first?.bytes ?? Buffer.alloc(0)).toString('utf8');
  const config = parsed(() => parseRscltConfig(text, 'rscltcfg'), text);
  const seen = examineRscltConfig(text, 'rscltcfg');
  expectThat((seen.config === null) === (config === null), 'the two readers of one file disagree');
  expectThat((config?.interfaces.length ?? 0) <= INTERFACES_MAX, `${config?.interfaces.length} interfaces`);
  let document = parseIni(text);
  for (const edit of edits.slice(0, 8)) {
    const result = edited(document, edit);
    if (result === null) continue;
    expectThat(isDeepStrictEqual(parseIni(printIni(result)), result), 'an edit is not what its text says');
    orRefused(['E_CONFIG'], () => checkEdit(document, result, 'rscltcfg', examineRscltConfig));
    document = result;
  }
  return config !== null && config.namespaces.length > 0;
}

const WORDS = [
  'ns0',
  'ns0',
  'ns1',
  'srv0',
  'if0',
  'vol0',
  'new',
  '',
  '200',
  '10.9.9.9',
  '10.9.9.9/24',
  'port',
  'nodekey',
  'x y',
  'a\u2028b',
  '..',
  '[',
];
const TYPES = ['interface', 'namespace', 'server', 'volume'];

function anEdit(random: SeededRandom): Step {
  const words = [random.pick(WORDS), random.pick(WORDS), random.pick(TYPES), random.pick(WORDS)].join('\0');
  return step(random.int(0, EDITS - 1), 0, Buffer.from(words));
}

export const rssrvcfg: FuzzTarget = {
  name: 'rssrvcfg',
  deep: 'the file was accepted',
  fixedSeeds: 600,
  make: (random) => Buffer.from(configText(random, 'rssrvcfg')),
  run: runServer,
};

export const rscltcfg: FuzzTarget = {
  name: 'rscltcfg',
  deep: 'the file was accepted, and names a namespace',
  fixedSeeds: 500,
  make: (random) => {
    const edits = Array.from({ length: random.int(0, 3) }, () => anEdit(random));
    return encodeScript([step(0, 0, Buffer.from(configText(random, 'rscltcfg'))), ...edits]);
  },
  run: runClient,
  pieces: scriptPieces,
};
