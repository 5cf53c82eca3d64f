// Sorts the samples that perf script prints into kinds: copies of the kernel, other kernel code, memory copies of the process, compiled and
// built-in JavaScript, and other machine code. The shares add up to one.

import { expect, test } from 'vitest';
import { SAMPLE_KINDS, sharesIn } from './samples.ts';

const TEXT = `ffffffff821f39e5 rep_movs_alternative ([kernel.kallsyms])
ffffffff813a2413 finish_task_switch.isra.0 ([kernel.kallsyms])
    7f874408bb75 __memmove_avx512_unaligned_erms (/usr/lib/x86_64-linux-gnu/libc.so.6)
    7f5f1c0ad2f0 [unknown] (//anon)
         1a2b3c4 Builtins_CEntry (/usr/bin/node)
         1a2b3c5 uv__io_poll (/usr/bin/node)
    7f874444884c __vdso_gettimeofday ([vdso])
ffffffffc0a02413 fuse_dev_read ([fuse])
`;

test('each sample has one kind', () => {
  const shares = sharesIn(TEXT, 8);
  expect(shares).toEqual({ kernelCopies: 1 / 8, kernel: 2 / 8, copies: 1 / 8, javascript: 2 / 8, native: 2 / 8 });
  expect(SAMPLE_KINDS.reduce((sum, kind) => sum + (shares?.[kind] ?? 0), 0)).toBe(1);
  expect(sharesIn(TEXT)).toBeNull();
});
