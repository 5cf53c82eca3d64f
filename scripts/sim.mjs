// `pnpm sim`: runs seeds of the deterministic simulator; arguments are its own.
// Leaves the simulating to test/sim.

import { runCompiled } from './run-compiled.mjs';

await runCompiled('The simulator', 'test/dist/sim/main.js');
