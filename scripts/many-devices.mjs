// `npm run many-devices`: attaches a thousand volumes as devices; arguments after `--` are its own (`--volumes 100`).
// Leaves measuring to test/figures.

import { runSource } from './run-source.mjs';

runSource('test/figures/many-devices.ts');
