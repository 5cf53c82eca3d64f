// Parses the values of a volume's `test-...` keys, which inject faults into the volume's storage for tests. The server accepts these keys
// only with --test. The server injects the faults (backends/faults).

import { TEST_DELAY_MAX_MS, TEST_RULES_MAX } from './limits.ts';
import { parseDuration, parseWhole, printDuration, refuse } from '../../lib/units.ts';
import type { TestDelay, TestError, TestOperation } from './types.ts';
import type { ValueType } from './value-types.ts';

const OPERATIONS: readonly TestOperation[] = ['any', 'read', 'write', 'flush', 'discard', 'zero'];
/** The errors for which the protocol has separate status values. */
const ERRNOS: readonly string[] = ['EIO', 'ENOSPC', 'ENOMEM', 'EROFS'];

const OPERATION = OPERATIONS.join('|');
const WHILE = String.raw`(?: while (?<file>/\S+))?`;
const DELAY = new RegExp(`^(?<operation>${OPERATION}) (?<min>\\w+)(?:-(?<max>\\w+))?${WHILE}$`);
const ERROR = new RegExp(
  `^(?<operation>${OPERATION})(?: (?<first>\\d+)-(?<last>\\d+))?(?: every (?<every>\\d+))? (?<errno>${ERRNOS.join('|')})${WHILE}$`,
);
const OPERATION_ALLOWED = `OP is one of ${OPERATIONS.join(', ')}`;

/** Parses rules for delays, for example `write 20ms, flush 5ms-50ms while /run/slow`. */
export const testDelays: ValueType<readonly TestDelay[]> = rules(
  'delays',
  `OP TIME[-TIME][ while FILE] separated by commas; ${OPERATION_ALLOWED}; TIME is 1ms to ${printDuration(TEST_DELAY_MAX_MS)}`,
  (text) => {
    const { operation, min = '', max = min, file } = DELAY.exec(text)?.groups ?? {};
    const [minMs, maxMs] = [parseDuration(min), parseDuration(max)];
    if (minMs < 1 || maxMs < minMs || maxMs > TEST_DELAY_MAX_MS) return null;
    return { operation: operation as TestOperation, minMs, maxMs, whileFile: file ?? null };
  },
);

/** Parses rules for errors, for example `write every 100 EIO, read 2048-4095 EIO, flush EIO while /run/broken`. */
export const testErrors: ValueType<readonly TestError[]> = rules(
  'errors',
  `OP[ SECTOR-SECTOR][ every N] ERRNO[ while FILE] separated by commas; ${OPERATION_ALLOWED}; ERRNO is one of ${ERRNOS.join(', ')}`,
  (text) => {
    const found = ERROR.exec(text)?.groups;
    if (found === undefined) return null;
    const { operation, first, last, every = '1', errno = '', file } = found;
    const sectors = first === undefined ? null : ([parseWhole(first), parseWhole(last ?? '')] as const);
    const count = parseWhole(every);
    if (count === undefined || count < 1) return null;
    if (sectors === null) return { operation: operation as TestOperation, sectors, every: count, errno, whileFile: file ?? null };
    const [from, to] = sectors;
    if (from === undefined || to === undefined || to < from || operation === 'flush') return null;
    return { operation: operation as TestOperation, sectors: [from, to], every: count, errno, whileFile: file ?? null };
  },
);

function rules<T>(kind: string, allowed: string, parseRule: (text: string) => T | null): ValueType<readonly T[]> {
  const parse = (text: string): readonly T[] => {
    const parts = text.split(/\s*,\s*/).map((part) => part.replaceAll(/\s+/g, ' '));
    if (parts.length > TEST_RULES_MAX) refuse('list of rules', text, `at most ${TEST_RULES_MAX} rules`);
    return parts.map((part) => orNull(() => parseRule(part)) ?? refuse('rule', part, allowed));
  };
  return { kind, allowed, isSecret: false, parse };
}

function orNull<T>(parse: () => T | null): T | null {
  try {
    return parse();
  } catch {
    return null;
  }
}
