// `pnpm zoo`: production code broken on purpose, one rule at a time, against the simulator's seeds; arguments are names of mutants.
// Leaves breaking and judging to test/sim/zoo.

import { runCompiled } from './run-compiled.mjs';

await runCompiled('The zoo', 'test/dist/sim/zoo/main.js');
