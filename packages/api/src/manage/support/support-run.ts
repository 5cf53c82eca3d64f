// Executes the command `support` of rsadm and rsconfig: lists what goes into the archive, and then makes it. The parts are those of the
// program that calls. Invariant: the command changes nothing but the folder of the archive.

import { resolve } from 'node:path';
import { type Output, printJson } from '@rsio/common/cli/command';
import { alignColumns, toText } from '@rsio/common/cli/table';
import { cleanerOf } from '@rsio/common/config/open-config';
import type { Clock } from '@rsio/base/lib/clock';
import { plural, shownSize } from '@rsio/base/lib/units';
import { makeArchive, type PartOutcome, type SupportPart } from './archive.ts';

interface SupportRequest {
  readonly host: string;
  readonly parts: readonly SupportPart[];
  /** Secrets that no part may have. */
  readonly secrets: readonly string[];
}

export async function runSupport(
  context: Output & { readonly clock: Clock; readonly note: (sentence: string) => void },
  given: { readonly list: boolean; readonly to: string | null; readonly json: boolean },
  { host, parts, secrets }: SupportRequest,
): Promise<undefined> {
  const { clock, out, note } = context;
  if (!given.json)
    out(
      toText(
        alignColumns(
          ['FILE', 'WHAT IT IS'],
          parts.map(({ file, about }) => [file, about]),
        ),
      ),
    );
  if (given.list) {
    const listed = parts.map(({ file, about }) => ({ file, about, sizeBytes: null, trouble: null }));
    return given.json ? printJson(context, { path: null, sizeBytes: null, parts: listed }) : undefined;
  }
  const archive = await makeArchive({ clock, folder: resolve(given.to ?? '.'), host, parts, clean: cleanerOf(secrets) });
  for (const sentence of troublesOf(archive.parts)) note(sentence);
  if (given.json) return printJson(context, archive);
  out(toText(['', `${archive.path} (${shownSize(archive.sizeBytes)})`]));
  return undefined;
}

/** Returns a sentence for each reason, because a daemon that does not run is the reason for many parts. */
function troublesOf(parts: readonly PartOutcome[]): string[] {
  const reasons = new Set(parts.flatMap(({ trouble }) => trouble ?? []));
  return [...reasons].map((reason) => {
    const [first = '', ...others] = parts.flatMap(({ file, trouble }) => (trouble === reason ? [file] : []));
    return `${first}${others.length === 0 ? '' : ` and ${plural(others.length, 'other part')}`}: ${reason}`;
  });
}
