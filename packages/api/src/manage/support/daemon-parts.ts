// The parts of the archive for support about a daemon: its configuration, what its methods answer, its log and its metrics. Invariant: of a
// table of methods, exactly those are called that read, so that no call changes anything and no answer has a key.

import { readFileSync } from 'node:fs';
import { LEFT_OUT, openConfig } from '@rsio/common/config/open-config';
import { readConfigFile } from '@rsio/common/config/load-config';
import type { DaemonPaths } from '@rsio/common/config/root-paths';
import { parseIni } from '@rsio/common/config/reader/ini-document';
import type { FileSchema } from '@rsio/common/config/schema/entries';
import type { MetricsConfig } from '@rsio/common/config/schema/types';
import type { MethodTable } from '@rsio/common/control/method-table';
import { logReader } from '@rsio/base/daemon/logcat';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { printEndpoint } from '@rsio/base/lib/units';
import type { SupportPart } from './archive.ts';
import { SUPPORT_LOG_LINES, SUPPORT_LOG_MAX_BYTES } from './limits.ts';

/** Key of the file with the secrets of a gate. */
const SECRET_FILE = 'secret-file';

export interface FileForSupport<C> {
  readonly part: SupportPart;
  /** Secrets of the file and of the files that it names; null: the file cannot be read, so that they are not known. */
  readonly secrets: readonly string[] | null;
  /** Null: the file cannot be read, or has faults. */
  readonly config: C | null;
}

/** Reads the configuration of a daemon. Never throws. */
export function fileForSupport<C>(
  path: string,
  schema: FileSchema,
  examine: (text: string, file: string) => { readonly config: C | null },
): FileForSupport<C> {
  const about = `The configuration; in place of each key stands ${LEFT_OUT}`;
  const part = (collect: SupportPart['collect']): SupportPart => ({ file: `${path.replace(/^.*\//, '')}.txt`, about, collect });
  let text: string;
  try {
    ({ text } = readConfigFile(path));
  } catch (thrown) {
    const refuse = (): never => {
      throw thrown;
    };
    return { part: part(refuse), secrets: null, config: null };
  }
  const { config } = examine(text, path);
  const open = openConfig(text, schema, config !== null);
  return { part: part(() => open.text), secrets: [...open.secrets, ...secretsOfGates(text)], config };
}

function secretsOfGates(text: string): string[] {
  const files = parseIni(text).sections.flatMap(({ contents }) =>
    contents.flatMap(({ key, value }) => (key === SECRET_FILE ? [value] : [])),
  );
  return files.flatMap((file) => {
    try {
      const words = readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line) => line.trim().split(/\s+/).slice(1));
      // DHHC-1:00:BASE64: has its secret in a part.
      return words.flatMap((word) => [word, ...word.split(':')]);
    } catch {
      return [];
    }
  });
}

/**
 * Returns a part for each method of the table that reads and needs no parameter. `call`: calls the method with its defaults, or with more.
 */
export function answerParts<T extends MethodTable>(
  folder: string,
  table: T,
  reads: (entry: T[keyof T & string]) => boolean,
  call: (method: keyof T & string) => Promise<unknown>,
): SupportPart[] {
  return Object.entries(table).flatMap(([method, entry]): SupportPart[] => {
    const isFree = Object.values(entry.params).every((param) => param.default !== undefined);
    if (!isFree || !reads(entry as T[keyof T & string])) return [];
    const about = entry.help.replace(/(?:;|, or ).*$/, '');
    return [{ file: `${folder}/${method}.json`, about, collect: async () => `${JSON.stringify(await call(method), null, 2)}\n` }];
  });
}

/** `secrets`: null if they are not known. The log is then left out, because it may quote a line of the configuration. */
export function logPart(
  daemon: string,
  paths: Pick<DaemonPaths, 'root' | 'logFile' | 'stateDir'>,
  clock: Clock,
  secrets: readonly string[] | null,
): SupportPart {
  return {
    file: `${daemon}.log`,
    about: `The last ${SUPPORT_LOG_LINES} lines of the log of ${daemon}`,
    collect: async (signal) => {
      if (secrets === null)
        throw new RsError(
          'E_SYSTEM',
          'The configuration cannot be read, so that the log cannot be cleaned of its keys: run the command as root',
        );
      const kept: string[] = [];
      let [bytes, isCut] = [0, false];
      const out = (text: string): void => {
        kept.push(text);
        bytes += Buffer.byteLength(text);
        while (bytes > SUPPORT_LOG_MAX_BYTES && kept.length > 1) {
          bytes -= Buffer.byteLength(kept.shift() ?? '');
          isCut = true;
        }
      };
      const reader = logReader(paths, clock, { daemon, lines: SUPPORT_LOG_LINES, follow: false, isLocal: false, out });
      signal.addEventListener('abort', () => reader.stop());
      await reader.run();
      return `${isCut ? `The lines before were cut off: only ${SUPPORT_LOG_MAX_BYTES} bytes are kept\n` : ''}${kept.join('')}`;
    },
  };
}

/** `metrics`: null if they are off; undefined if the configuration is not known. */
export function metricsPart(metrics: MetricsConfig | null | undefined): SupportPart {
  return {
    file: 'metrics.txt',
    about: 'The metrics, if they are on',
    collect: async (signal) => {
      if (metrics === null) return 'metrics = off\n';
      if (metrics === undefined)
        throw new RsError('E_NO_CONFIG', 'The address of the metrics is not known: the configuration cannot be used');
      const headers = metrics.token === null ? {} : { authorization: `Bearer ${metrics.token}` };
      const answer = await fetch(`http://${printEndpoint(metrics.address, metrics.port)}/metrics`, { headers, signal });
      return answer.text();
    },
  };
}
