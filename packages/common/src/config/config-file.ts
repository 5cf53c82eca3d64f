// Reads and saves the client's configuration file for rsconfig and crsio. A fingerprint of the text reveals changes by other programs.
// Invariant: an edit that adds a problem to the file is never saved. A file with existing problems can be saved, so that an administrator
// can repair the file step by step.

import { createHash } from 'node:crypto';
import { type ReplacementPorts, replacePersonsFile } from '@rsio/base/files/config-replacement';
import { RsError } from '@rsio/base/lib/errors';
import { type IniDocument, parseIni, printIni } from './reader/ini-document.ts';
import { readConfigFile } from './load-config.ts';
import type { ConfigProblem } from './reader/findings.ts';
import { examineRscltConfig } from './reader/rscltcfg.ts';
import type { ConfigWarning } from './schema/types.ts';

export interface FileFingerprint {
  readonly digest: string;
}

export interface ConfigSource {
  readonly document: IniDocument;
  /** If the file does not exist, the fingerprint is null and the document is empty. */
  readonly fingerprint: FileFingerprint | null;
  /** Warnings about the permissions of the file. */
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Reads the file for editing. Throws E_RIGHTS or E_SYSTEM. Throws E_CONFIG if the file is not a regular file, is too large or is not UTF-8.
 */
export function openConfigFile(path: string): ConfigSource {
  try {
    const { text, warnings } = readConfigFile(path);
    return { document: parseIni(text), fingerprint: fingerprintOf(text), warnings };
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_NO_CONFIG') throw thrown;
    return { document: parseIni(''), fingerprint: null, warnings: [] };
  }
}

/** Examines the text of a configuration file of one kind. */
export type Examine = (
  text: string,
  file: string,
) => {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
};

export interface SavedConfig extends EditFindings {
  readonly fingerprint: FileFingerprint;
}

/**
 * Writes `document` to the file if the file still has the fingerprint `before`. If `before` is null, the file must not exist. Throws
 * E_RIGHTS or E_SYSTEM. Throws E_CHANGED if another program has changed the file. Throws E_CONFIG with the `context` {file, problems} if
 * the document adds problems. After an error, the file is unchanged, unless only the final fsync of the folder failed.
 */
export function saveConfigFile(
  path: string,
  document: IniDocument,
  before: FileFingerprint | null,
  ports?: ReplacementPorts,
  examine: Examine = examineRscltConfig,
): SavedConfig {
  const old = openUnchanged(path, before);
  const findings = checkEdit(old.document, document, path, examine);
  const [first] = findings.added;
  if (first !== undefined) {
    throw new RsError('E_CONFIG', `${path} was not changed: ${first.message}`, { file: path, problems: findings.added });
  }
  const text = printIni(document);
  replacePersonsFile(path, text, () => void openUnchanged(path, before), ports);
  return { ...findings, fingerprint: fingerprintOf(text) };
}

function openUnchanged(path: string, before: FileFingerprint | null): ConfigSource {
  const now = openConfigFile(path);
  if (now.fingerprint?.digest === before?.digest) return now;
  const what = before === null ? 'was created' : now.fingerprint === null ? 'was removed' : 'was changed';
  throw new RsError('E_CHANGED', `${path} ${what} by another program meanwhile: check the file and try again`, { file: path });
}

function fingerprintOf(text: string): FileFingerprint {
  return { digest: createHash('sha256').update(text).digest('hex') };
}

export interface EditFindings {
  /** If the edit adds any problem, the document must not be saved. */
  readonly added: readonly ConfigProblem[];
  /** Problems that the file had before the edit and still has. */
  readonly kept: readonly ConfigProblem[];
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Divides the problems of the document `after` into new problems and problems that the document `before` already had. Line numbers in the
 * result refer to `after`. `file` is used only in messages.
 */
export function checkEdit(before: IniDocument, after: IniDocument, file: string, examine: Examine): EditFindings {
  const { problems, warnings } = examine(printIni(after), file);
  const known = new Map<string, number>();
  for (const problem of examine(printIni(before), file).problems) {
    known.set(identityOf(problem), (known.get(identityOf(problem)) ?? 0) + 1);
  }
  const added: ConfigProblem[] = [];
  const kept: ConfigProblem[] = [];
  for (const problem of problems) {
    const left = known.get(identityOf(problem)) ?? 0;
    known.set(identityOf(problem), left - 1);
    (left > 0 ? kept : added).push(problem);
  }
  return { added, kept, warnings };
}

/**
 * Returns the message without line numbers and without a leading count. Two problems with the same result count as one problem. An edit
 * that only moves the line of a problem, or turns "9 interfaces" into "10 interfaces", therefore adds no problem.
 */
function identityOf({ message }: ConfigProblem): string {
  return message.replace(/\bline \d+/g, 'line').replace(/^\d+ /, '');
}
