// Implements `check`, which reports every fault in rssrvcfg, and `init`, which makes the first rssrvcfg. Neither command needs a running
// rssrv, but `check` asks a running rssrv whether it would accept the file. Invariants: `init` never changes a file that has sections; a
// new file can be read only by the owner of that file.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { controlGroupProblems } from '@rsio/common/config/control-group';
import { openConfigFile, saveConfigFile } from '@rsio/common/config/config-file';
import { readConfigFile } from '@rsio/common/config/load-config';
import { examineRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { namespaceidOf, newRssrvcfg } from '@rsio/common/config/rssrvcfg-edit';
import { count, list, object, orNull, text, word } from '@rsio/base/lib/shape';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { escapeControls } from '@rsio/base/lib/printable';
import { isName, NAME_ALLOWED, parseWhole, quoteText } from '@rsio/base/lib/units';
import { type AdmContext, defineCommand, usageError } from '../cli/context.ts';

const FINDINGS = list(object({ line: count('0: the whole file'), message: text() }));

/** Whether rssrv accepts a configuration file, and what a reload would change. */
interface Verdict {
  readonly server: 'accepts' | 'refuses' | 'not asked';
  readonly refusal: string | null;
  readonly changes: readonly string[];
}

export const CHECK = defineCommand({
  call: { by: 'words', words: 'check' },
  synopsis: 'check [FILE]',
  summary: 'checks a configuration file for faults',
  details: `Prints each fault and each warning with its line number. The exit code is 1 if
there is a fault. Without FILE, the command checks the file that rssrv reads. If
rssrv is running, the command also reports what rssrv would refuse, and what a
reload would change.`,
  options: { json: JSON_OPTION },
  json: object({
    file: text(),
    problems: FINDINGS,
    warnings: FINDINGS,
    server: word(['accepts', 'refuses', 'not asked'], 'Whether rssrv, if it is running, would accept the file'),
    refusal: orNull(text('Why rssrv would refuse it')),
    changes: list(text(), 'What a reload would change'),
  }),
  operands: { min: 0, max: 1 },
  completes: 'files',
  run: async (context, { json }, [file = context.configFile]) => {
    const { text: content, warnings: ofRights } = readConfigFile(file);
    const { config, problems: ofFile, warnings: ofText } = examineRssrvConfig(content, file);
    const problems = config === null ? ofFile : controlGroupProblems(config);
    const warnings = [...ofRights, ...ofText].map(({ line, message }) => ({ line, message }));
    const verdict: Verdict =
      problems.length === 0 ? await verdictOf(context, content) : { server: 'not asked', refusal: null, changes: [] };
    const exitCode = problems.length === 0 && verdict.refusal === null ? 0 : 1;
    if (json) return printJson(context, { file, problems, warnings, ...verdict }) ?? exitCode;
    const findings = [
      ...problems.map((finding) => ({ ...finding, severity: 'fault' })),
      ...warnings.map((finding) => ({ ...finding, severity: 'warning' })),
      ...(verdict.refusal === null ? [] : [{ line: 0, message: `rssrv refuses it: ${verdict.refusal}`, severity: 'fault' }]),
    ].toSorted((left, right) => left.line - right.line);
    for (const { line, message, severity } of findings)
      context.out(escapeControls(`${file}${line === 0 ? '' : `:${line}`}: ${severity}: ${message}`).concat('\n'));
    if (exitCode === 0) context.out(escapeControls(`${file}: no faults`).concat('\n'));
    for (const change of verdict.changes) context.out(`rsadm reload would apply: ${escapeControls(change)}\n`);
    return exitCode;
  },
});

async function verdictOf({ call, note }: AdmContext, content: string): Promise<Verdict> {
  try {
    const { changes } = await call('config-check', { text: content });
    return { server: 'accepts', refusal: null, changes };
  } catch (thrown) {
    const { code, message } = toRsError(thrown);
    if (code === 'E_NOT_RUNNING') note('rssrv is not running: only the file was checked');
    else if (code === 'E_RIGHTS') note(`rssrv was not asked: ${message}`);
    else return { server: 'refuses', refusal: message, changes: [] };
    return { server: 'not asked', refusal: null, changes: [] };
  }
}

export const INIT = defineCommand({
  call: { by: 'words', words: 'init' },
  synopsis: 'init [--name N] [--namespace N] [--namespaceid N]\n[--serverid N] [--address A,...]',
  summary: 'makes a first configuration file',
  details: `On a terminal, the command asks for options that are not given. The default
namespaceid is derived from the name of the namespace, so that all servers of a
namespace get the same number. The new file has mode 0600. A file with sections
is never changed.`,
  options: {
    name: { kind: 'text', value: 'N', help: 'name of this server; default: the host name' },
    namespace: { kind: 'text', value: 'N', help: 'name of the namespace, such as osl' },
    namespaceid: { kind: 'text', value: 'N', help: 'number of the namespace, the same on all its servers' },
    serverid: { kind: 'text', value: 'N', help: 'number of this server in the namespace; default: 1' },
    address: { kind: 'text', value: 'A', help: 'addresses to listen on, separated by commas' },
  },
  operands: { min: 0, max: 0 },
  run: async (context, given) => {
    const { configFile, out } = context;
    const { document: present, fingerprint } = openConfigFile(configFile);
    if (present.sections.length > 0 || present.preamble.length > 0)
      throw new RsError('E_EXISTS', `${configFile} exists: rsadm interface, pool and client change it; rsadm check checks it`, {});
    const [host = ''] = context.machine.hostName.split('.');
    const name = nameOf('--name', await answer(context, given.name, 'Name of this server', isName(host) ? host : null, '--name'));
    const namespace = nameOf('--namespace', await answer(context, given.namespace, 'Name of the namespace', null, '--namespace'));
    const derived = String(namespaceidOf(namespace));
    const namespaceid = wholeOf('--namespaceid', await answer(context, given.namespaceid, 'Number of the namespace', derived, null));
    const serverid = wholeOf('--serverid', await answer(context, given.serverid, 'Number of this server in it', '1', null));
    const { addresses: own } = context.machine;
    const only = own.length === 1 || context.ask !== null ? own.join(',') || null : null;
    const wanted = await answer(context, given.address, 'Addresses to listen on', only, `--address ${own.join(',') || 'A'}`);
    const addresses = wanted.split(/[,\s]+/).filter((one) => one !== '');
    const document = newRssrvcfg({ name, namespace, namespaceid, serverid, addresses });
    saveConfigFile(configFile, document, fingerprint, undefined, examineRssrvConfig);
    out(`${configFile} made: server ${name} in namespace ${namespace}, namespaceid ${namespaceid}, listening on ${addresses.join(', ')}\n`);
    out(nextSteps(configFile));
    return undefined;
  },
});

/**
 * Asks the user a question. `missing`: the command-line option that the error names if there is neither a terminal nor a default; null if
 * the question always has a default.
 */
async function answer(
  { ask }: AdmContext,
  given: string | null,
  question: string,
  preset: string | null,
  missing: string | null,
): Promise<string> {
  if (given !== null) return given;
  if (ask !== null) {
    const said = (await ask(`${question}${preset === null ? '' : ` [${preset}]`}: `)).trim();
    if (said !== '') return said;
  }
  if (preset !== null) return preset;
  throw usageError(`${question} is not known: give ${missing ?? ''}`);
}

function nameOf(option: string, value: string): string {
  if (isName(value)) return value;
  throw usageError(`Wrong ${option} ${quoteText(value)}: allowed is ${NAME_ALLOWED}`);
}

function wholeOf(option: string, value: string): number {
  const number = parseWhole(value);
  if (number !== undefined) return number;
  throw usageError(`Wrong ${option} ${quoteText(value)}: allowed is a whole number`);
}

function nextSteps(configFile: string): string {
  const root = configFile.replace(/\/etc\/dvsc\/rssrvcfg$/, '');
  const prefix = root === '' ? '' : ` --root ${root}`;
  return `Next:
    rssrv${prefix}
    rsadm${prefix} pool add fast /storage/fast
    rsadm${prefix} volume create db --size 20g
    rsadm${prefix} client add NAME
`;
}
