// The client's file as tools read and save it: what was read has a fingerprint, and a file that changed since is not overwritten.
// What is saved was judged by the reader before: an edit that makes a new problem never reaches the disk.

import { createHash } from 'node:crypto';
import { RsError } from '../lib/errors.ts';
import { type ReplacementPorts, replacePersonsFile } from '../files/file-replacement.ts';
import { type IniDocument, parseIni, printIni } from './ini/ini-document.ts';
import { readConfigFile } from './load-config.ts';
import { checkEdit, type EditFindings } from './rscltcfg-check.ts';
import type { ConfigWarning } from './schema/types.ts';

/** Tells one content of a file from another. */
export interface FileFingerprint {
  readonly digest: string;
}

export interface ConfigSource {
  readonly document: IniDocument;
  /** null: there is no file, and the document is empty. */
  readonly fingerprint: FileFingerprint | null;
  /** About its rights. */
  readonly warnings: readonly ConfigWarning[];
}

/** Reads the file for editing. Throws E_RIGHTS, E_CONFIG (it is no text) or E_SYSTEM. */
export function openConfigFile(path: string): ConfigSource {
  try {
    const { text, warnings } = readConfigFile(path);
    return { document: parseIni(text), fingerprint: fingerprintOf(text), warnings };
  } catch (thrown) {
    if (!(thrown instanceof RsError) || thrown.code !== 'E_NO_CONFIG') throw thrown;
    return { document: parseIni(''), fingerprint: null, warnings: [] };
  }
}

export interface SavedConfig extends EditFindings {
  readonly fingerprint: FileFingerprint;
}

/**
 * Replaces the file, which must be as it was when it was read: `before` (null: there was none). Throws E_CHANGED, E_CONFIG with `context`
 * {file, problems} when the document has problems that the file had not, E_RIGHTS or E_SYSTEM; the file is then as it was.
 */
export function saveConfigFile(path: string, document: IniDocument, before: FileFingerprint | null, ports?: ReplacementPorts): SavedConfig {
  const old = openUnchanged(path, before);
  const findings = checkEdit(old.document, document, path);
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
  const what = before === null ? 'was made' : now.fingerprint === null ? 'was removed' : 'was changed';
  throw new RsError('E_CHANGED', `${path} ${what} by somebody else meanwhile: look at it, and try again`, { file: path });
}

function fingerprintOf(text: string): FileFingerprint {
  return { digest: createHash('sha256').update(text).digest('hex') };
}
