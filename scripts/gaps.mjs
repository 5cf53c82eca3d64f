// `npm run gaps`: measures the pause of I/O when a path fails; arguments after `--` are its own (`--runs 10`).
// Leaves measuring to test/figures.

import { runSource } from './run-source.mjs';

runSource('test/figures/gaps.ts');
