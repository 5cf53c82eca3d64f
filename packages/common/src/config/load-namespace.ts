// Reads the file of a namespace from disk, with the files of its keys. Invariant: no message contains a key.

import { dirname, resolve } from 'node:path';
import { assert } from '@rsio/base/lib/assert';
import { RsError } from '@rsio/base/lib/errors';
import { readConfigFile } from './load-config.ts';
import { canonicalText, hashOf, type NamespaceFile, readNamespaceFile, withKeys } from './namespace-file.ts';
import { throwProblems } from './reader/findings.ts';
import { parseIni, printIni } from './reader/ini-document.ts';
import type { ConfigWarning } from './schema/types.ts';

export interface LoadedNamespace {
  readonly wanted: NamespaceFile;
  /** The canonical text, with the keys. */
  readonly text: string;
  readonly hash: string;
  readonly warnings: readonly ConfigWarning[];
}

/**
 * `isPart`: the file is about some clients and peers, and need not say everything about them. Throws E_NO_CONFIG, E_RIGHTS, E_SYSTEM or
 * E_CONFIG. An error about several faults names the first one.
 */
export function loadNamespace(file: string, isPart = false): LoadedNamespace {
  const { text, warnings: ofFile } = readConfigFile(file);
  const warnings = [...ofFile];
  const document = withKeys(parseIni(text), (name) => {
    const key = readConfigFile(resolve(dirname(file), name), () => true);
    warnings.push(...key.warnings);
    return oneLine(key.text, name);
  });
  const { wanted, problems, warnings: ofText } = readNamespaceFile(printIni(document), file, isPart);
  throwProblems(file, problems);
  assert(wanted !== null, 'A file without a problem says something');
  const canonical = canonicalText(document);
  return { wanted, text: canonical, hash: hashOf(canonical), warnings: [...warnings, ...ofText] };
}

function oneLine(content: string, file: string): string {
  const lines = content.trim().split('\n');
  const [key = ''] = lines;
  if (lines.length === 1 && key !== '') return key;
  throw new RsError('E_CONFIG', `No key in the file ${file}: it must hold one line, the key`, { file });
}
