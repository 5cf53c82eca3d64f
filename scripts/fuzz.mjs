// `pnpm fuzz`: wrong and hostile inputs of every kind, from seeds; arguments are its own.
// Leaves targets and peers to test/fuzz.

import { runCompiled } from './run-compiled.mjs';

await runCompiled('The fuzzer', 'test/dist/fuzz/main.js');
