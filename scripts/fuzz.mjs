// `pnpm fuzz`: wrong and hostile inputs of every kind, from seeds; arguments are its own.
// Leaves targets and peers to test/fuzz.

import { runSource } from './run-source.mjs';

runSource('test/fuzz/main.ts');
