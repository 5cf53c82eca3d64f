// Parses the text of /etc/rswebcfg into a WebConfig, or throws one E_CONFIG that lists every problem. The parser opens no other file;
// certificates and token files are checked when the configuration is applied. The schema checks single values; this file checks
// combinations. Invariant: without a certificate, rsweb listens on a loopback address only.

import { readConfigFile } from '@rsio/common/config/load-config';
import { parseIni, type IniSection } from '@rsio/common/config/reader/ini-document';
import { Findings, throwProblems, Uniques } from '@rsio/common/config/reader/findings';
import { SectionReader } from '@rsio/common/config/reader/section-reader';
import { knownSections } from '@rsio/common/config/reader/sections';
import type { ConfigWarning } from '@rsio/common/config/schema/types';
import type { LogSettings } from '@rsio/base/daemon/log-place';
import { quoteText } from '@rsio/base/lib/units';
import { isLoopback } from './addresses.ts';
import { IDLE_DEFAULT, LISTEN_DEFAULT, SOURCES_MAX, TOKENS_MAX } from '../limits.ts';
import type { WebRight } from './rights.ts';
import { WEB_SCHEMA } from './schema.ts';
import type { Listen } from './value-types.ts';

type Sections = typeof WEB_SCHEMA;
type Reader<T extends keyof Sections> = SectionReader<Sections[T]['keys']>;

export interface WebToken {
  readonly name: string;
  /** SHA-256 of the token, in lower-case hexadecimal digits. */
  readonly sha256: string;
  readonly rights: WebRight;
}

export interface WebSource {
  readonly name: string;
  /** Origin of the other rsweb, such as https://big-9:5080. */
  readonly url: string;
  readonly tokenFile: string;
  readonly certificateAuthority: string | null;
}

export interface WebConfig {
  readonly file: string;
  readonly listen: Listen;
  /** Files for HTTPS; null if rsweb uses plain HTTP. */
  readonly certificate: { readonly certificateFile: string; readonly keyFile: string } | null;
  /** Further names of this host under which browsers may reach rsweb, in lower case. */
  readonly names: readonly string[];
  readonly idleMs: number;
  readonly log: LogSettings['log'];
  readonly logTime: LogSettings['logTime'];
  readonly tokens: readonly WebToken[];
  readonly sources: readonly WebSource[];
  readonly warnings: readonly ConfigWarning[];
}

/** Reads and parses the file; throws the errors of both steps. The file contains hashes and paths of secrets but no secrets. */
export function loadWebConfig(path: string): WebConfig {
  const { text, warnings } = readConfigFile(path, () => false);
  const config = parseWebConfig(text, path);
  return { ...config, warnings: [...warnings, ...config.warnings] };
}

/** Parses the text. `file` is the name of the file for messages. Throws E_CONFIG, whose `context` has the fields `file` and `problems`. */
export function parseWebConfig(text: string, file: string): WebConfig {
  const findings = new Findings(file);
  const sections = knownSections(parseIni(text), WEB_SCHEMA, findings);
  const web = readersOf(sections, 'web', findings)[0];
  const listen = web?.value('listen') ?? WEB_SCHEMA.web.keys.listen.type.parse(LISTEN_DEFAULT);
  const certificate = web === undefined ? null : readCertificate(web, listen, findings);
  const tokens = readTokens(readersOf(sections, 'token', findings), findings);
  const sources = readSources(readersOf(sections, 'source', findings), findings);
  throwProblems(file, findings.problems);
  return {
    file,
    listen,
    certificate,
    names: web?.value('names') ?? [],
    idleMs: web?.value('idle') ?? WEB_SCHEMA.web.keys.idle.type.parse(IDLE_DEFAULT),
    log: web?.value('log') ?? 'auto',
    logTime: web?.value('log-time') ?? 'gmt',
    tokens,
    sources,
    warnings: findings.warnings,
  };
}

function readersOf<T extends keyof Sections>(sections: readonly IniSection[], type: T, findings: Findings): readonly Reader<T>[] {
  const keys: Sections[T]['keys'] = WEB_SCHEMA[type].keys;
  return sections.filter((section) => section.type === type).map((section) => new SectionReader(section, keys, WEB_SCHEMA, findings));
}

function readCertificate(web: Reader<'web'>, listen: Listen, findings: Findings): WebConfig['certificate'] {
  const [certificateFile, keyFile] = [web.value('certificate'), web.value('key')];
  if (web.isSet('certificate') && !web.isSet('key')) {
    findings.problem(web.lineOf('certificate'), 'certificate without a key: add "key = PATH", the file with its private key');
  }
  if (web.isSet('key') && !web.isSet('certificate')) {
    findings.problem(web.lineOf('key'), 'key without a certificate: add "certificate = PATH"');
  }
  const isSet = web.isSet('certificate') || web.isSet('key');
  if (!isSet && !isLoopback(listen.address)) {
    const remedy = 'add "certificate = PATH" and "key = PATH", or listen on 127.0.0.1';
    findings.problem(web.lineOf('listen'), `listen = ${listen.address} without a certificate would send tokens in clear: ${remedy}`);
  }
  return certificateFile === null || keyFile === null ? null : { certificateFile, keyFile };
}

function readTokens(readers: readonly Reader<'token'>[], findings: Findings): readonly WebToken[] {
  const beyond = readers[TOKENS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} tokens: allowed are at most ${TOKENS_MAX}`);
  if (readers.length === 0) findings.warn(0, `${findings.file} has no [token NAME], so that nobody can log in: rsweb token NAME makes one`);
  const uniques = new Uniques(findings);
  return readers.flatMap((reader) => {
    const { name } = reader;
    uniques.claim(`name ${name}`, reader.line, `token name ${quoteText(name)}`, 'give each token a name of its own');
    const sha256 = reader.value('sha256');
    if (sha256 === null) return [];
    uniques.claim(`sha256 ${sha256}`, reader.lineOf('sha256'), `sha256 in [token ${name}]`, 'make a token of its own for each name');
    return [{ name, sha256, rights: reader.value('rights') }];
  });
}

function readSources(readers: readonly Reader<'source'>[], findings: Findings): readonly WebSource[] {
  const beyond = readers[SOURCES_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} sources: allowed are at most ${SOURCES_MAX}`);
  const uniques = new Uniques(findings);
  return readers.flatMap((reader) => {
    const { name } = reader;
    uniques.claim(`name ${name}`, reader.line, `source name ${quoteText(name)}`, 'give each source a name of its own');
    const [url, tokenFile] = [reader.value('url'), reader.value('token-file')];
    if (url === null || tokenFile === null) return [];
    uniques.claim(`url ${url}`, reader.lineOf('url'), `url ${url}`, 'one source suffices for a machine');
    return [{ name, url, tokenFile, certificateAuthority: reader.value('certificate-authority') }];
  });
}
