// Defines the keys of the section [trigger NAME], which both configuration files may have. reader/triggers.ts reads this section, and the
// folder triggers starts its programs.

import { printDuration } from '@rsio/base/lib/units';
import { needed, withDefault } from './entries.ts';
import { TRIGGER_MAX_MS, TRIGGER_MIN_MS, TRIGGER_MS } from './limits.ts';
import * as types from './value-types.ts';

/** Parts of the help texts. `when`: which daemon starts the program, and on what occasion. `event`: which events start a program. */
export function triggerSection(when: string, event: string) {
  return {
    hasName: true,
    occurs: 'any number',
    below: null,
    lines: null,
    help: `A program of the administrator that ${when}`,
    keys: {
      on: needed(
        types.choice('snapshot-before', 'snapshot-after', 'event'),
        `When to run the program (snapshot-before: if it fails, no snapshot is made; snapshot-after: even after a failure; event: ${event})`,
      ),
      run: needed(types.path, 'The program. The file and every folder above it must belong to root, and no other user may write to them'),
      timeout: withDefault(
        types.duration(TRIGGER_MIN_MS, TRIGGER_MAX_MS),
        printDuration(TRIGGER_MS),
        'How long the program may run; after this time, it is killed and counts as failed',
      ),
    },
  } as const;
}
