// Reads the sections [trigger NAME] of both configuration files. Each section names a program of the administrator. trigger-programs.ts
// checks whether these programs exist and are safe.

import { quoteText } from '@rsio/base/lib/units';
import { TRIGGERS_MAX } from '../schema/limits.ts';
import type { triggerSection } from '../schema/trigger-section.ts';
import type { TriggerConfig } from '../schema/types.ts';
import { type Findings, Uniques } from './findings.ts';
import type { SectionReader } from './section-reader.ts';

export function readTriggers(
  readers: readonly SectionReader<ReturnType<typeof triggerSection>['keys']>[],
  findings: Findings,
): readonly TriggerConfig[] {
  const beyond = readers[TRIGGERS_MAX];
  if (beyond !== undefined) findings.problem(beyond.line, `${readers.length} triggers: allowed are at most ${TRIGGERS_MAX}`);
  const uniques = new Uniques(findings);
  return readers.flatMap((reader) => {
    const { name } = reader;
    uniques.claim(name, reader.line, `trigger name ${quoteText(name)}`, 'give each trigger a name of its own');
    const [on, run] = [reader.value('on'), reader.value('run')];
    return on === null || run === null ? [] : { name, on, run, timeoutMs: reader.value('timeout'), line: reader.lineOf('run') };
  });
}
