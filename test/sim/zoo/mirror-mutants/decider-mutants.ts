// Mutants of the decider, which decides the members of a mirror. The mutants plant the faults of test/mirrors in the table of rules that
// production code uses. test/mirrors/planted.ts has the faults.

import { RULES } from '@rsio/protocol/mirror/membership/rules';
import { PLANTED } from '../../../mirrors/planted.ts';
import type { Mutant } from '../mutants/mutant.ts';

export const DECIDER_MUTANTS: readonly Mutant[] = PLANTED.map(({ name, rule, breaks, rules, options }) => ({
  name,
  rule,
  breaks,
  explorer: 'walks',
  walk: options,
  apply: () => {
    const before = { ...RULES };
    Object.assign(RULES, rules);
    return () => void Object.assign(RULES, before);
  },
}));
